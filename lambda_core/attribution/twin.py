"""A twin of a network to take apart, and the pace of long work: what lets many sessions share one model."""

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, Self

import torch
from torch import Tensor, nn

from lambda_core.tracing import Tap


def twin(model: nn.Module) -> nn.Module:
    """A network with modules of its own and the same weights in memory, in eval mode, ready to be hooked.

    Hooks go on the twin, so the model is never touched: no hook stays behind, and two threads never see each other's
    tensors. The weights need no gradient there, and activations work out of place, because Captum reads what goes into
    them. Tracing hooks that another thread has on the model's taps do not come along.
    """
    model = getattr(model, "_orig_mod", model)  # a compiled module would not look for hooks, nor would one within
    memo: dict[int, Any] = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in model.parameters()}
    memo |= {id(buffer): buffer for buffer in model.buffers()}
    own = copy.deepcopy(model, memo).eval()
    for module in list(own.modules()):
        module._modules.update({name: getattr(part, "_orig_mod", part) for name, part in module._modules.items()})
    for module in own.modules():
        module._compiled_call_impl = None
        if isinstance(module, Tap):
            module._forward_hooks.clear()
        if getattr(module, "inplace", False):
            module.inplace = False
    return own


def by_path(model: nn.Module) -> dict[str, nn.Module]:
    """The modules of a network by their paths, without what `torch.compile` puts into them."""
    return {plain(path): module for path, module in model.named_modules()}


def plain(path: str) -> str:
    """A path without what `torch.compile` puts into it, as `lambda_core.trace` names tensors."""
    return ".".join(part for part in path.split(".") if part != "_orig_mod")


def class_check(target: int | Tensor) -> Callable[..., None]:
    """A forward hook for a network: ValueError unless it returns logits, among them that of the class or classes."""
    highest, lowest = (int(torch.as_tensor(target).max()), int(torch.as_tensor(target).min()))

    def check(_module: nn.Module, _args: Any, output: Tensor) -> None:
        if output.dim() != 2:
            raise ValueError(f"the network must return logits (b, classes), not {tuple(output.shape)}")
        if lowest < 0 or highest >= output.shape[1]:
            raise ValueError(f"target must be a class from 0 to {output.shape[1] - 1}, not {target}")

    return check


class Turns(nn.Module):
    """A module that is used several times in one forward pass, as one copy for each use, in turn."""

    def __init__(self, module: nn.Module, uses: int) -> None:
        super().__init__()
        self.uses = nn.ModuleList(copy.deepcopy(module) for _ in range(uses))
        self.turn = 0

    def forward(self, x: Tensor) -> Tensor:
        y = self.uses[self.turn % len(self.uses)](x)
        self.turn += 1
        return y


@torch.no_grad()
def unshare(model: nn.Module, x: Tensor, kinds: tuple[type[nn.Module], ...]) -> None:
    """Give every use of a module of these kinds a module of its own; `model(x)` runs once to count the uses."""
    calls: Counter[str] = Counter()
    found = {name: module for name, module in model.named_modules() if type(module) in kinds}
    handles = [
        module.register_forward_hook(lambda _module, _args, _output, name=name: calls.update([name]))
        for name, module in found.items()
    ]
    model(x)
    for handle in handles:
        handle.remove()
    for name, module in found.items():
        if calls[name] > 1:
            parent, _, last = name.rpartition(".")
            setattr(model.get_submodule(parent), last, Turns(module, calls[name]))


class Guard(Protocol):
    """What a threading.Lock does."""

    def acquire(self) -> bool: ...

    def release(self) -> None: ...


class Pace:
    """Long work in slices: `lock` is held while a slice runs, and free between two of them.

    progress(share) is called between slices, without the lock; what it raises ends the work.
    """

    def __init__(
        self, lock: Guard | None = None, progress: Callable[[float], Any] | None = None, slices: int = 1
    ) -> None:
        self.lock: Guard = lock or threading.Lock()
        self.progress, self.slices, self.done = progress, slices, 0

    def __enter__(self) -> Self:
        self.lock.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.lock.release()

    def before(self, _module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """As a forward pre-hook: every pass is a slice. Channels last in memory, which halves the time on a CPU."""
        self.step()
        pictures = (isinstance(arg, Tensor) and arg.dim() == 4 for arg in args)
        return tuple(
            arg.contiguous(memory_format=torch.channels_last) if picture else arg
            for arg, picture in zip(args, pictures, strict=True)
        )

    def step(self) -> None:
        """Called before each slice."""
        if self.done:
            self.lock.release()
            try:
                if self.progress is not None:
                    self.progress(min(self.done / self.slices, 1.0))
                time.sleep(0.0005)  # a thread that lets go of a lock and takes it at once gets it back
            finally:
                self.lock.acquire()
        self.done += 1
