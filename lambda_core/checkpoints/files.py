"""Weights with a model card in one safetensors file. Loading one reads numbers and text; it executes nothing."""

import io
import json
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save_file
from torch import Tensor, nn

from lambda_core.models import build

ZOO = Path(__file__).with_name("zoo")
UNSAFE = "and could run code, so it was not opened: write a .safetensors file with lambda_core.save_checkpoint"
MAX_BLOCKS = 1000  # a header may ask for any depth; no network of the family comes near this


class CheckpointRefused(ValueError):
    """A file that cannot be used as a checkpoint; the message says why, and what would fit."""


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to use: the model in eval mode, its class names, its preprocessing and its card.

    preprocess: {"size": side in pixels, "mean": [r, g, b], "std": [r, g, b]}. card: free text and figures, and under
    "architecture" the arguments of `build`.
    """

    model: nn.Module
    classes: tuple[str, ...] = ()
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)


def zoo() -> dict[str, Path]:
    """The trained networks that ship with the library, by name."""
    return {path.stem: path for path in sorted(ZOO.glob("*.safetensors"))}


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    *,
    architecture: Mapping[str, Any],
    classes: Sequence[str] = (),
    preprocess: Mapping[str, Any] | None = None,
    card: Mapping[str, Any] | None = None,
    dtype: torch.dtype = torch.float16,
) -> None:
    """Write matrices and kernels in `dtype`, vectors (norms, biases) in full, and the rest in the header.

    architecture: {"name": ..., "overrides": {...}}, the arguments of `build`. The file appears whole or not at all.
    """
    path = Path(path)
    weights = {
        name: (t.to(dtype) if t.is_floating_point() and t.dim() > 1 else t).detach().cpu().contiguous()
        for name, t in model.state_dict().items()
    }
    header = {
        "architecture": dict(architecture),
        "classes": list(classes),
        "preprocess": dict(preprocess or {}),
        "card": dict(card or {}),
    }
    temporary = path.with_name(path.name + ".part")
    save_file(weights, temporary, metadata={"format": "pt", "lambda_core": json.dumps(header)})
    temporary.replace(path)


def load_checkpoint(path_or_name: str | Path, device: torch.device | str | None = None) -> Checkpoint:
    """A checkpoint by the name of a network in the zoo, or from a local .safetensors or .pt file.

    Raises CheckpointRefused, in one sentence, for a name that is not there or a file that does not fit.
    """
    path = zoo().get(str(path_or_name), Path(path_or_name))
    if not path.is_file():
        raise CheckpointRefused(
            f"there is no checkpoint {str(path_or_name)!r}: give a .safetensors or .pt file, "
            f"or a network of the zoo ({', '.join(zoo()) or 'empty'})"
        )
    return read_checkpoint(path.read_bytes(), device)


def read_checkpoint(content: bytes, device: torch.device | str | None = None) -> Checkpoint:
    """A checkpoint from the bytes of a file. What kind of file it is, the bytes say, not the name."""
    if content[8:9] == b"{":  # safetensors first: its length field may begin like any other file
        weights, header = _read_safetensors(content)
    elif content[:2] == b"PK":
        weights, header = _read_torch(content)
    elif content[:1] == b"\x80":
        raise CheckpointRefused(f"the file is a bare pickle {UNSAFE}")
    else:
        weights, header = _read_safetensors(content)
    model = _build(header)
    _check_fit(weights, model.state_dict())
    model = model.to_empty(device=device or "cpu")
    model.load_state_dict(weights)
    card = {**header.get("card", {}), "architecture": header["architecture"]}
    return Checkpoint(model.eval(), tuple(header.get("classes", ())), header.get("preprocess", {}), card)


def _read_safetensors(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        weights = load_safetensors(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__", {})
    except (SafetensorError, ValueError) as error:
        raise CheckpointRefused(
            "the file is not a whole safetensors file (truncated, or of another kind): download or save it again"
        ) from error
    if "lambda_core" not in metadata:
        raise CheckpointRefused(
            "the file holds weights but not the architecture they belong to: "
            "write it with lambda_core.save_checkpoint, which keeps both"
        )
    return weights, json.loads(metadata["lambda_core"])


def _read_torch(content: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointRefused(f"the file holds more than weights {UNSAFE}") from error
    except (RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointRefused("the .pt file is truncated or damaged: save it again") from error
    if not isinstance(state, dict) or not {"architecture", "average"} <= set(state):
        raise CheckpointRefused(
            "the .pt file has no architecture beside its weights: take the state.pt of a training run, "
            "or a .safetensors file written with lambda_core.save_checkpoint"
        )
    prefix = "module."
    weights = {k.removeprefix(prefix): v for k, v in state["average"].items() if k.startswith(prefix)}
    return weights, state


def _build(header: Mapping[str, Any]) -> nn.Module:
    """The network that a header asks for, on the meta device: no memory is spent before the shapes are compared."""
    try:
        architecture = header["architecture"]
        overrides = {name: _tuples(value) for name, value in architecture.get("overrides", {}).items()}
        if sum(overrides.get("depths", ())) > MAX_BLOCKS:
            raise ValueError(f"it asks for more than {MAX_BLOCKS} blocks")
        with torch.device("meta"):
            return build(architecture["name"], **overrides)
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise CheckpointRefused(f"the checkpoint's architecture cannot be built: {error}") from error


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _check_fit(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    missing, unknown = sorted(set(expected) - set(weights)), sorted(set(weights) - set(expected))
    shapes = [
        f"{name} is {tuple(weights[name].shape)} and should be {tuple(t.shape)}"
        for name, t in expected.items()
        if name in weights and weights[name].shape != t.shape
    ]
    wrong = [f"missing {name}" for name in missing] + [f"unknown {name}" for name in unknown] + shapes
    if wrong:
        rest = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise CheckpointRefused(
            f"the weights do not fit the architecture in the file's header: {'; '.join(wrong[:3])}{rest}"
        )
