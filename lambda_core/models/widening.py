"""A wider network that computes what a narrower one does (Chen et al. 2016, "Net2Net", section 2.3)."""

import copy

import torch
from torch import Tensor, nn


class CannotWiden(ValueError):
    """The two networks differ in more than the number of channels."""


def _split(shares: Tensor, times: int) -> Tensor:
    """Random numbers (out, in), the `times` shares of each narrow input summing to one."""
    groups = shares.unflatten(1, (-1, times))
    return (groups / groups.sum(2, keepdim=True)).flatten(1)


def _widen(narrow: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Each output channel is copied; a weight to copies of an input is shared out among them at random."""
    times = [to // of for of, to in zip(narrow.shape, shape, strict=True)]
    if any(of * by != to for of, by, to in zip(narrow.shape, times, shape, strict=True)) or any(
        by > 1 for by in times[2:]
    ):
        raise CannotWiden(f"{tuple(narrow.shape)} does not widen to {tuple(shape)}: channels must be a multiple")
    wide = narrow
    for axis, by in enumerate(times):
        wide = wide.repeat_interleave(by, axis) if by > 1 else wide
    if len(times) > 1 and times[1] > 1:
        shares = _split(0.5 + torch.rand(shape[:2], generator=generator), times[1])
        wide = wide * shares.view(*shape[:2], *[1] * (len(shape) - 2)).to(wide.dtype)
    return wide


@torch.no_grad()
def widen(narrow: nn.Module, wide: nn.Module, seed: int = 0, size: int = 96) -> None:
    """Give `wide` the weights with which it computes what `narrow` does, for any image.

    Both have the same layers; the channels of `wide` are whole multiples. Channel i of the narrow network becomes the
    neighbours times i, times i + 1, ... of the wide one, all equal at first. What follows shares its weight out among
    them unequally, so their gradients differ and they part ways in training. Equal shapes are copied as they are.

    Raises CannotWiden where the two do not correspond; layers that mix channels in other ways, such as u > 1 slices of
    values, are found by comparing outputs on images of `size` pixels, and ValueError is raised where a network takes
    none of that size. Nothing is changed before it is known to fit, and of `narrow` nothing at all.
    """
    before = narrow.state_dict()
    target = wide.state_dict()
    if before.keys() != target.keys():
        raise CannotWiden("the two networks do not have the same layers")
    generator = torch.Generator().manual_seed(seed)
    found = {
        name: _widen(tensor.cpu(), target[name].shape, generator).to(target[name])
        if tensor.dim() == target[name].dim()
        else None
        for name, tensor in before.items()
    }
    if wrong := next((name for name, tensor in found.items() if tensor is None), None):
        raise CannotWiden(f"{wrong} has another number of axes in the wider network")
    if any(tensor.shape != target[name].shape for name, tensor in before.items()):
        trial = copy.deepcopy(wide)
        trial.load_state_dict(found)
        channels = getattr(getattr(narrow, "config", None), "in_chans", 3)
        images = torch.rand(2, channels, size, size, generator=generator)
        # Copies, for each part of a network may be in a mode of its own.
        expected, computed = (_scores(network, images) for network in (copy.deepcopy(narrow), trial))
        if not torch.allclose(computed, expected, rtol=1e-3, atol=1e-3):
            raise CannotWiden("the wider network has layers that cannot be widened channel by channel")
    wide.load_state_dict(found)


def _scores(network: nn.Module, images: Tensor) -> Tensor:
    """What a network says of images in eval mode, in which it stays; it may be on any device."""
    return network.eval()(images.to(next(network.parameters()))).float().cpu()
