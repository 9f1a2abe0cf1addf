"""Architectures: counted block by block as whole, written into links and back, derived to the last number, measured."""

import json
import re
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from explorer import (
    ablated,
    blocks,
    derivations,
    drawing,
    loading,
    navigation,
    paper_tables,
    presets,
    speed,
    theme,
    twins,
)
from explorer.architecture import BASES, LIMITS, NORMS, Architecture, of_recipe, read, refused, shortest, small
from explorer.blocks import costs, measure
from explorer.components import network_canvas, paper_table
from explorer.formula import MEANING
from lambda_core import LambdaLayer, build
from lambda_core.cost import profile
from lambda_core.layers import LAYERS
from lambda_core.meta import shapes_only
from lambda_core.models import FAMILY, config_of
from lambda_core.models.config import parse_stages
from lambda_core.tables import RECIPES, Maps, published
from lambda_core.training.ablations import ABLATIONS

PAGE = "../pages/architectures.py"

WHOLE = [
    "resnet26~C-SL-DE-AX",
    "resnet26~R-HZ-GL-L~r7~u4~k8~h2~px64",
    "resnet26~CCLL~r0~px96~position",
    "lambda_resnet26t",
    "san10~px64",
]


@pytest.mark.parametrize("text", WHOLE)
def test_the_sum_over_blocks_is_the_profile_of_the_network(text):
    found = read(text)
    with torch.device("meta"):
        network = build(found.base, **found.overrides())
    expected = profile(network, found.size, batch=4)
    counted = costs(found, 4)
    assert counted.whole == expected
    parts = [part for _, part in drawing.sums(counted)]
    assert {name: sum(part[name] for part in parts) for name in blocks.METRICS} == measure(expected)


def test_a_swap_counts_one_block():
    costs(read("resnet26~CCLL"))
    before = blocks._part.cache_info().misses
    costs(read("resnet26~C-CS-L-L"))
    assert blocks._part.cache_info().misses - before <= 1


letters = st.text("".join(LAYERS), min_size=1, max_size=4)
numbers = {name: st.none() | st.integers(*limits) for name, limits in LIMITS.items() if name != "size"}


@given(
    st.sampled_from(["resnet26", "resnet50", "resnet101_d"]),
    st.lists(st.sampled_from(sorted(LAYERS)), min_size=4, max_size=4),
    st.integers(*LIMITS["size"]),
    st.fixed_dictionaries(numbers),
    st.sampled_from(["", "content", "position"]),
    st.sampled_from(sorted(NORMS)),
)
def test_a_link_restores_the_architecture(base, stages, size, sizes, half, norm):
    found = Architecture(base, "".join(stages), size, half=half, norm=norm, **sizes).tidy()
    assert read(found.text()) == found


@given(st.lists(letters, min_size=2, max_size=5), st.integers(1, 3))
def test_the_shortest_string_means_the_same_blocks(stages, times):
    stages = [stage * times for stage in stages]
    assert parse_stages(shortest(stages), tuple(map(len, stages))) == stages


@pytest.mark.parametrize(
    "text",
    ["", "resnet51", "resnet50~CCL", "resnet50~CCLQ", "resnet50~px9999", "resnet50~px1", "resnet50~r0~k0",
     "resnet50~<b>", "resnet50~C-CLC-L-L", "san19~LLLL", "resnet50~⁵"],
)  # fmt: skip
def test_a_link_that_makes_no_sense_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
        read(text)


NETWORKS = [(table, row) for table in RECIPES for row, recipe in RECIPES[table].items() if not isinstance(recipe, Maps)]


@pytest.mark.parametrize(("table", "row"), NETWORKS)
def test_every_network_of_the_paper_is_a_preset(table, row):
    recipe = RECIPES[table][row]
    found = of_recipe(recipe)
    assert found == read(found.text()) and found.size == recipe.image_size
    config, expected = found.config(), config_of(recipe.name, **recipe.options)
    if found.fixed:
        assert config == expected
        return
    assert parse_stages(config.stages, config.depths) == parse_stages(expected.stages, expected.depths)
    assert {**found.effective()} == {**found.effective(), **expected.layer}
    assert (config.widths, config.stem, config.layers) == (expected.widths, expected.stem, expected.layers)


