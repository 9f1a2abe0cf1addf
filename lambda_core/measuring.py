"""What a layer takes here: python -m lambda_core.measuring ORDER, in a process of its own, under a ceiling.

ORDER is JSON: {"points": [{"kind": "global attention", "side": 32, "batch": 2, ...}, ...], "gib": 2, "seconds": 120}; a
point has the fields of `Point`. "names", one a point, are what refusals call them. Prints a line of JSON a point, in
the order given: {"point": 0, "kept": bytes, ...} as `measure` returns it, or {"point": 0, "refused": why}; and at the
end {"done": true, "threads": ..., "ceiling": ...}.
"""

import argparse
import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lambda_core.cost import Memory, memory
from lambda_core.cost.operations import operations
from lambda_core.cost.terms import Terms, total
from lambda_core.engines.auto import Shape
from lambda_core.layers import AxialAttention, GlobalAttention, LambdaLayer, LocalAttention
from lambda_core.layers.linear_attention import EfficientAttention
from lambda_core.layers.relative import head_depth, split
from lambda_core.meta import shapes_only

GIB = 2**30
REPEATS = 3  # timed steps; the one before, in which memory is counted, is not timed
TIMEOUT = 3  # exit status of a process that took too long
LONG = 5.0  # seconds of a step that is not repeated


@dataclass(frozen=True)
class Point:
    """Some layers of one kind, of `lambda_core.cost.MEMORY`, one after the other on a side x side map.

    dim: channels in and out, all heads together. k, u: of lambda layers; attention has depth dim / heads. scope: r of
    lambda layers and the window of local attention. The numbers are float32.
    """

    kind: str
    side: int
    batch: int = 1
    heads: int = 8
    dim: int = 128
    k: int = 16
    u: int = 1
    scope: int = 23
    layers: int = 1

    def expected(self, bytes_an_entry: int = 4) -> Memory:
        """What the formulas say. Raises ValueError for sizes that no layer has."""
        depth = head_depth(self.dim, self.heads, "dim")
        return memory(
            self.kind, side=self.side, batch=self.batch, heads=self.heads, v=depth, u=self.u, scope=self.scope,
            k=self.k if self.kind.startswith("lambda") else depth, layers=self.layers, bytes_an_entry=bytes_an_entry,
        )  # fmt: skip

    @property
    def operations(self) -> Terms:
        """FLOPs of a forward pass."""
        fields = asdict(self)
        return operations(fields.pop("kind"), **fields)

    @property
    def shapes(self) -> tuple[Shape, Shape, Shape, tuple[int, int]]:
        """Of q, v and E of a lambda layer, and of the map, as engines take them."""
        n, v, r = self.side**2, self.dim // self.heads, min(self.scope, 2 * self.side - 1)
        q, values = (self.batch, self.heads, n, self.k), (self.batch, n, v, self.u)
        return q, values, (self.k, self.u, r, r), (self.side, self.side)

    @property
    def pairs(self) -> Terms:
        """The terms of what is kept a pair of positions, or a λ for each: what makes a layer large."""
        found = self.expected()
        return tuple(
            term for term in (*found.maps, *found.rest)
            if term.name == "position lambdas" or {"n²", "m", "s"} & {*term.formula.split("·")}
        )  # fmt: skip

    @property
    def needed(self) -> int:
        """Bytes of a training step, at most: also inputs and their gradients, and the copies that the layers make.

        With position embeddings, logits are summed before the softmax; windows and their gradients are copied too.
        """
        copies = total(self.pairs) // self.layers * (2 if self.kind == "local attention" else 1)
        return self.expected().peak + 4 * copies + 16 * self.batch * self.dim * self.side**2

    @property
    def projections(self) -> set[int]:
        """Entries of tensors that a layer keeps and that are not a pair: projections of the map, and summaries."""
        positions, v = self.batch * self.side**2, self.dim // self.heads
        depths = [1, self.heads, self.dim, self.heads * self.k, self.k * self.u, v * self.u]
        if not self.kind.startswith("lambda"):
            depths.append(3 * self.dim)  # queries, keys and values, where they lie in one tensor
        summaries = (self.k * v, self.dim * v, self.dim * self.k)
        return {positions * depth for depth in depths} | {self.batch * entries for entries in summaries}


