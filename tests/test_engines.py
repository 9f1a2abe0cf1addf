"""Every engine gives what the definition gives, and `auto` picks one for a reason."""

import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lambda_core.engines import ENGINES, attention, auto, convolution, einsum, explain, measure, select
from lambda_core.functional import lambda_layer
from lambda_core.positions import gather

FAST = sorted(set(ENGINES) - {"einsum"})


def problem(b, h, k, values, u, table, size, seed=0):
    torch.manual_seed(seed)
    n = size[0] * size[1]
    shapes = (b, h, n, k), (b, n, values, u), (k, u, *table)
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def results(name, tensors, size):
    """Output and gradients, under a fixed random direction."""
    y = ENGINES[name](*tensors, size)
    torch.manual_seed(1)
    return y, *torch.autograd.grad(y, tensors, torch.randn(y.shape, dtype=y.dtype))


@pytest.mark.parametrize("name", FAST)
@settings(max_examples=25, deadline=None)
@given(
    b=st.integers(1, 2),
    h=st.integers(1, 3),
    k=st.integers(1, 3),
    values=st.integers(1, 3),
    u=st.integers(1, 3),
    table=st.tuples(st.sampled_from([1, 3, 5, 11]), st.sampled_from([1, 3, 5, 11])),
    size=st.tuples(st.integers(1, 5), st.integers(1, 6)),
)
def test_output_and_gradients_agree(name, b, h, k, values, u, table, size):
    tensors = problem(b, h, k, values, u, table, size)
    for found, expected in zip(results(name, tensors, size), results("einsum", tensors, size), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def test_einsum_is_the_definition():
    """With keys that normalise to zero, lambda_layer has its position part alone."""
    q, v, table = problem(2, 3, 2, 3, 2, (5, 3), (4, 3))
    embeddings = gather(table, (4, 3)).permute(2, 3, 0, 1)
    expected = lambda_layer(q, torch.zeros(2, 12, 2, 2, dtype=torch.float64), v, embeddings, key_norm="none")
    torch.testing.assert_close(ENGINES["einsum"](q, v, table, (4, 3)), expected)


@pytest.mark.parametrize("name", ENGINES)
def test_a_flipped_table_is_noticed(name):
    q, v, table = problem(1, 1, 2, 2, 1, (3, 3), (4, 4))
    assert not torch.allclose(
        ENGINES[name](q, v, table, (4, 4)), ENGINES["einsum"](q, v, table.flip(-2, -1), (4, 4)), atol=0.1
    )


@pytest.mark.parametrize("name", ENGINES)
def test_gradcheck(name):
    tensors = problem(1, 2, 2, 1, 2, (3, 5), (2, 3))
    assert torch.autograd.gradcheck(lambda *t: ENGINES[name](*t, (2, 3)), tensors)


def test_position_weights_and_lambdas_give_the_output():
    q, v, table = problem(2, 2, 3, 2, 2, (5, 5), (3, 4))
    y = ENGINES["einsum"](q, v, table, (3, 4))
    weights = attention.position_weights(q, table, (3, 4))
    torch.testing.assert_close(torch.einsum("bhnmu,bmvu->bhnv", weights, v), y)
    expected = einsum.position_lambdas(v, table, (3, 4))
    torch.testing.assert_close(convolution.position_lambdas(v, table, (3, 4)), expected)


STAGES = [(64, 56), (128, 28), (256, 14), (512, 7)]


def shapes(width, side, b=8, h=4, k=16, scope=23):
    n = side * side
    return (b, h, n, k), (b, n, width // h, 1), (k, 1, scope, scope), (side, side)


def test_costs_count_what_the_engines_do():
    q, v, table, size = shapes(32, 5, b=2, scope=3)
    n, pairs, k, values, b, h = 25, 625, 16, 8, 2, 4
    assert einsum.cost(q, v, table, size) == (b * k * values * (pairs + h * n), pairs * k + b * n * k * values)
    assert convolution.cost(q, v, table, size) == (b * n * k * values * (9 + h), 2 * b * n * k * values)
    assert attention.cost(q, v, table, size) == (b * h * pairs * (k + values), pairs * (k + 2 * b * h))


@pytest.mark.parametrize(("width", "side"), STAGES)
def test_auto_takes_the_fastest_estimate(width, side):
    estimates = auto.estimate(*shapes(width, side))
    chosen = select(*shapes(width, side))
    assert estimates[chosen].seconds == min(e.seconds for e in estimates.values() if e.bytes <= auto.ROOM)


def test_auto_on_the_stages_of_a_resnet():
    """Measured on a CPU: dense weights on small maps; the definition never."""
    chosen = [select(*shapes(width, side)) for width, side in STAGES]
    assert chosen[2:] == ["attention", "attention"]
    assert "einsum" not in chosen


def test_auto_minds_the_memory():
    """A weight for every pair of a large map would fill the machine."""
    estimates = auto.estimate(*shapes(64, 160, scope=7))
    assert estimates["attention"].bytes > 2**37
    assert select(*shapes(64, 160, scope=7)) == "convolution"


def test_auto_prefers_time_among_those_with_room(monkeypatch):
    constants = {"cpu": {"einsum": (1.0, 0, 0), "convolution": (9.0, 0, 0), "attention": (3.0, 0, 0)}}
    monkeypatch.setattr(auto, "CONSTANTS", constants)
    args = shapes(64, 14)
    assert select(*args) == "einsum"
    monkeypatch.setattr(auto, "ROOM", auto.estimate(*args)["einsum"].bytes - 1)
    assert select(*args) == "convolution"
    assert "of those that store at most" in explain(*args)


def test_explain_is_one_sentence_with_each_engine():
    sentence = explain(*shapes(256, 14))
    assert sentence.startswith("attention: the shortest estimated time on cpu for a 14 x 14 map (attention ")
    assert sentence.endswith(".")
    assert "\n" not in sentence
    for name, estimate in auto.estimate(*shapes(256, 14)).items():
        found = re.search(rf"{name} ([\d.,]+) M multiply-adds, ([\d.,]+) MiB, ([\d.,]+) ms", sentence)
        assert found
        operations, mebibytes, milliseconds = (float(text.replace(",", "")) for text in found.groups())
        assert operations == pytest.approx(estimate.operations / 1e6, abs=0.06)
        assert mebibytes == pytest.approx(estimate.bytes / 2**20, abs=0.06)
        assert milliseconds == pytest.approx(estimate.seconds * 1e3, abs=0.06)


def test_unmeasured_devices_count_as_a_cpu():
    assert auto.estimate(*shapes(64, 14), "meta") == auto.estimate(*shapes(64, 14), "cpu")


def test_constants_cover_every_engine():
    for constants in auto.CONSTANTS.values():
        assert constants.keys() == ENGINES.keys() == auto.COSTS.keys()
        assert all(len(c) == 3 and min(c) >= 0 and max(c) > 0 for c in constants.values())


def test_fit_finds_the_constants():
    rows = torch.tensor([[1, 1e6, 1e3], [1, 4e6, 9e3], [1, 1e4, 5e5], [1, 1e8, 1e4], [1, 10, 10]], dtype=torch.float64)
    constants = torch.tensor([1e-4, 2e-10, 3e-9], dtype=torch.float64)
    assert measure.fit(rows, rows @ constants) == pytest.approx(constants.tolist(), rel=1e-6)
    slower_without = rows @ torch.tensor([1e-4, 2e-10, -1e-12], dtype=torch.float64)
    assert min(measure.fit(rows, slower_without)) == 0


def test_measure_writes_what_auto_reads(tmp_path, monkeypatch):
    monkeypatch.setattr(measure, "PROBLEMS", ((1, 1, 2, 2, 1, 3, 3), (1, 2, 4, 4, 1, 3, 4)))
    path = tmp_path / "constants.json"
    path.write_text('{"other": {}}')
    threads = torch.get_num_threads()
    try:
        measure.main(["--device", "cpu", "--repeats", "1", "--json", str(path)])
    finally:
        torch.set_num_threads(threads)
    written = json.loads(path.read_text())
    assert set(written) == {"other", "cpu"}
    assert set(written["cpu"]) >= {"command", "device", "date", "engines"}
    assert written["cpu"]["engines"].keys() == ENGINES.keys()
