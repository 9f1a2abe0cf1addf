"""The type that contestants run in, and how far from float32 it may take them."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}

# Of the largest entry, for the output and the gradient of the input. In float32: sums in another order. In 16 bits: an
# entry is rounded to 8 or 11 bits several times on its way, and the gradient goes back through the statistics of batch
# norm too. An answer that is wrong by design, a mirrored embedding for one, is off by far more.
TOLERANCES = {"float32": (1e-3, 1e-3), "bfloat16": (3e-2, 1e-1), "float16": (1e-2, 3e-2)}


def autocast(precision: str, device: torch.device) -> AbstractContextManager[None]:
    """Autocast of that type; nothing for float32."""
    return nullcontext() if precision == "float32" else torch.autocast(device.type, PRECISIONS[precision])


@contextmanager
def full_float32() -> Iterator[None]:
    """Products and convolutions in float32 proper. On CUDA some run in TF32 otherwise, which keeps 11 bits of 24."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest")
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def timed_precision(precision: str, device: torch.device) -> str:
    """The precision that float32 has while times are taken: on CUDA that of TF32, which has the bits of float16."""
    return "float16" if precision == "float32" and device.type == "cuda" else precision


def prepare(device: torch.device) -> None:
    """On CUDA, products of float32 as training has them."""
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")


def versions(device: torch.device) -> dict[str, str | int | None]:
    """What figures depend on beside the device: PyTorch and, on CUDA, what lies beneath it."""
    found: dict[str, str | int | None] = {
        "torch": torch.__version__,
        "float32_matmul": torch.get_float32_matmul_precision(),
    }
    if device.type == "cuda":
        found |= {"cuda": torch.version.cuda, "cudnn": torch.backends.cudnn.version(), "driver": _driver()}
        found["cudnn_tf32"] = torch.backends.cudnn.allow_tf32
    return found


def _driver() -> str | None:
    """The version of the driver, which PyTorch does not tell."""
    if not (tool := shutil.which("nvidia-smi")):
        return None
    order = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(order, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return None
    return lines[0].strip() if lines else None