class FusedAttention(nn.Module):
    """Attention over all pairs by PyTorch's fused kernel, which keeps no map: (b, dim, H, W) -> (b, dim, H, W).

    Without position embeddings: a learned term a pair would be a map again, and PyTorch then falls back to keeping it.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_qkv = nn.Conv2d(dim, 3 * dim, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # The kernels want the depth to lie closely; for other layouts PyTorch takes the plain sum, which keeps a map.
        q, k, v = (split(part, self.heads).contiguous() for part in self.to_qkv(x).chunk(3, 1))
        y = F.scaled_dot_product_attention(q, k, v)
        return y.transpose(2, 3).flatten(1, 2).unflatten(2, x.shape[2:])


Build = Callable[[Point], nn.Module]
BUILD: dict[str, Build] = {
    "global attention": lambda p: GlobalAttention(p.dim, heads=p.heads, size=(p.side, p.side)),
    "axial attention": lambda p: AxialAttention(p.dim, heads=p.heads, size=(p.side, p.side)),
    "local attention": lambda p: LocalAttention(p.dim, heads=p.heads, window=p.scope),
    "linear attention": lambda p: EfficientAttention(p.dim, heads=p.heads, dim_k=p.dim, dim_v=p.dim),
    "flash attention": lambda p: FusedAttention(p.dim, p.heads),
}


def build(point: Point) -> nn.Module:
    """The real layers. Raises ValueError for sizes that they do not have."""
    make = BUILD.get(point.kind, _lambda)
    return nn.Sequential(*(make(point) for _ in range(point.layers)))


def _lambda(p: Point) -> nn.Module:
    engine = p.kind.removeprefix("lambda, ")
    return LambdaLayer(p.dim, dim_k=p.k, heads=p.heads, dim_u=p.u, scope=p.scope, engine=engine)


def kept_by(layer: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The output, and what autograd keeps for the backward pass: a tensor a storage, without input and parameters."""
    own = {t.untyped_storage().data_ptr() for t in (x, *layer.parameters(), *layer.buffers())}
    kept: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y = layer(x)
    return y, [tensor for place, tensor in kept.items() if place not in own]


def _pairs(point: Point, kept: list[Tensor]) -> int | None:
    """Bytes of what is kept a pair: floating point, larger than one number a position, and no projection.

    None where both have the same size and cannot be told apart.
    """
    ordinary, one = point.projections, point.layers * (2 if point.kind == "axial attention" else 1)  # it has two maps
    if ordinary & {term.value // one for term in point.pairs}:
        return None
    found = [t for t in kept if t.is_floating_point() and _entries(t) not in ordinary]
    return sum(4 * _entries(t) for t in found if _entries(t) > point.batch * point.side**2)


def _entries(tensor: Tensor) -> int:
    return tensor.untyped_storage().nbytes() // tensor.element_size()


def measure(point: Point) -> dict[str, Any]:
    """Run the layers forward and backward on random numbers.

    kept: bytes that autograd keeps. pairs: of those, the maps, gathered embeddings and λ, as `Point.pairs` counts, or
    None where a map has the size of a projection. peak: the most that tensors take at once, the input and its gradient
    included. resident: how far the process grew, 0 where the system does not say. seconds: of a step, the median.
    """
    torch.manual_seed(0)
    layer = build(point)
    _forget_peak()
    before = _status("VmRSS")
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as record:
        x = torch.randn(point.batch, point.dim, point.side, point.side, requires_grad=True)
        y, found = kept_by(layer, x)
        kept, pairs = sum(tensor.untyped_storage().nbytes() for tensor in found), _pairs(point, found)
        del found
        y.backward(torch.ones_like(y))
    del y
    resident = max(0, _status("VmHWM") - before)
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < LONG:
        layer.zero_grad()
        x.grad = None
        start = perf_counter()
        y = layer(x)
        y.backward(torch.ones_like(y))
        times.append(perf_counter() - start)
        del y
    return {
        "kept": kept, "pairs": pairs, "peak": most_allocated(record), "resident": resident, "seconds": median(times),
    }  # fmt: skip


def most_allocated(record: Any) -> int:
    """Bytes that tensors took at once while a profile with profile_memory was recorded, beyond those before."""
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        most = max(most, held)
    return most


def _status(name: str, file: Path = Path("/proc/self/status")) -> int:
    """A size of this process in bytes: VmRSS, VmHWM (its highest), VmData; 0 where the system does not say."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    return next((1024 * int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def _forget_peak() -> None:
    """Begin a new VmHWM, where the system has one."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


@dataclass(frozen=True)
class Machine:
    """Bytes, 0 where the system does not say. gpu: of the first CUDA device."""

    total: int
    free: int
    gpu: int = 0
    gpu_name: str = ""


def main_memory() -> Machine:
    """This machine's memory, or that of the container that it is used from. No GPU is woken for it."""
    total, free = _physical()
    group = Path("/sys/fs/cgroup")
    try:
        limit = int((group / "memory.max").read_text(encoding="utf-8"))
        used = int((group / "memory.current").read_text(encoding="utf-8")) - _stat(
            group / "memory.stat", "inactive_file"
        )
        total, free = min(total or limit, limit), min(free or limit, max(0, limit - used))
    except (OSError, ValueError):  # no control groups, or "max": no limit
        pass
    return Machine(total, free)


def machine() -> Machine:
    """`main_memory`, and that of the first CUDA device."""
    if not torch.cuda.is_available():
        return main_memory()
    device = torch.cuda.get_device_properties(0)
    return replace(main_memory(), gpu=device.total_memory, gpu_name=device.name)


def _stat(file: Path, name: str) -> int:
    """A number of a control group; the files that it has read count as used until their room is wanted."""
    words = file.read_text(encoding="utf-8").split()
    return int(words[words.index(name) + 1])


def _physical() -> tuple[int, int]:
    try:
        page, total = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0, 0
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        free = 0
    return page * total, free


UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def said(size: float) -> str:
    """Bytes for people: 9.6 GiB."""
    power = 0
    while size >= 999.5 and power < len(UNITS) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.3g} {UNITS[power]}"


