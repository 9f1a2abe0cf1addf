"""`profile(model, image_size)`: every module's parameters, FLOPs and stored numbers, without running on real data."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NamedTuple

import torch
from torch import Size, Tensor, nn

from lambda_core.cost.formulas import DEFAULT, FORMULAS, PARAMETERS, free
from lambda_core.cost.terms import Counts, Formula, Term, Terms, of_shape, total


@dataclass(frozen=True)
class Row:
    """One layer of a network: path as in `model.get_submodule`, type, shape of its output for one image, and terms.

    A layer that mixes positions is one row, its projections and norms among the terms. `counted` is False for a module
    that has parameters, but no formula: its FLOPs are missing.
    """

    path: str
    kind: str
    output: tuple[int, ...]
    params: Terms
    flops: Terms
    stored: Terms
    counted: bool = True


@dataclass(frozen=True)
class Cost:
    """Of one network: rows in the order of its modules, and their sums.

    params: numbers that are learned, a shared one once. flops: of one image, 2 a multiply-add. activations: numbers
    that the counted layers put out, for the batch. stored: λ, gathered embeddings and attention maps that are kept
    within layers, for the batch.
    """

    rows: tuple[Row, ...]
    batch: int = 1

    @property
    def params(self) -> int:
        return sum(total(row.params) for row in self.rows)

    @property
    def flops(self) -> int:
        return sum(total(row.flops) for row in self.rows)

    @property
    def activations(self) -> int:
        return self.batch * sum(Size(row.output).numel() for row in self.rows if row.flops)

    @property
    def stored(self) -> int:
        return sum(total(row.stored) for row in self.rows)

    @property
    def uncounted(self) -> tuple[str, ...]:
        """Paths of modules with parameters whose FLOPs no formula gives."""
        return tuple(row.path for row in self.rows if not row.counted)

    def under(self, path: str) -> "Cost":
        """The rows of one part of the network: `cost.under("stages.2.0")` is the first block of the third stage.

        "" is the whole, as for `get_submodule`. Raises KeyError for a path under which nothing costs anything.
        """
        rows = tuple(row for row in self.rows if not path or f"{row.path}.".startswith(f"{path}."))
        if not rows:
            near = get_close_matches(path, [row.path for row in self.rows], 3, 0) or ["nothing"]
            raise KeyError(f"there is no row under {path!r}; near it are {', '.join(near)}")
        return Cost(rows, self.batch)


class Call(NamedTuple):
    """One pass through a module."""

    x: Size
    y: Size


def profile(
    model: nn.Module, image_size: int | tuple[int, ...] = 224, *, batch: int = 1, channels: int | None = None
) -> Cost:
    """Parameters, FLOPs and memory of a network or layer, module by module, each number with its derivation.

    image_size: side of a square image, or (H, W), or (n,) for a layer on sequences. channels: of the input; those that
    the network says it takes, else 3, so say them where a layer is profiled alone. batch: of the memory figures.

    A copy of the model runs once on the meta device, which has shapes and no numbers: nothing large is computed or
    allocated, and the model itself is untouched. Its modules count as they stand in evaluation mode.

    Raises what the model raises for an image of that size.
    """
    return profile_in_place(meta_copy(model), image_size, batch=batch, channels=channels)


def profile_in_place(
    network: nn.Module, image_size: int | tuple[int, ...] = 224, *, batch: int = 1, channels: int | None = None
) -> Cost:
    """As `profile`, of a network on the meta device that was made for this alone: it is of no other use afterwards."""
    sides = tuple(image_size) if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    config: Any = getattr(network, "config", None)
    taken = getattr(config, "in_chans", 3) if channels is None else channels
    calls: dict[nn.Module, list[Call]] = {}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if inputs and isinstance(inputs[0], Tensor) and isinstance(output, Tensor):
            calls.setdefault(module, []).append(Call(inputs[0].shape, output.shape))

    for module in network.eval().modules():
        formula = _formula(module)
        if formula is not None:
            module.register_forward_hook(note)
        if formula is free:
            module.forward = nn.Identity().forward  # on the meta device norms take most of the time, and keep shapes
    with torch.no_grad():
        network(torch.empty(1, taken, *sides, device="meta"))
    return Cost(tuple(_rows(network, "", calls, batch, {})), batch)


def meta_copy(model: nn.Module) -> nn.Module:
    """The same modules, without hooks, with parameters and buffers on the meta device: nothing large is allocated."""
    tensors: dict[int, Any] = {id(p): nn.Parameter(p.detach().to("meta"), p.requires_grad) for p in model.parameters()}
    tensors |= {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    twin = deepcopy(model, tensors)
    for module in twin.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    return twin


def _formula(module: nn.Module) -> Formula | None:
    return next((FORMULAS[kind] for kind in type(module).__mro__ if kind in FORMULAS), None)


def _rows(
    module: nn.Module, path: str, calls: dict[nn.Module, list[Call]], batch: int, owners: dict[int, tuple[str, str]]
) -> Iterator[Row]:
    """A row for each module that has a formula, its parts among its terms, and for each that has loose parameters."""
    has_formula = _formula(module) is not None
    own = list(module.parameters(recurse=False))
    if has_formula or own:
        parts = dict(module.named_modules()) if has_formula else {"": module}
        params = tuple(term for name, part in parts.items() for term in _params(part, name, path, owners))
        output = calls[module][-1].y[1:] if module in calls else Size()
        flops: list[Term] = []
        stored: list[Term] = []
        for name, part in sorted(parts.items(), key=lambda item: not item[0]):  # projections first, then what they feed
            for counts in _counts(part, calls, batch):
                flops += _labelled(counts.flops, name)
                stored += counts.stored
        yield Row(path, type(module).__name__, tuple(output), params, tuple(flops), tuple(stored), has_formula)
    if not has_formula:
        for name, child in module.named_children():
            yield from _rows(child, f"{path}.{name}" if path else name, calls, batch, owners)


def _labelled(terms: Terms, name: str) -> Terms:
    """Terms of a part by its name, and by their own too where there are several."""
    if not name:
        return terms
    return tuple(t._replace(name=name if len(terms) == 1 else f"{name}, {t.name}") for t in terms)


def _counts(module: nn.Module, calls: dict[nn.Module, list[Call]], batch: int) -> list[Counts]:
    """What each pass through one module costs, without its parts, to the first who asks: one that has two paths."""
    formula = _formula(module)
    return [formula(module, *call, batch) for call in calls.pop(module, ())] if formula else []


def _params(module: nn.Module, name: str, path: str, owners: dict[int, tuple[str, str]]) -> Terms:
    """A term for each parameter of one module; one that has been counted before is 0 times its shape."""
    letters = next((PARAMETERS[kind] for kind in type(module).__mro__ if kind in PARAMETERS), {})
    terms = []
    for own, parameter in module.named_parameters(recurse=False):
        label = f"{name}.{own}" if name else own
        first_path, first_label = owners.setdefault(id(parameter), (path, label))
        axes = letters.get(own, DEFAULT)[: parameter.dim()]
        if (first_path, first_label) == (path, label):
            terms.append(of_shape(label, axes, parameter.shape))
        else:
            owner = first_label if first_path == path else first_path
            terms.append(of_shape(f"{label}, shared with {owner}", axes, parameter.shape, "0"))
    return tuple(terms)
