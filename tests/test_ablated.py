"""What pages tell of the networks of the ablations: beside the paper's tables, as curves, or that there are none."""

import json

import pytest

from explorer import ablated, memory_paper, paper_tables, twins
from lambda_core.tables import compare
from lambda_core.training.ablations import NOTHING
from tests import ablation_results

PAIR = {"micro_ccll": (80.0, 81.0), "micro_cccc": (78.0, 79.0)}


@pytest.fixture
def results(tmp_path, monkeypatch):
    return ablation_results.make(tmp_path, monkeypatch, PAIR | {"micro_attention": (75.0,)})


def test_accuracy_is_a_mean_with_what_seeds_make_of_it(results):
    known = ablated.networks()
    assert ablated.accuracy(known["micro_ccll"]) == "80.5\u00a0%, spread 1.0 over 2 seeds"
    assert ablated.accuracy(known["micro_attention"]) == "75.0\u00a0%, one seed"
    assert ablated.missing(PAIR) == ""
    assert "lambda, content only" in ablated.missing(["micro_content", *PAIR])


def test_curves_are_those_of_every_run(results):
    known = ablated.networks()
    first = known["micro_ccll"]["runs"][0]["history"]
    for metric in twins.PANELS:
        figure = twins.figure([known[name] for name in PAIR], metric)
        assert len(figure.data) == 2 * 2  # networks, seeds
        assert list(figure.data[0].y) == [row[metric] for row in first]
        assert sum(line.showlegend for line in figure.data) == 2


def test_the_large_pair_joins_where_it_was_trained(results):
    assert not set(twins.PAIRS[0]) & set(ablated.networks())
    networks = [{**ablated.networks()["micro_ccll"], "name": name} for name in twins.PAIRS[0]]
    (results / "flagship.json").write_text(json.dumps({"networks": networks}))
    assert set(twins.PAIRS[0]) <= set(ablated.networks())


def test_ours_stand_beside_the_papers_speed(results):
    row = {"table": "placement", "row": "CCLL", "metric": "throughput", "value": 2130, "data": "a GPU, batch 128"}
    (results / "speed.json").write_text(json.dumps({"paper_rows": [row]}))
    data = paper_tables.as_data("placement", paper_tables.figures("placement"))
    assert [name for name, *_ in data["columns"]][-2:] == ["throughput", "measured_speed"]
    cells = {row["row"]: {c["metric"]: c["published"] for c in row["cells"]} for row in data["rows"]}
    assert cells["CCLL"]["measured_speed"] == "2,130" and "measured_speed" not in cells["CCCC"]
    assert "a GPU, batch 128: compare ratios" in paper_tables.of_ours("placement")


def test_ours_stand_beside_the_papers_accuracy(results):
    data = paper_tables.as_data("placement", paper_tables.figures("placement"))
    assert [name for name, *_ in data["columns"]] == ["params_m", "top1", "measured", "throughput"]
    ours = {row["row"]: c["published"] for row in data["rows"] for c in row["cells"] if c["metric"] == "measured"}
    assert ours == {"CCLL": "80.5", "CCCC": "78.5"}
    assert not any(name == "measured_speed" for name, *_ in data["columns"])
    assert "Imagenette" in paper_tables.of_ours("placement") and paper_tables.of_ours("khu") == ""
    assert paper_tables.of_ours("placement").count("small networks") == 1
    top1 = {figure.row: figure for figure in compare("complexity") if figure.metric == "top1"}
    assert "75.0" in memory_paper._accuracy(top1["global self-attention"])


def test_without_results_a_sentence(tmp_path, monkeypatch):
    ablation_results.make(tmp_path, monkeypatch, {})
    assert ablated.networks() == {} and ablated.where() == "" and ablated.missing(PAIR) == NOTHING
    assert NOTHING in paper_tables.of_ours("placement")
    data = paper_tables.as_data("placement", paper_tables.figures("placement"))
    assert "measured" not in [name for name, *_ in data["columns"]]
