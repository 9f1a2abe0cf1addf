"""The tables: every figure comes out, other conventions do not give them, and a wrong figure fails the command."""

import gc
import json

import pytest

from lambda_core import tables
from lambda_core.cost import total
from lambda_core.models.family import evenly
from lambda_core.tables import METRICS, RECIPES, Network, compare, figures, published
from lambda_core.tables.__main__ import main
from lambda_core.tables.notes import NOTES


@pytest.fixture(scope="module")
def every_figure():
    gc.disable()  # fifty networks are very many small objects: looking through them takes a third of the time
    try:
        return {(f.table, f.row, f.metric): f for name in published()["tables"] for f in compare(name)}
    finally:
        gc.enable()


def test_every_figure_comes_out(every_figure):
    assert not [f for f in every_figure.values() if f.verdict == "differs"]
    verdicts = [f.verdict for f in every_figure.values()]
    assert {v: verdicts.count(v) for v in ("match", "erratum", "open")} == {"match": 47, "erratum": 7, "open": 3}


EXACT = {
    ("layers", "conv"): 25_557_032,
    ("layers", "lambda layer"): 14_995_592,
    ("layers", "conv + channel attention (squeeze-excite)"): 28_088_024,
    ("large", "ResNet-101 + 3 lambda"): 36_866_920,
}


@pytest.mark.parametrize("key", EXACT, ids=str)
def test_exact_parameters(key, every_figure):
    assert round(every_figure[*key, "params_m"].recomputed * 1e6) == EXACT[key]


FLOPS = {
    ("content_vs_position", "content"): 5.021, ("content_vs_position", "position"): 11.885,
    ("content_vs_position", "content and position"): 11.962, ("scope", "3x3"): 5.669, ("scope", "7x7"): 6.086,
    ("scope", "15x15"): 7.771, ("scope", "23x23"): 9.967, ("scope", "31x31"): 12.378, ("scope", "global"): 19.363,
}  # fmt: skip


@pytest.mark.parametrize("key", FLOPS, ids=str)
def test_flops(key, every_figure):
    assert every_figure[*key, "flops_b"].recomputed == pytest.approx(FLOPS[key], abs=5e-4)


MEMORY = {"global self-attention": 122.83, "axial self-attention": 4.823, "lambda layer": 0.960}
MEMORY |= {"lambda layer (k=8)": 0.480, "lambda layer (shared embeddings)": 0.313}


@pytest.mark.parametrize("row", MEMORY)
def test_memory(row, every_figure):
    assert every_figure["complexity", row, "memory_gib"].recomputed == pytest.approx(MEMORY[row], abs=5e-3, rel=1e-3)


# Other conventions, which do not give the printed figures.


def position_flops(cost, change):
    """FLOPs of a network with other letters in the terms of its strided or of all lambda layers."""
    changed = 0
    for row in cost.rows:
        terms = row.flops
        if row.kind == "LambdaLayer":
            terms = [term._replace(values={**term.values, **change(row, term)}) for term in terms]
        changed += total(terms)
    return changed / 1e9


def test_counting_the_whole_table_gives_too_much():
    cost = RECIPES["layers"]["lambda layer"].cost
    assert position_flops(cost, lambda row, term: {}) == pytest.approx(11.962, abs=5e-4)
    whole = position_flops(cost, lambda row, term: {"m": 23**2})
    assert whole == pytest.approx(13.09, abs=5e-3)
    assert figures.judge("content_vs_position", "position", "flops_b", 12.0, whole)[0] == "differs"


def test_lambdas_after_the_stride_give_too_little():
    def after(row, term):
        n = row.output[1] * row.output[2]
        return {"n": n, "m": min(23**2, n)}

    less = position_flops(RECIPES["layers"]["lambda layer"].cost, after)
    assert less == pytest.approx(9.61, abs=5e-3)
    assert figures.judge("content_vs_position", "position", "flops_b", 12.0, less)[0] == "differs"


def test_squeeze_excite_on_every_convolution_gives_too_much():
    third = evenly(23, 3)
    assert third.count("L") == 3
    with_se = Network("hybrid_resnet101_d", {"stages": f"S-S-{third.replace('C', 'S')}-L"}).figures()["params_m"]
    assert with_se == pytest.approx(47.4, abs=0.05)
    assert figures.judge("large", "ResNet-101 + 3 lambda", "params_m", 36.9, with_se)[0] == "differs"


# The errata, by the paper's own figures.


def test_ccll_contradicts_the_other_placements():
    printed = {row["row"]: row["params_m"] for row in published()["tables"]["placement"]["rows"]}
    exchanged = printed["CCCC"] + printed["LLLL"] - printed["LLCC"]
    low, high = exchanged - 3 * 0.05, exchanged + 3 * 0.05  # each figure is printed to 0.1
    assert (low, high) == (pytest.approx(15.45), pytest.approx(15.75))
    assert printed["CCLL"] + 0.05 <= low + 1e-9
    assert low <= NOTES["placement", "CCLL", "params_m"].value <= high