def test_every_row_of_the_paper_is_a_preset():
    tables = published()["tables"]
    assert set(paper_tables.NAMES) == set(tables)
    found = {(table, row["row"]): presets.of(table, row["row"]) for table in tables for row in tables[table]["rows"]}
    assert [pair for pair, network in found.items() if network is None] == [
        ("complexity", "lambda layer (shared embeddings)")  # the table says why
    ]
    assert "shares" in presets.ASIDE["complexity"] and presets.of("layers", "no row") is None
    for network in filter(None, found.values()):
        assert network.tidy() == read(network.text())


@pytest.mark.parametrize(
    ("row", "name"), [(row, ablation.overrides["layer"]) for ablation in ABLATIONS.values()
                      for table, row in ablation.rows if table == "normalization"],
)  # fmt: skip
def test_a_row_of_normalizations_is_the_layer_that_was_trained_for_it(row, name):
    layer = build("resnet26", stages="CCCL", **presets.of("normalization", row).options()).stages[3][0].mix
    trained = LambdaLayer(64, **name)
    assert layer.key_norm == trained.key_norm
    assert {name for name, _ in layer.named_parameters()} == {name for name, _ in trained.named_parameters()}


@pytest.mark.parametrize("table", ["placement", "complexity"])
def test_the_tables_come_out(table):
    found = paper_tables.figures(table)
    assert not [figure for figure in found if figure.verdict == "differs"]
    errata = {figure.row: figure.note for figure in found if figure.verdict == "erratum"}
    assert list(errata) == (["CCLL"] if table == "placement" else [])
    shown = paper_tables.as_data(table, found)
    assert [row["row"] for row in shown["rows"]] == list(dict.fromkeys(figure.row for figure in found))
    json.dumps(shown)


def test_the_exact_numbers_of_the_paper():
    assert costs(read("resnet50~LLLL")).whole.params == 14_995_592
    assert costs(read("resnet50~CCCC")).whole.params == 25_557_032


def bold(html):
    return [int(number.replace(",", "")) for number in re.findall(r"<b>([\d,]+)[^<]*</b>", html)]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("metric", ["params", "flops"])
def test_a_derivation_adds_up_to_its_number(metric, scheme):
    found = costs(read("resnet26~C-SL-LL-L~u4~r7"))
    html = derivations.of_network(found, metric, scheme)
    *parts, total = bold(html)
    assert total == sum(parts) == getattr(found.whole, metric)
    for detail in html.split("<details>")[1:]:
        lines = [int(n.replace(",", "")) for n in re.findall(r"<td>([\d,]+)</td></tr>", detail)]
        assert sum(lines) == bold(detail)[0]
    assert theme.PALETTE[scheme]["ink-soft"] in html and "VAR_" not in html


@pytest.mark.parametrize("metric", ["params", "flops"])
@pytest.mark.parametrize("text", [*WHOLE, "resnet26~GRHZ"])
def test_every_letter_of_a_derivation_is_explained(text, metric):
    html = derivations.of_network(costs(read(text)), metric, "light")
    formulas = " ".join(re.findall(r"<td class='formula'>(.*?)</td>", html))
    letters, legend = set(re.findall(">([A-Za-z])</i>", formulas)), html.rpartition("<p class='soft'>")[2]
    assert letters == set(re.findall("[A-Za-z]", re.sub("<[^>]*>", "", formulas)))
    assert letters == set(re.findall(">([A-Za-z])</i></code> ", legend)) != set()
    assert ("d·o" in re.sub("<[^>]*>", "", formulas)) <= ("of embeddings their depth" in legend)


def test_the_legend_of_the_twins_stands_below_the_title_of_their_axis():
    pair = [ablated.networks()[name] for name in twins.PAIRS[1]]
    layout = twins.figure(pair, "val_loss").layout
    assert layout.legend.yref == "container" and layout.legend.yanchor == "bottom"  # whatever the height of the plot
    assert layout.margin.b >= 72


def test_the_terms_of_a_block_add_up_and_are_written_as_they_are_computed():
    found = costs(read("resnet26~C-SL-LL-L~u4~r7"), 2)
    data = drawing.picture(read("resnet26~CCLL"), found, read("resnet26~CCLL"), found)
    json.dumps(data)
    assert sum(len(stage["blocks"]) for stage in data["stages"]) == 8 and len(data["kinds"]) <= 8
    for kind in data["kinds"]:
        for metric, terms in kind["terms"].items():
            assert sum(term[3] for term in terms) <= kind[metric]
            for _, _, numbers, value in terms:
                assert eval(re.sub(r"²", "**2", numbers).replace("·", "*")) == value
    assert {hue for hue, _ in drawing.LETTERS.values()} <= set(theme.PALETTE["light"])
    assert set(drawing.SAYS) == set(LAYERS)


