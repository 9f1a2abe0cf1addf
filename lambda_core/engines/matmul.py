"""Matrix products at the speed of the machine.

torch.matmul asks MKL, which on a CPU with AVX-512 that is not Intel's runs at AVX2 and reaches half of what oneDNN, the
library behind the convolutions, does. PyTorch offers oneDNN's float32 product only as the operator that compiled models
call; where that is missing, or there is nothing to gain, torch.matmul does the work.
"""

import torch
from torch import Tensor

LEAST = 2**21  # multiply-adds below which a call costs more than it saves


def _faster(a: Tensor, b: Tensor) -> bool:
    return bool(
        a.device.type == "cpu"
        and a.dtype == b.dtype == torch.float32
        and a.shape[-2] * a.shape[-1] * b.shape[-1] >= LEAST
        and torch.backends.mkldnn.is_available()
        and torch.backends.mkldnn.enabled
        and torch.backends.cpu.get_cpu_capability() == "AVX512"
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )


def _linear(a: Tensor, b: Tensor, shift: Tensor | None = None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), shift, "none", [], "")


def product(a: Tensor, b: Tensor, shift: Tensor | None = None) -> Tensor:
    """(rows, sum), (sum, columns) -> (rows, columns), to each of which `shift` (columns,) is added."""
    if _faster(a, b):
        return _linear(a, b, shift)
    return a @ b if shift is None else torch.addmm(shift, a, b)


def products(a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    """(batch, rows, sum), (batch, sum, columns) -> (batch, rows, columns) in `out`, which may split rows or columns."""
    if torch.get_num_threads() > 1 or not _faster(a, b):  # MKL gives each thread products of its own
        if out.dim() == 3 and out.is_contiguous():
            return torch.bmm(a, b, out=out)
        return out.copy_(torch.bmm(a, b).view(out.shape))
    for left, right, place in zip(a, b, out, strict=True):
        place.copy_(_linear(left, right).view(place.shape))
    return out
