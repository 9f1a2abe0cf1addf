"""The memory page: formulas against layers that run, sentences, links, refusals, the process that measures."""

import csv
import io
import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from streamlit.testing.v1 import AppTest
from torch.utils.flop_counter import FlopCounterMode

from explorer import budget, derivations, memory_charts, memory_exports, memory_here, memory_paper, navigation
from explorer.budget import AUTO, KINDS, Sizes
from lambda_core import measuring, step_time
from lambda_core.cost import MEMORY, profile, total
from lambda_core.cost.operations import OPERATIONS, operations
from lambda_core.measuring import GIB, Machine, Point, build, machine, measure, refusal
from lambda_core.tables import RECIPES, Maps, published

MACHINE = Machine(24 * GIB, 12 * GIB)
SMALL = {"side": 14, "batch": 2, "heads": 4, "dim": 64, "k": 16, "scope": 7}


@pytest.mark.parametrize("kind", MEMORY)
def test_what_is_kept_a_pair_is_within_15_per_cent_of_the_formula(kind):
    point = Point(kind, **SMALL)
    found, predicted = measure(point), 4 * total(point.pairs)
    assert abs(found["pairs"] - predicted) <= 0.15 * predicted
    assert 0.85 < found["kept"] / point.expected().bytes < 1.2
    assert found["kept"] <= found["peak"] and found["seconds"] > 0
    assert found["peak"] < 1.2 * point.needed


@pytest.mark.parametrize(
    ("kind", "side"),
    [("global attention", 5), ("axial attention", 5), ("local attention", 10), ("local attention", 3)],
)
def test_maps_of_one_image_are_told_from_projections(kind, side):
    point = Point(kind, side, batch=1, heads=4, dim=64, scope=7)  # queries, keys and values lie in one tensor
    assert measure(point)["pairs"] == pytest.approx(4 * total(point.pairs), rel=0.15)


def test_layers_one_after_the_other_keep_as_much_each():
    one, three = (measure(Point("global attention", **SMALL | {"layers": layers}))["pairs"] for layers in (1, 3))
    assert three == pytest.approx(3 * one)


def test_a_map_of_the_size_of_a_projection_is_not_told_apart():
    point = Point("axial attention", **SMALL | {"side": 16, "dim": 64, "heads": 4})  # s = v
    assert measure(point)["pairs"] is None


@pytest.mark.parametrize("kind", OPERATIONS)
def test_operations_are_those_of_the_layers(kind):
    point = Point(kind, 12, 1, 4, 64, scope=5, layers=2)
    expected = total(operations(kind, side=12, dim=64, heads=4, scope=5, layers=2))
    if kind == "flash attention":  # a module of its own, which `profile` does not know
        with torch.device("meta"), FlopCounterMode(display=False) as counter:
            build(point)(torch.empty(1, 64, 12, 12))
        assert counter.get_total_flops() == expected
    else:
        assert profile(build(point), 12, channels=64).flops == expected


def test_operations_of_a_lambda_layer_that_sums_over_the_whole_map():
    found = {t.name: t.value for t in operations("lambda, einsum", side=8, dim=32, batch=2, heads=4, k=4, scope=15)}
    cost = profile(build(Point("lambda, einsum", 8, 1, 4, 32, 4, 1, 15)), 8, channels=32)
    assert sum(found.values()) == 2 * cost.flops + found["λc times queries"]  # apart, the halves meet the queries twice


def test_what_does_not_fit_is_refused_with_a_reason():
    large = Point("global attention", 256, 64)
    assert "more than the 2 GiB that a measurement may take" in refusal(large, 2 * GIB)
    assert "free now" in refusal(large, 2**60)
    assert "multiple of heads" in refusal(Point("axial attention", 8, heads=7), GIB)
    assert refusal(Point("flash attention", 8), GIB) is None


def test_a_refusal_tells_the_margin_from_the_peak_of_the_page():
    sizes = Sizes(side=160, heads=1)
    name = budget.name(AUTO, sizes)
    why = refusal(sizes.point(AUTO), 2 * GIB, name)
    assert name == "Lambda (gemm engine)" and why.startswith(f"{name}: ") and "lambda, gemm" not in why
    assert measuring.said(budget.size_of(AUTO, sizes, "peak")) in why  # the page's own figure
    assert f"up to {measuring.said(sizes.point(AUTO).needed)} with" in why and "more than the 2 GiB" in why


def order(*points, **more):
    text = json.dumps({"points": points, **more})
    return subprocess.run(
        [sys.executable, "-m", "lambda_core.measuring", text], capture_output=True, text=True, check=False
    )