@pytest.mark.parametrize("text", ["resnet26~CCLL", "lambda_resnet26t", "resnet26~GGGL~r0", "resnet26~LLLL~r7~u4"])
def test_a_small_network_with_the_same_letters_runs(text):
    found = small(read(text))
    network = build(found["name"], **found["overrides"]).eval()
    assert network(torch.zeros(1, 3, 16, 16)).shape == (1, 10)
    assert parse_stages(network.config.stages, network.config.depths) == read(text).letters()


@pytest.mark.parametrize(("text", "words"), [("resnet50~CCCC", "must be an L"), ("resnet152~LLLL", "too slow")])
def test_what_cannot_be_trained_here_is_said(text, words):
    with pytest.raises(ValueError, match=words):
        small(read(text))


def test_what_the_training_page_cannot_build_is_said():
    wide = read("lambda_resnet_mini~LLLL~h16")
    assert re.search(r"a quarter of the widths.* heads", refused(small(wide)))
    assert refused(small(read("lambda_resnet_mini~LLLL"))) is None


def test_every_base_is_a_network():
    for base in BASES:
        assert Architecture(base).tidy().letters()
    assert not [b for b in BASES if b in FAMILY and any(str(name).isdigit() for name in FAMILY[b].layer)]


def test_a_measurement_runs_once_at_a_time_and_can_be_stopped(monkeypatch):
    networks = (read("lambda_resnet_mini~px64"), read("resnet26~px64"))
    run = speed.start(networks, 1, 100)
    with pytest.raises(RuntimeError, match="under way"):
        speed.start(networks, 1, 100)
    assert run.child.ended.wait(100)
    rates = run.rates()
    assert all(rate > 0 for kind in rates.values() for rate in kind)
    assert len(run.child.lines) == 2 * 2 * speed.ROUNDS + 1
    run = speed.start(networks, 1, 100)
    monkeypatch.setattr(speed.st, "session_state", {speed.RUN: run})
    speed._cancel()
    speed._cancel()  # a second press, while the first is being carried out
    assert run.child.process.returncode and run.rates()["forward"] == [None, None]


def test_a_measurement_that_needs_too_much_says_so():
    order = {"networks": [["resnet26", {}, 224]], "batch": 64, "gib": 0.3, "seconds": 60}
    done = subprocess.run(
        [sys.executable, "-m", "explorer.stopwatch", json.dumps(order)], capture_output=True, text=True, check=True
    )
    assert "smaller batch" in json.loads(done.stdout.splitlines()[-1])["refused"]


def start(**query):
    app = AppTest.from_file(str(navigation.PAGES.parent / "explorer" / "main.py"), default_timeout=120)
    for name, value in query.items():
        app.query_params[name] = value
    app.session_state["page"] = ""
    app.run()
    app.switch_page(PAGE).run()
    assert not app.exception
    return app


def test_stages_are_counted_as_the_page_says():
    """What is c2 here is Stage 1 elsewhere, in every network that the bench has, but those that are no ResNet."""
    assert any("c2 to c5, which other pages call Stage 1 to Stage 4" in text.value for text in start().markdown)
    found = costs(read("resnet26~LLLL"))
    with shapes_only():
        titles = [layer.title for layer in loading.lambda_layers(build("resnet26", stages="LLLL"))]
    blocks_there = [(stage.name, number) for stage in found.stages for number, _ in enumerate(stage.blocks, start=1)]
    assert titles == [f"Stage {int(name[1]) - 1}, block {number}" for name, number in blocks_there]
    assert {len(FAMILY[base].depths) for base in BASES if base in FAMILY} == {4}


def captions(app):
    return " ".join(caption.value for caption in app.caption)


def test_blocks_as_text_change_the_network_and_a_bad_string_gets_a_sentence():
    app = start()
    app.text_input(key="bench_stages").set_value("LLLL").run()
    assert "14,995,592 parameters" in captions(app)
    assert app.query_params["net"] == "resnet50~LLLL"
    for wrong, words in {
        "CCL": "CCL has letters for 3 stages, and ResNet-50 has 4.",
        "CCLQ": "CCLQ: no layer has the letter Q. There are C: convolution",
        "C-C-CLLLL-L": "C-C-CLLLL-L: the 5 letters of stage 3 do not fit its 6 blocks.",
        "C-C--L": "C-C--L has no letter for stage 3.",
    }.items():
        app.text_input(key="bench_stages").set_value(wrong).run()
        assert not app.exception
        with pytest.raises(ValueError):  # noqa: PT011
            build("resnet50", stages=wrong)
        assert any(words in warning.value for warning in app.warning)
        assert app.query_params["net"] == "resnet50~LLLL"


