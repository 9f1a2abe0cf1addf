"""Networks on one batch: a training step, its memory, and inference."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lambda_core.benchmark.contest import compiled, compiled_name
from lambda_core.benchmark.measuring import Failures, milliseconds, peak_bytes, release, tolerated
from lambda_core.benchmark.precision import PRECISIONS, autocast

WHAT = ("step", "inference", "memory")


class Race:
    """times: what -> name -> ms or MiB. failed: what -> name -> why."""

    def __init__(self, batch: int, side: int, repeats: int, device: torch.device, precision: str) -> None:
        self.device, self.precision, self.repeats = device, precision, repeats
        # On CUDA, as training does: convolutions in 16 bits are made for it.
        self.format = torch.channels_last if device.type == "cuda" else torch.contiguous_format
        x = torch.randn(batch, 3, side, side, device=device)
        self.x = x.to(PRECISIONS[precision]).contiguous(memory_format=self.format)
        self.labels = torch.zeros(batch, dtype=torch.long, device=device)
        self.times: dict[str, dict[str, float]] = {what: {} for what in WHAT}
        self.failed: dict[str, Failures] = {what: {} for what in ("build", *WHAT)}
        self.names: list[str] = []  # of all that were to run

    def _scores(self, network: nn.Module) -> Tensor:
        with autocast(self.precision, self.device):
            return network(self.x)

    def step(self, network: nn.Module) -> None:
        loss = F.cross_entropy(self._scores(network).float(), self.labels)
        torch.autograd.grad(loss, [p for p in network.parameters() if p.requires_grad])

    def built(self, makers: Mapping[str, Callable[[], nn.Module]]) -> dict[str, nn.Module]:
        networks: dict[str, nn.Module] = {}
        for name, make in makers.items():
            self.names.append(name)
            with tolerated(name, self.failed["build"]):
                networks[name] = make().to(self.device).to(memory_format=self.format)
        return networks

    def run(self, networks: Mapping[str, nn.Module]) -> None:
        """A step in training mode and its memory, inference in eval mode."""
        runs = {name: partial(self.step, network) for name, network in networks.items()}
        self.times["step"] |= milliseconds(runs, self.repeats, self.device, self.failed["step"])
        for name, run in runs.items():
            if name in self.times["step"]:
                with tolerated(name, self.failed["memory"]):
                    self.times["memory"][name] = peak_bytes(run, self.device) / 2**20
                release(self.device)
        for network in networks.values():
            network.eval()
        forwards = {name: partial(self._scores, network) for name, network in networks.items()}
        with torch.no_grad():
            self.times["inference"] |= milliseconds(forwards, self.repeats, self.device, self.failed["inference"])
        for network in networks.values():
            network.train()
        for name in networks:  # at once: what comes next may take minutes
            each = (f"{what} {self.times[what][name]:.1f} ms" for what in WHAT[:2] if name in self.times[what])
            print(f"  {name}: {', '.join(each) or 'did not run'}", flush=True)

    def run_compiled(self, networks: Mapping[str, nn.Module]) -> None:
        """Each in turn: what a compiler keeps of one is of no use to the next."""
        for name, network in networks.items():
            torch.compiler.reset()
            self.names.append(compiled_name(name))
            with tolerated(compiled_name(name), self.failed["build"]):
                self.run({compiled_name(name): compiled(network)})
            release(self.device)
        torch.compiler.reset()

    def reasons(self) -> dict[str, dict[str, str]]:
        return {what: dict(each) for what, each in self.failed.items() if each}
