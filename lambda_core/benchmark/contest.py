"""Layers that shall compute the same, on one input: proof first, then time and memory, and why one has none."""

import copy
from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from lambda_core.benchmark import parity
from lambda_core.benchmark.measuring import Failures, milliseconds, peak_bytes, release, tolerated
from lambda_core.benchmark.precision import full_float32, timed_precision
from lambda_core.engines.proof import Wrong
from lambda_core.layers.lambda_layer import LambdaLayer

WHAT = ("step", "inference", "memory")
VERSIONS = 128


def compiled_name(name: str) -> str:
    return f"{name}, compiled"


def compiled(module: nn.Module) -> nn.Module:
    """For each shape that it meets anew. Call `torch.compiler.reset` between networks."""
    # A block that is not compiled as part of its network is compiled for every shape and mode, and beyond this number
    # runs as it is, with a warning alone: that would be timed as compiled.
    torch._dynamo.config.recompile_limit = VERSIONS
    made: Any = torch.compile(module, dynamic=False)
    return made


class Contest:
    """times: what -> name -> ms or MiB, None where it could not run. failed: what -> name -> why."""

    def __init__(self, names: list[str], x: Tensor, dy: Tensor, precision: str) -> None:
        self.names = list(names)  # in the order of the columns
        self.x, self.dy, self.precision, self.device = parity.inputs(x, precision), dy, precision, x.device
        self.times: dict[str, dict[str, float | None]] = {what: {} for what in WHAT}
        self.failed: dict[str, Failures] = {what: {} for what in ("parity", *WHAT)}

    def prove(self, ours: LambdaLayer, layers: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        """Those of the layers that compute what ours does by definition, on two examples.

        SystemExit for one that is wrong in float32, and for ours under autocast as well; a peer that is wrong there,
        or that raises, is left out.
        """
        x, dy = self.x[:2].detach().float(), self.dy[:2]
        left = dict(layers)
        with full_float32():
            ours.engine = "einsum"
            reference = parity.step(ours, parity.inputs(x, "float32"), dy)
            ours.engine = "auto"
            for precision in dict.fromkeys(("float32", self.precision)):
                for name, layer in list(left.items()):
                    with tolerated(name, None if layer is ours else self.failed["parity"]):
                        try:
                            parity.check(name, layer, reference, x, dy, precision)
                        except Wrong as wrong:
                            if layer is ours or precision == "float32":
                                raise SystemExit(str(wrong)) from None
                            raise
                    if name in self.failed["parity"]:
                        del left[name]
        release(self.device)
        return left

    def run(self, layers: Mapping[str, nn.Module], repeats: int) -> None:
        """Step, inference (eval mode, no gradient) and peak memory of the step."""
        self._time(layers, {name: copy.deepcopy(layer).eval() for name, layer in layers.items()}, repeats)

    def run_compiled(self, ours: nn.Module, layers: Mapping[str, nn.Module], repeats: int) -> None:
        """The same of each when compiled, where its answer at full size is that of ours when not compiled."""
        reference = [tensor.detach() for tensor in parity.step(ours, self.x, self.dy, self.precision)[:2]]
        allowed = timed_precision(self.precision, self.device)
        for name, layer in layers.items():
            called = compiled_name(name)
            self.names.append(called)
            torch.compiler.reset()
            with tolerated(called, self.failed["parity"]):
                fast, still = compiled(layer), compiled(copy.deepcopy(layer).eval())
                parity.refuse(called, parity.step(fast, self.x, self.dy, self.precision), reference, allowed)
                self._time({called: fast}, {called: still}, repeats)
            release(self.device)
        torch.compiler.reset()

    def _time(self, layers: Mapping[str, nn.Module], still: Mapping[str, nn.Module], repeats: int) -> None:
        steps = {name: partial(parity.step, layer, self.x, self.dy, self.precision) for name, layer in layers.items()}
        forwards = {name: partial(parity.inference, layer, self.x, self.precision) for name, layer in still.items()}
        self.times["step"] |= milliseconds(steps, repeats, self.device, self.failed["step"])
        self.times["inference"] |= milliseconds(forwards, repeats, self.device, self.failed["inference"])
        for name in steps:
            if self.times["step"].get(name) is not None:
                with tolerated(name, self.failed["memory"]):
                    self.times["memory"][name] = peak_bytes(steps[name], self.device) / 2**20
                release(self.device)

    def row(self) -> dict[str, Any]:
        """For JSON: a number or null for every contestant, and the reasons."""
        times = {what: {name: each.get(name) for name in self.names} for what, each in self.times.items()}
        return {**times, "failed": {what: dict(each) for what, each in self.failed.items() if each}}