def test_controls_change_the_network_and_the_line_to_copy():
    app = start(net="resnet26~CCLL")
    for name, letter in (("dim_k", "k"), ("heads", "h"), ("dim_u", "u")):
        assert app.selectbox(key=f"bench_{name}").help.lower() == f"{MEANING[letter]}."
    app.selectbox(key="bench_scope").set_value(7).run()
    app.selectbox(key="bench_dim_k").set_value(8).run()
    app.selectbox(key="bench_half").set_value("position").run()
    assert app.query_params["net"] == "resnet26~CCLL~r7~k8~position"
    assert 'build("resnet26", stages="CCLL", dim_k=8, scope=7, content=False)' in app.code[0].value
    assert not app.selectbox(key="bench_scope").disabled
    app.selectbox(key="bench_half").set_value("content").run()
    assert app.selectbox(key="bench_scope").disabled, "without E there is no window"
    app.selectbox(key="bench_base").set_value("san10").run()
    assert not app.exception
    assert "at least one block must be an L" in captions(app)


def test_a_normalization_of_the_paper_is_a_choice():
    app = start(net="resnet26~CCLL")
    app.selectbox(key="bench_norm").set_value("nobatchnorm").run()
    assert app.query_params["net"] == "resnet26~CCLL~nobatchnorm"
    assert 'build("resnet26", stages="CCLL", norm_qv=False)' in app.code[0].value
    app.text_input(key="bench_stages").set_value("CCCC").run()
    assert app.selectbox(key="bench_norm").disabled


def test_the_task_is_done_by_a_lambda_layer_and_by_nothing_else():
    app = start(net="resnet26~CCLL")
    for stages, done in (("CCCL", False), ("SSCL", False), ("C-C-CL-L", True)):
        app.text_input(key="bench_stages").set_value(stages).run()
        assert not app.exception
        assert ("swap" in app.session_state["tasks_done"]) == done


def test_a_link_that_makes_no_sense_shows_the_first_network_and_why():
    app = start(net="resnet99")
    assert any("names no network" in warning.value for warning in app.warning)
    app = start(net="resnet50~QQQQ", beside="resnet50~CCVV")
    said = " ".join(warning.value for warning in app.warning)
    assert "letter Q" in said and "letter V" in said and said.count("lambda layer") == 2
    assert "stages=" not in said and "Convolution)" not in said and said.count(" instead.") == 2


def converse():
    import streamlit as st

    from explorer import workbench

    workbench.arrive()
    st.session_state[workbench.CANVAS] = {"edit": st.session_state["edit"]}
    workbench._edited()


@pytest.mark.parametrize(
    ("edit", "stages"),
    [
        ({"number": 1, "stages": ["CCC", "CLCL", "LLLLLL", "LLL"]}, "C-CL-L-L"),
        ({"number": 1, "stages": ["CCC", "C", 3, "L"]}, "CCLL"),
        ({"number": 1, "stages": ["CCC", "<b>", "C", "L"]}, "CCLL"),
        ({"number": "1", "stages": []}, "CCLL"),
        (None, "CCLL"),
    ],
)
def test_an_edit_from_the_browser_is_checked(edit, stages):
    app = AppTest.from_function(converse, default_timeout=60)
    app.session_state["edit"] = edit
    app.run()
    assert not app.exception
    assert app.session_state["bench_shown"].stages == stages


def test_a_network_goes_to_the_training_page():
    app = start(net="resnet26~CCLL")
    next(button for button in app.button if button.label == "Train these letters").click().run()
    assert not app.exception
    assert app.session_state["architecture"]["overrides"]["stages"] == "CCLL"
    app.switch_page("../pages/training.py").run()
    assert any("resnet26, stages CCLL" in text.value for text in app.markdown)


@pytest.mark.parametrize("component", [network_canvas, paper_table])
def test_the_components_are_whole_and_local(component, tmp_path):
    parts = component.assets()
    (tmp_path / "bundle.mjs").write_text(parts["js"])
    done = subprocess.run(["node", "--check", tmp_path / "bundle.mjs"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "http" not in parts["js"] + parts["css"]