def called(point: Point) -> str:
    """What a refusal calls a point that was given no name."""
    return f"{point.kind}, side {point.side}"


def refusal(point: Point, ceiling: int, name: str = "") -> str | None:
    """Why a point cannot be measured under a ceiling in bytes; None where it can. name: what the sentence calls it."""
    name = name or called(point)
    try:
        needed = point.needed
        with shapes_only():
            build(point)
    except ValueError as error:
        return f"{name}: there is no such layer, {error}."
    free = main_memory().free  # CUDA starts when a measurement needs it: what it maps counts under `limit`
    what = (
        f"{name}: a step's peak in float32 is {said(point.expected().peak)} by the formula, and up to {said(needed)} "
        "with the input, its gradient and copies"
    )
    if needed > ceiling:
        return f"{what}, more than the {ceiling / GIB:.3g} GiB that a measurement may take."
    if free and needed > free:
        return f"{what}, more than the {said(free)} that are free now."
    return None


def limit(ceiling: int) -> bool:
    """No more than `ceiling` bytes beyond what this process has. False where the system holds nobody to that."""
    try:
        import resource
    except ImportError:  # Windows
        return False
    if sys.platform != "linux":  # elsewhere the limit can be set, and is not kept
        return False
    most = _status("VmData") + ceiling
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    return True


def out_of_memory(error: Exception) -> bool:
    """Whether memory is what it was about: PyTorch says so in a RuntimeError."""
    return isinstance(error, MemoryError) or "memory" in str(error).lower()


def _say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.measuring", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("order", help="what to measure, as JSON")
    options = parser.parse_args(arguments)
    try:
        order = json.loads(options.order)
        points = [Point(**point) for point in order["points"]]
        names = list(order.get("names", map(called, points)))
        named = list(zip(points, names, strict=True))
        ceiling, seconds = int(order.get("gib", 2) * GIB), float(order.get("seconds", 120))
    except (ValueError, KeyError, TypeError) as error:
        parser.error(f"this is no order: {error}")
    watch = threading.Timer(seconds, os._exit, (TIMEOUT,))
    watch.daemon = True
    watch.start()
    held = limit(ceiling)
    for number, (point, name) in enumerate(named):
        if why := refusal(point, ceiling, name):
            _say(point=number, refused=why)
            continue
        try:
            _say(point=number, **measure(point))
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            _say(point=number, refused=f"{name}: it took more than the ceiling and was ended.")
    watch.cancel()
    _say(done=True, threads=torch.get_num_threads(), ceiling=held)


if __name__ == "__main__":
    main()
