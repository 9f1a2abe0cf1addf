"""The fused kernels give what the definition gives, as Triton's interpreter runs them on a CPU.

Whether the interpreter runs a kernel is settled when Triton is imported, so the cases are worked off in a process of
their own: this file, run as a program, writes what it found as JSON.
"""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from lambda_core.engines import einsum, fused, toeplitz

ROOT = Path(__file__).parents[1]
NAMES = "y", "dq", "dv", "dE", "dλc"

# b, h, k, v, size, table, whether the channels of q are last in memory
CASES = {
    "a window wider than the row": (3, 2, 16, 16, (4, 10), (5, 7), True),
    "a window that slides": (3, 2, 16, 32, (3, 19), (3, 3), False),
    "a scope larger than the map": (9, 1, 16, 16, (5, 3), (11, 11), True),
    "other offsets down than across": (1, 2, 16, 16, (6, 4), (3, 9), False),
    "four pixels a tile": (1, 3, 32, 16, (2, 21), (5, 5), False),
    "two pixels a tile": (1, 1, 64, 128, (2, 3), (3, 3), True),
    "one position": (2, 2, 16, 16, (1, 1), (1, 1), True),
    "three bands": (1, 1, 16, 16, (17, 2), (3, 3), True),
}
NARROW = "a window wider than the row", "a window that slides", "two pixels a tile"  # in bfloat16 as well
WIDE = [name for name in CASES if name != "two pixels a tile"]  # k = 64 in float32 is left to another engine
ELSEWHERE = {
    "intra-depth 2": (2, 2, 16, 16, 2),
    "k = 3": (2, 2, 3, 16, 1),
    "v = 24": (2, 2, 16, 24, 1),
}


def problem(b, h, k, v, u, size, table, last=True, dtype=torch.float32):
    """dy, q, v, the table and the content lambda."""
    own = torch.Generator().manual_seed(0)
    n = size[0] * size[1]
    shapes = (b, h, n, v), (b, h, n, k), (b, n, v, u), (k, u, *table), (b, k, v)
    dy, q, *others = (torch.randn(shape, generator=own).to(dtype) for shape in shapes)
    q = q.transpose(1, 2).contiguous().transpose(1, 2) if last else q.mT.contiguous().mT
    return dy, q, *others


def definition(dy: Tensor, *tensors: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
    """Output and gradients, in float64."""
    q, v, table, content = exact = [x.double().requires_grad_() for x in tensors]
    y = einsum.engine(q, v, table, size, content)
    return y, *torch.autograd.grad(y, exact, dy.double())


def kernels(dy: Tensor, *tensors: Tensor, size: tuple[int, int]) -> tuple[Tensor, ...]:
    return fused.output(*tensors, size), *fused.gradients(dy, *tensors, size)


def compared(case: tuple, dtype: torch.dtype) -> dict[str, list[float]]:
    """The largest and the relative error of each result."""
    b, h, k, v, size, table, last = case
    tensors = problem(b, h, k, v, 1, size, table, last, dtype)
    assert fused.applies(*tensors[1:4])
    found, expected = kernels(*tensors, size=size), definition(*tensors, size=size)
    assert all(x.dtype == dtype for x in found)
    assert found[1].stride() == tensors[1].stride()
    assert (found[0].transpose(1, 2) if last else found[0].mT).is_contiguous()
    return {
        name: [(x - y).abs().max().item(), ((x - y).norm() / y.norm()).item()]
        for name, x, y in zip(NAMES, found, expected, strict=True)
    }


def flipped() -> float:
    """How far the output is from that of a flipped table, relative to it."""
    dy, q, v, table, content = problem(1, 1, 16, 16, 1, (4, 4), (3, 3))
    found = fused.output(q, v, table, content, (4, 4))
    other = definition(dy, q, v, table.flip(-2, -1), content, size=(4, 4))[0]
    return ((found - other).norm() / other.norm()).item()


@pytest.fixture(scope="module")
def interpreted() -> dict:
    if find_spec("triton") is None:
        pytest.skip("needs Triton")
    environment = {**os.environ, "TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, __file__], env=environment, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("case", WIDE)
def test_kernels_agree_with_the_definition(interpreted, case):
    assert set(interpreted["float32"][case]) == set(NAMES)
    for name in NAMES:
        assert interpreted["float32"][case][name][0] < 1e-4, name


@pytest.mark.parametrize("case", NARROW)
def test_kernels_agree_in_bfloat16(interpreted, case):
    for name in NAMES:
        assert interpreted["bfloat16"][case][name][1] < 2**-6, name


def test_a_flipped_table_is_noticed(interpreted):
    assert interpreted["flipped"] > 0.1


@pytest.mark.parametrize("case", ELSEWHERE)
def test_other_shapes_are_left_to_another_engine(interpreted, case):
    assert not interpreted["elsewhere"][case]["applies"]
    assert interpreted["elsewhere"][case]["error"] < 1e-4


def test_without_a_device_another_engine_answers(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    tensors = problem(2, 2, 16, 16, 1, (3, 4), (3, 3))
    assert not fused.applies(*tensors[1:4])
    for found, expected in zip(kernels(*tensors, size=(3, 4)), definition(*tensors, size=(3, 4)), strict=True):
        torch.testing.assert_close(found, expected.float(), rtol=0, atol=1e-4)


def test_the_engine_has_gradients():
    _, *tensors = (x.double().requires_grad_() for x in problem(1, 2, 2, 3, 1, (2, 3), (3, 5)))
    assert torch.autograd.gradcheck(lambda q, v, table, content: fused.engine(q, v, table, (2, 3), content), tensors)


def main() -> None:
    torch.set_num_threads(1)
    found: dict = {
        "float32": {name: compared(CASES[name], torch.float32) for name in WIDE},
        "bfloat16": {name: compared(CASES[name], torch.bfloat16) for name in NARROW},
    }
    found["elsewhere"] = {}
    for case, shape in ELSEWHERE.items():
        tensors = problem(*shape, (3, 4), (3, 3))
        pairs = zip(kernels(*tensors, size=(3, 4)), definition(*tensors, size=(3, 4)), strict=True)
        error = max((x - y).abs().max().item() for x, y in pairs)
        found["elsewhere"][case] = {"applies": fused.applies(*tensors[1:4]), "error": error}
    print(json.dumps(found | {"flipped": flipped()}))


if __name__ == "__main__":
    main()


@pytest.mark.parametrize("changed", [{"heads": 20}, {"values": 96}, {"k": 8}], ids=str)
def test_what_the_kernel_does_not_take_is_costed_as_what_does(changed):
    heads, values, k = ({"heads": 4, "values": 64, "k": 16} | changed).values()
    shapes = (8, heads, 256, k), (8, 256, values, 1), (k, 1, 23, 23), (16, 16)
    assert fused.cost(*shapes) == toeplitz.cost(*shapes)
    fits = (8, 4, 256, 16), (8, 256, 64, 1), (16, 1, 23, 23), (16, 16)
    assert fused.cost(*fits) != toeplitz.cost(*fits)