@pytest.mark.skipif(sys.platform != "linux", reason="no other system holds a process to a ceiling")
def test_the_ceiling_holds():
    code = (
        "import torch; from lambda_core.measuring import limit; assert limit(2**28)\n"
        "torch.ones(2**24)\ntry: torch.ones(2**28)\nexcept RuntimeError as error: print('memory' in str(error))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "True\n"


def test_the_process_says_a_line_a_point():
    done = order({"kind": "flash attention", "side": 8}, {"kind": "global attention", "side": 256}, gib=0.5)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [line.get("point") for line in lines] == [0, 1, None]
    assert lines[0]["pairs"] == 0 and "0.5 GiB" in lines[1]["refused"] and lines[2]["done"]
    assert lines[1]["refused"].startswith("global attention, side 256: ")


def test_a_point_is_called_as_it_is_told(monkeypatch, capsys):
    monkeypatch.setattr(measuring, "limit", lambda ceiling: False)
    monkeypatch.setattr(measuring.threading, "Timer", lambda *_: SimpleNamespace(start=int, cancel=int))
    point = {"kind": "global attention", "side": 256}
    measuring.main([json.dumps({"points": [point], "gib": 0.5, "names": ["The first"]})])
    assert json.loads(capsys.readouterr().out.splitlines()[0])["refused"].startswith("The first: ")
    with pytest.raises(SystemExit) as stopped:
        measuring.main([json.dumps({"points": [point], "names": []})])
    assert stopped.value.code == 2


def test_a_run_is_followed_cancelled_and_one_at_a_time():
    asked = [("global attention", Sizes(side=48, batch=8, layers=1))] * 20
    run = memory_here.start(asked, 4)
    with pytest.raises(RuntimeError, match="under way"):
        memory_here.start(asked, 4)
    run.child.stop()
    assert run.child.process.poll() is not None and len(run.child.lines) < 20
    again = memory_here.start([("flash attention", Sizes(side=4, batch=1))], 1, seconds=0.001)
    assert again.child.ended.wait(60) and again.child.process.returncode == 3 and not again.child.lines
    assert again.child.failure(120) == "took longer than 120 seconds and was stopped"


def test_the_sentence_says_what_fits():
    crossed = budget.sentence(Sizes(batch=32), "kept", MACHINE.total)
    assert crossed.startswith("At side 56, global attention would keep **28.7 GiB**: more than the 24 GiB")
    assert "3 lambda layers keep **331 MiB**" in crossed and "up to side 53" in crossed
    assert "more than" not in budget.sentence(Sizes(), "kept", MACHINE.total)
    assert "no map at all" in budget.sentence(Sizes(), "maps", MACHINE.total)
    assert budget.sentence(Sizes(), "kept", 0).count("GiB") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_largest_side_is_the_last_that_fits(kind):
    side = budget.largest_side(kind, Sizes(), "kept", MACHINE.total)
    fits, not_any_more = (budget.size_of(kind, Sizes(side=s), "kept") for s in (side, side + 1))
    assert fits <= MACHINE.total < not_any_more


def test_sizes_go_through_a_link():
    sizes = Sizes(side=96, heads=4, u=2, entry=2)
    assert sizes.text() == "s96-h4-u2-e2" and budget.read(sizes.text()) == sizes and budget.read("") == Sizes()
    for text, why in {
        "s9999": "goes from 4 to 512",
        "x3": "no size",
        "h5": "split",
        "r4": "odd",
        "s": "no size",
        "e3": "2 or 4 bytes, not 3",
    }.items():
        with pytest.raises(ValueError, match=why):
            budget.read(text)


def test_what_a_link_says_instead_of_sizes_is_no_markup():
    with pytest.raises(ValueError, match="no size") as refused:
        budget.read("![](//a.co/b.png)")
    assert "“\\!\\[\\](//a.co/b.png)” is no size" in str(refused.value)


@pytest.mark.parametrize("axis", budget.AXES)
def test_curves_pass_through_the_chosen_sizes(axis):
    for what in memory_charts.COUNTED:
        for curve in memory_charts.curves(what, Sizes(), axis, "peak"):
            y = dict(zip(curve.x, curve.y, strict=True))[getattr(Sizes(), axis)]
            here = {"memory": budget.size_of, "work": budget.flops, "time": budget.seconds}[what]
            assert y == here(curve.kind, Sizes(), "peak")
    assert memory_charts.figure("memory", Sizes(), axis, "maps", MACHINE, "dark").data


PLACES = (Sizes(side=160, heads=1), Sizes(side=8, scope=3), Sizes(side=64, k=4, scope=127, u=4))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sizes", PLACES, ids=Sizes.text)
def test_every_letter_of_a_shown_formula_is_explained(kind, sizes):
    own = derivations.of_kind(sizes.point(kind).kind)
    shown = [term for part in budget.terms(kind, sizes, "peak").values() for term in part]
    for terms in (shown, budget.flop_terms(kind, sizes)):
        letters = {letter for term in terms for letter in term.formula if letter.isalpha()}
        assert letters == set(derivations.meanings(terms, own))
        assert all(f">{letter}</i></code> " in derivations.legend(terms, "light", own) for letter in letters)


def test_a_letter_is_explained_by_what_it_is_in_that_engine():
    gemm, toeplitz, fft = (derivations.of_kind(f"lambda, {engine}") for engine in ("gemm", "toeplitz", "fft"))
    assert "worked off together" in gemm["t"] and "tile" in gemm["w"] and "frequencies" in gemm["f"]
    assert "band" in toeplitz["g"] and "k" in fft["c"] and "t" not in fft
    assert "columns of the map" not in " ".join(gemm.values())


def test_a_pointer_on_a_curve_is_told_letters_that_no_slider_has():
    sizes = Sizes(side=16, batch=1, layers=1, scope=255, k=128)
    told = next(curve for curve in memory_charts.curves("memory", sizes, "side", "peak") if curve.kind == AUTO).told
    assert any("Toeplitz matrices<br>4·f·w·k·a·u" in text and "<br>f frequencies" in text for text in told)


def test_every_letter_of_the_papers_table_is_explained():
    for row in published()["tables"]["complexity"]["rows"]:
        html = memory_paper.opened(row["time"], RECIPES["complexity"].get(row["row"]), "light")
        for letter in {letter for letter in row["time"] if letter.isalpha()}:
            assert f">{letter}</i></code> " in html, row["row"]
    assert any(isinstance(recipe, Maps) for recipe in RECIPES["complexity"].values())


def test_a_chart_shows_the_curves_that_the_legend_says_and_has_no_legend_itself():
    shown = ["global attention", "lambda, fft"]
    chart = memory_charts.figure("memory", Sizes(), "side", "kept", MACHINE, "light", shown=shown)
    assert chart.layout.showlegend is False
    assert [line.name for line in chart.data if line.visible] == [KINDS[kind] for kind in shown]
    assert chart.layout.xaxis.ticklabelstandoff > 4  # so that the first size and the lowest bytes do not touch


def test_only_a_machine_with_a_gpu_has_its_line():
    assert list(memory_charts.lines(MACHINE)) == ["this machine, 24 GiB"]
    both = memory_charts.lines(replace(MACHINE, gpu=80 * GIB, gpu_name="GPU"))
    assert list(both.values()) == [24 * GIB, 80 * GIB]
    assert memory_charts.lines(Machine(0, 0)) == {}
    assert machine().total >= machine().free


@pytest.mark.parametrize(
    ("now", "most"),
    [(Machine(64 * GIB, 6 * GIB), 4), (Machine(8 * GIB, 0), 2), (Machine(0, 0), 2), (Machine(0, 1), 0.25)],
)
def test_no_ceiling_is_offered_above_what_should_be_free(now, most):
    assert memory_here.ceilings(now)[-1] == most


def test_a_dot_is_on_a_curve_only_with_its_other_sizes():
    dot = {"asked": AUTO, "sizes": Sizes(side=28)}
    assert budget.dots([dot], Sizes(), "side") == [dot]
    assert budget.dots([dot], Sizes(), "batch") == budget.dots([dot], Sizes(batch=1), "side") == []


def test_seconds_are_those_of_a_step():
    for kind in budget.KINDS:
        assert budget.seconds(kind, Sizes()) == step_time.seconds(Sizes().point(kind)) > 0
        assert budget.seconds(kind, Sizes(), "forward") == pytest.approx(budget.seconds(kind, Sizes()) / 3)


@pytest.mark.parametrize(
    ("time", "words"),
    [
        (3e-6, "3 µs"), (0.0125, "12.5 ms"), (1, "1 s"), (90, "90 s"), (600, "10 min"), (9000, "2.5 h"),
        (9.997e-4, "1 ms"), (0.9994, "999 ms"), (0.9996, "1 s"), (119.9, "120 s"), (5440 * 86_400, "14.9 years"),
        (4e10, "1,268 years"),
    ],
)  # fmt: skip
def test_times_for_people(time, words):
    assert budget.said_time(time) == words


def test_a_measured_step_is_a_dot_on_the_chart_of_seconds():
    dot = {"asked": AUTO, "sizes": Sizes(side=28), "kept": 2**20, "pairs": 0, "seconds": 0.25}

    def dots(what, count):
        chart = memory_charts.figure(what, Sizes(), "side", count, MACHINE, "light", [dot])
        return [(*line.x, *line.y) for line in chart.data if line.mode == "markers"]

    assert dots("time", "kept") == [(28, 0.25)] and dots("memory", "kept") == [(28, 2**20)]
    assert dots("time", "forward") == dots("work", "kept") == dots("memory", "forward") == []
    assert memory_charts.drawing(Sizes(), "side", "kept", MACHINE, "svg", [dot], "work").startswith(b"<?xml")


def test_exports_are_what_they_say():
    rows = list(csv.DictReader(io.StringIO(memory_exports.as_csv(Sizes(), "batch", "kept"))))
    row = next(row for row in rows if row["layer"] == "global attention" and row["batch"] == "16")
    assert int(row["bytes"]) == budget.size_of("global attention", Sizes(), "kept")
    assert float(row["seconds"]) == budget.seconds("global attention", Sizes())
    assert len(json.loads(memory_exports.as_json(Sizes(), "batch", "kept", MACHINE))["curves"]) == len(rows)
    assert memory_charts.drawing(Sizes(), "side", "kept", MACHINE, "svg").startswith(b"<?xml")
    said = io.StringIO()
    program = memory_exports.snippet(Sizes(side=8, batch=1, layers=1))
    exec(compile(program, "snippet", "exec"), {"print": lambda *words: print(*words, file=said)})
    assert "attention maps: l·b·h·n² = 1·1·8·64² = 32,768" in said.getvalue() and "'pairs': " in said.getvalue()


def page(**query):
    app = AppTest.from_file(str(navigation.PAGES.parent / "explorer" / "main.py"), default_timeout=120)
    app.run()
    for name, value in query.items():
        app.query_params[name] = value
    app.switch_page("../pages/memory.py").run()
    assert not app.exception
    return app


def said(app):
    return " ".join(text.value for text in [*app.markdown, *app.info, *app.warning])


def test_sliders_move_the_sentence_and_the_link():
    app = page()
    assert "At side 56" in said(app)
    app.select_slider(key="memory_side").set_value(28).run()
    app.select_slider(key="memory_batch").set_value(64).run()
    assert not app.exception and "At side 28" in said(app)
    assert app.query_params["sizes"] == "s28-b64"
    html = " ".join(block.value for block in app.get("html") if hasattr(block, "value"))
    assert "attention maps" in html


def test_a_link_that_makes_no_sense_is_explained():
    app = page(sizes="s28-q4")
    assert "“q4” is no size" in said(app) and "At side 56" in said(app)


def test_choices_of_a_link_that_are_none_are_explained():
    app = page(along="banana", count="maps", right="coins")
    assert "“along” must be one of side, batch" in said(app) and "“right” must be one of time, work" in said(app)
    assert "count" in app.query_params and "along" not in app.query_params and "right" not in app.query_params


def test_seconds_and_flops_stand_beside_the_memory():
    app = page()
    assert "**Seconds of a training step**" in said(app)
    app.segmented_control(key="memory_beside_choice").set_value("work").run()
    assert not app.exception
    assert "**FLOPs of a training step**" in said(app) and app.query_params["right"] == "work"


def test_the_legend_shows_and_hides_curves_and_keeps_what_was_chosen():
    app = page()
    legend = app.pills(key="memory_curves_choice")
    assert legend.value == budget.SHOWN and legend.options == list(KINDS.values())
    legend.set_value(["linear attention"]).run()
    app.switch_page("../pages/home.py").run()
    app.switch_page("../pages/memory.py").run()
    assert not app.exception and app.pills(key="memory_curves_choice").value == ["linear attention"]
    app.pills(key="memory_curves_choice").set_value([]).run()
    assert not app.exception


def test_measuring_what_does_not_fit_says_why():
    app = page(sizes="s512-b1024")
    app.multiselect(key="memory_kinds").set_value(["global attention"]).run()
    app.button(key="memory_measure").click().run()
    assert not app.exception
    assert len(app.warning) == 3 and all("more than the" in warning.value for warning in app.warning)
    assert app.warning[0].value.startswith("Global attention, side 128: ")
    assert memory_here.RUN not in app.session_state