@pytest.mark.parametrize(
    ("k", "h", "others", "verdict"),
    [(2, 4, (4, 32), "erratum"), (2, 8, (8, 16), "erratum"), (4, 8, (8, 16), "erratum"), (32, 8, (8, 16), "open")],
)
def test_parameters_are_a_line_in_k(k, h, others, verdict, every_figure):
    """Rows as printed, to 0.1, bound the others: an erratum lies outside, what may be right is open."""
    rows = {each: every_figure["khu", f"k={each}, h={h}, u=1", "params_m"] for each in (2, 4, 8, 16, 32)}
    slope = (rows[16].recomputed - rows[8].recomputed) / 8
    assert all(
        row.recomputed == pytest.approx(rows[8].recomputed + (each - 8) * slope, abs=1e-9) for each, row in rows.items()
    )
    low = max(rows[each].published - 0.05 + (k - each) * slope for each in others)
    high = min(rows[each].published + 0.05 + (k - each) * slope for each in others)
    note, printed = NOTES["khu", f"k={k}, h={h}, u=1", "params_m"], rows[k].published
    assert f"between {low:.2f} and {high:.2f}." in note.why and f"costs {slope:.4f} M" in note.why
    assert low < note.value < high
    assert (low < printed + 0.05 and printed - 0.05 < high) == (verdict == "open") and note.verdict == verdict


def test_notes_are_needed(every_figure):
    """A figure with a note lies outside the tolerance, and its verdict is one that is explained."""
    for key, note in NOTES.items():
        figure = every_figure[key]
        assert abs(figure.recomputed - figure.published) > METRICS[figure.metric].tolerance(figure.published)
        assert note.verdict in ("erratum", "open") and note.verdict == figure.verdict
        assert note.why == figure.note


def test_recipes_and_published_rows_have_the_same_names():
    rows = {name: {row["row"] for row in table["rows"]} for name, table in published()["tables"].items()}
    for table, recipes in RECIPES.items():
        assert set(recipes) <= rows[table]
    known = {*METRICS, "row", "time"}
    assert all(set(row) <= known for table in published()["tables"].values() for row in table["rows"])


# The command.


def test_a_wrong_figure_fails_the_command(monkeypatch, capsys):
    main(["--table", "placement"])  # no SystemExit
    monkeypatch.setitem(RECIPES["placement"], "CCCC", Network("resnet26"))
    with pytest.raises(SystemExit) as stopped:
        main(["--table", "placement"])
    assert stopped.value.code == "1 of 24 figures do not come out: placement CCCC"  # printed, and status 1
    assert "differs" in capsys.readouterr().out


def test_an_erratum_must_stay_the_same_too(monkeypatch):
    monkeypatch.setitem(RECIPES["placement"], "CCLL", Network("resnet50", {"stages": "CLLL"}))
    with pytest.raises(SystemExit, match="placement CCLL"):
        main(["--table", "placement"])


def test_a_row_without_a_recipe_fails(monkeypatch):
    monkeypatch.delitem(RECIPES["complexity"], "lambda layer")
    with pytest.raises(SystemExit, match="complexity lambda layer"):
        main(["--table", "complexity"])


def test_the_file_and_the_text(tmp_path, capsys):
    file = tmp_path / "tables.json"
    main(["--table", "complexity", "--json", str(file)])
    content = json.loads(file.read_text())
    assert content["command"] == "python -m lambda_core.tables --table complexity"
    rows = {figure["row"]: figure for figure in content["figures"] if figure["metric"] == "memory_gib"}
    assert rows["lambda layer"]["ratio"] == pytest.approx(0.9596 / 0.96, abs=1e-3)
    text = capsys.readouterr().out
    line = next(line for line in text.splitlines() if line.startswith("  lambda layer (k=8),"))
    assert line.split()[3:] == ["Θ(l·k·n²)", "0.48", "0.480", "1.000", "77.9", "–", "1640", "–", "match"]


def test_a_row_can_be_derived(capsys):
    main(["--table", "layers", "--derive", "lambda layer"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "build('lambda_resnet50') at 224 px: params, M 14.995592, FLOPs, B 11.961639"
    position = "position lambda: 2·n·m·k·v·u = 2·3136·529·16·16·1 = 849,379,328"
    assert f"stages.0.0.mix {position}" in lines
    for wrong in (["--derive", "conv"], ["--table", "layers", "--derive", "nothing"]):
        with pytest.raises(SystemExit) as stopped:
            main(wrong)
        assert stopped.value.code == 2
    assert "no row of layers is called 'nothing'" in capsys.readouterr().err


def test_an_unknown_table():
    with pytest.raises(ValueError, match=r"^no table is called 'speed'; there are layers, content_vs_position"):
        compare("speed")


def test_our_own_measurements_stand_beside(monkeypatch, tmp_path):
    (tmp_path / "paper.json").write_text(json.dumps(published()))
    entry = {"table": "normalization", "row": "non-normalized keys", "metric": "top1", "value": 81.5, "data": "here"}
    (tmp_path / "ours.json").write_text(json.dumps({"paper_rows": [entry]}))
    (tmp_path / "list.json").write_text("[1]")
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    found = {f.row: f for f in tables.compare("normalization")}
    assert (found["non-normalized keys"].measured, found["non-normalized keys"].measured_on) == (81.5, "here")
    assert found["L2-normalized keys"].measured is None
