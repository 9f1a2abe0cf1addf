"""Weights with a model card in one safetensors file. Loading one reads numbers and text; it executes nothing.

Files of other projects are recognised by their keys.
"""

import argparse
import hashlib
import io
import json
import pickle
import threading
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import nn

from lambda_core.checkpoints import skeleton
from lambda_core.checkpoints.dialect import State, is_weight, networks, plain
from lambda_core.checkpoints.fit import CheckpointRefused, Mismatch, check_fit
from lambda_core.checkpoints.from_d_li14 import D_LI14_FILES
from lambda_core.checkpoints.from_lucidrains import from_lucidrains, is_lucidrains
from lambda_core.checkpoints.from_timm import NETWORKS, TIMM_FILES, from_hub, from_timm, is_timm_layer
from lambda_core.data import imagenet_classes
from lambda_core.layers import LambdaLayer
from lambda_core.models import ResNet, San
from lambda_core.replacing import replace_file

ZOO = Path(__file__).with_name("zoo")
IMAGENET_COUNT = 1000
STORED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
MAX_SIZE = 4096  # pixels a side
MOST_REPEATED = 4  # times: layers may share weights
UNSAFE = "and could run code, so it was not opened: write a .safetensors file with lambda_core.save_checkpoint"
OTHERS = {"timm": TIMM_FILES, "d-li14/lambda.pytorch": D_LI14_FILES}  # projects whose networks are read as well
LAYERS: dict[str, tuple[Callable[[State], bool], Callable[[State], nn.Module]]] = {  # and whose layers, one alone
    "timm": (is_timm_layer, from_timm),
    "lucidrains/lambda-networks": (is_lucidrains, from_lucidrains),
}
# What training scripts write beside weights, and which runs nothing: arguments, and figures as numpy's numbers.
_SCALAR = np.float64(0).__reduce__()[0]  # which numpy has moved
BESIDE: list[Any] = [
    argparse.Namespace, (_SCALAR, "numpy._core.multiarray.scalar"), (_SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype, *(type(np.dtype(kind)) for kind in ("f4", "f8", "i8", "?")),
]  # fmt: skip
READING = threading.Lock()  # of .pt files: a process has one list of what may lie in them, and one of its warnings
ROW_OF_PICKLES = pickle.dumps(0x1950A86A20F9469CFC6C, 2)  # how torch began its files before it had ZIP archives


@dataclass(frozen=True)
class Checkpoint:
    """A network ready to use: the model in eval mode, its class names, its preprocessing and its card.

    preprocess: {"size": side in pixels, "mean": [r, g, b], "std": [r, g, b]}, and for some {"crop": share of the
    shorter side, "interpolation"}. card: free text and figures, and under "architecture" the arguments of `build`.
    """

    model: nn.Module
    classes: tuple[str, ...] = ()
    preprocess: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    def check_scores(self) -> None:
        """CheckpointRefused for a network without a classifier, which has no answer to give."""
        if getattr(self.model, "num_classes", 1) == 0:
            raise CheckpointRefused("the network ends in features, not in scores: save it with its classifier")

    def check_whole(self) -> None:
        """CheckpointRefused for one layer."""
        if isinstance(self.model, LambdaLayer):
            raise CheckpointRefused("the file holds one lambda layer, which sees no pictures: take a whole network")

    def preparation(self) -> Mapping[str, Any]:
        """`preprocess`, for what needs a picture. Raises CheckpointRefused where there is none."""
        self.check_whole()
        if missing := [name for name in ("size", "mean", "std") if name not in self.preprocess]:
            raise CheckpointRefused(
                f"the file does not say how a picture is prepared, its preprocess lacks {', '.join(missing)}: save it "
                "again with save_checkpoint(..., preprocess={'size': 128, 'mean': [...], 'std': [...]})"
            )
        if (channels := getattr(getattr(self.model, "config", None), "in_chans", 3)) != 3:
            raise CheckpointRefused(
                f"the network takes images of {channels} channels, and a picture has 3: use one of 3"
            )
        return self.preprocess


def zoo() -> dict[str, Path]:
    """The trained networks that ship with the library, by name."""
    return {path.stem: path for path in sorted(ZOO.glob("*.safetensors"))}


def fingerprint(path: Path) -> str:
    """Names the content of a checkpoint's file, so that figures can be told from those of other weights."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


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

    A matrix with numbers beyond the range of `dtype` is written in full too.

    architecture: {"name": ..., "overrides": {...}}, the arguments of `build`. The file appears whole or not at all.
    Raises ValueError for anything else in `architecture`, for a `dtype` without fractions, for a place where no file
    can be, and for what could not be read back: another network than the model, another number of classes than it has
    scores, a preprocess that prepares no picture, a value that JSON cannot hold; OSError where the disk refuses.
    """
    if dtype not in STORED:
        raise ValueError(f"dtype must be float16, bfloat16, float32 or float64, not {dtype}")
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        raise ValueError(f"{str(path)!r} cannot be written: it must be a file in a folder that is there")
    if not isinstance(architecture, Mapping) or not isinstance(architecture.get("name"), str):
        raise ValueError(f"architecture must be {{'name': ..., 'overrides': {{...}}}}, not {architecture!r}")
    if isinstance(classes, str):
        raise ValueError(f"classes must be a list of names, not {classes!r}")
    if unknown := sorted(set(architecture) - {"name", "overrides"}):
        raise ValueError(f'architecture has "name" and "overrides"; {", ".join(unknown)} belongs into the overrides')
    state = plain(model.state_dict())  # without what torch.compile and DataParallel put before each name
    network = skeleton.network(architecture)
    check_fit(state, network.state_dict(), f"its architecture, {dict(architecture)}")
    _check_preprocess(preprocess or {})
    _classes({"classes": list(classes)}, network)
    weights = {name: _narrowed(t.detach(), dtype).cpu() for name, t in state.items()}
    # copies, since safetensors refuses shared memory: layers may share their embeddings
    weights = {name: t.clone(memory_format=torch.contiguous_format) for name, t in weights.items()}
    header = {
        "architecture": dict(architecture),
        "classes": list(classes),
        "preprocess": dict(preprocess or {}),
        "card": dict(card or {}),
    }
    text = json.dumps({name: _jsonable(name, value) for name, value in header.items()})
    content = save_safetensors(weights, metadata={"format": "pt", "lambda_core": text})
    replace_file(path, lambda temporary: temporary.write_bytes(content))  # save_file's can be read by their owner alone


def _jsonable(name: str, value: Any) -> Any:
    """The value; ValueError, with the name of what holds it, for one that JSON cannot hold."""
    try:
        json.dumps(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is written as JSON, which has no place for a value in it: {error}") from None
    return value


def _narrowed(weight: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A matrix or kernel in `dtype`, a vector as it is, and so is what `dtype` has no numbers for."""
    if not weight.is_floating_point() or weight.dim() < 2:
        return weight
    found = weight.to(dtype)
    return found if bool((found.isfinite() == weight.isfinite()).all()) else weight


def load_checkpoint(path_or_name: str | Path, device: torch.device | str | None = None) -> Checkpoint:
    """A checkpoint by name, or from a local file: .safetensors, .pt or .pth.

    Names are those of the zoo, and timm's lambda networks as "timm/lambda_resnet26t.c1_in1k", which the package timm
    fetches. Files are those that `save_checkpoint` and training write, and state dicts of timm's and d-li14's lambda
    networks, which their keys give away, the weights of the last step before averaged ones; one of a single lambda
    layer of timm's or lucidrains' gives that layer for a model. Raises CheckpointRefused, in one sentence, for a name
    that is not there, a file that cannot be read or one that does not fit.
    """
    name = str(path_or_name)
    path = zoo().get(name, Path(path_or_name))
    try:
        content = path.read_bytes() if path.is_file() else None
    except OSError as error:
        raise CheckpointRefused(f"the checkpoint {name!r} cannot be read: {error.strerror}") from error
    if content is None:
        if name.startswith("timm/"):
            weights, architecture, preprocess = from_hub(name.removeprefix("timm/"))
            return _load(weights, _header(architecture, preprocess, name), device)
        raise CheckpointRefused(
            f"there is no checkpoint {name!r}: give a .safetensors or .pt file, "
            f"a network of the zoo ({', '.join(zoo()) or 'empty'}), or one of timm's "
            f"({', '.join(f'timm/{network}' for network in NETWORKS)})"
        )
    weights, header = _contents(content)
    if isinstance(layer := header.get("layer"), LambdaLayer):
        return Checkpoint(layer.to(device or "cpu"), card=header["card"])
    return _load(weights, header, device)


def read_checkpoint(content: bytes, device: torch.device | str | None = None) -> Checkpoint:
    """A network from the bytes of a file. What kind of file it is, the bytes say, not the name.

    Raises CheckpointRefused, as `load_checkpoint` does.
    """
    return _load(*_contents(content), device)


def _contents(content: bytes) -> tuple[State, dict[str, Any]]:
    # A safetensors file begins with its length, which may look like the mark of any other: its brace comes first.
    is_torch = content[8:9] != b"{" and (content[:2] == b"PK" or content[:1] == b"\x80")
    return _read_torch(content) if is_torch else _read_safetensors(content)


def _load(weights: State, header: Mapping[str, Any], device: torch.device | str | None) -> Checkpoint:
    if isinstance(header.get("layer"), LambdaLayer):
        raise CheckpointRefused(
            f"the file holds one lambda layer of {header['card']['source']}, not a network: "
            "lambda_core.load_checkpoint gives it as it is"
        )
    if not isinstance(header.get("architecture"), Mapping):
        raise CheckpointRefused("the checkpoint's architecture cannot be built: its header does not tell it")
    preprocess = header.get("preprocess") or {}
    _check_preprocess(preprocess)
    model = skeleton.network(header["architecture"])
    check_fit(weights, model.state_dict(), "the architecture in the file's header")
    classes = _classes(header, model)
    card = {**_card(header), "architecture": header["architecture"]}
    return Checkpoint(skeleton.filled(model, weights, device), classes, preprocess, card)


def _classes(header: Mapping[str, Any], model: ResNet | San) -> tuple[str, ...]:
    """The names of the classes, one for each score of the network, or none at all."""
    names, scores = header.get("classes") or (), model.config.num_classes
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        raise CheckpointRefused("the checkpoint's classes cannot be used: they must be a list of names")
    if names and len(names) != scores:
        raise CheckpointRefused(
            f"the checkpoint names {len(names)} classes, and its network has {scores} scores: save it with {scores} "
            "names, or with none"
        )
    return tuple(names)


def _card(header: Mapping[str, Any]) -> dict[str, Any]:
    """The free text and figures of a card. A recipe in words is one with no fields but `words`."""
    card = header.get("card") or {}
    card = dict(card) if isinstance(card, Mapping) else {"note": str(card)}
    if not isinstance(card.get("recipe", {}), Mapping):
        card["recipe"] = {"words": str(card["recipe"])}
    return card


def _check_preprocess(preprocess: Any) -> None:
    """An empty one is allowed: weights without it can be looked at, and what needs a picture says what is missing."""

    def number(value: Any, low: float, high: float) -> bool:  # no text that could be read as one: it is used as it is
        return isinstance(value, (int, float)) and not isinstance(value, bool) and low < value <= high

    def numbers(name: str, low: float) -> bool:
        values = preprocess[name]
        return len(values) == 3 and all(number(value, low, 1e3) for value in values)

    try:
        fits = not preprocess or (
            isinstance(preprocess["size"], int)
            and number(preprocess["size"], 0, MAX_SIZE)
            and numbers("mean", -1e3)
            and numbers("std", 0)
            and number(preprocess.get("crop", 1), 0, 1)
            and preprocess.get("interpolation", "bicubic") in ("bicubic", "bilinear")
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        fits = False
    if not fits:
        raise CheckpointRefused(
            "the checkpoint's preprocess cannot be used: it needs a size in pixels, mean and std of three channels, "
            "and may have a crop of 0 to 1 and an interpolation, bicubic or bilinear"
        )


def _read_safetensors(content: bytes) -> tuple[State, dict[str, Any]]:
    try:
        weights = load_safetensors(content)
        length = int.from_bytes(content[:8], "little")
        metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    except (SafetensorError, ValueError) as error:
        raise CheckpointRefused(
            "the file is not a whole safetensors file (truncated, or of another kind): download or save it again"
        ) from error
    if "lambda_core" not in metadata:
        return _read_state(weights)
    try:
        header = json.loads(metadata["lambda_core"])
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise CheckpointRefused("the card in the file's header cannot be read: save the checkpoint again")
    return weights, header


def _read_torch(content: bytes) -> tuple[State, dict[str, Any]]:
    if content[:2] != b"PK" and not content.startswith(ROW_OF_PICKLES):
        raise CheckpointRefused(f"the file is a bare pickle {UNSAFE}")
    _check_archive(content)
    try:
        with READING, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of marks in damaged files
            known = set(torch.serialization.get_safe_globals())  # somebody else's, which stay
            with torch.serialization.safe_globals([one for one in BESIDE if one not in known]):
                state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointRefused(f"the file holds more than weights {UNSAFE}") from error
    except Exception as error:  # reading a damaged file fails in any way
        raise CheckpointRefused("the .pt file is truncated or damaged: save it again") from error
    if isinstance(state, dict) and all(isinstance(state.get(name), Mapping) for name in ("architecture", "average")):
        named = {str(key): value for key, value in state["average"].items() if is_weight(value)}
        prefix = "module."
        weights = {key.removeprefix(prefix): value for key, value in named.items() if key.startswith(prefix)}
        return _held(weights), {key: value for key, value in state.items() if not isinstance(value, torch.Tensor)}
    return _read_state(state)


def _check_archive(content: bytes) -> None:
    """CheckpointRefused for a ZIP archive of another kind than weights, or whose parts are larger than it is.

    A compressed part can be made to fill any memory; `torch.save` compresses none.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError):
        return  # no archive, or a damaged one, which is found out when it is read
    if any(part.filename.endswith("/constants.pkl") for part in parts):
        raise CheckpointRefused("the .pt file is a TorchScript program: save the network's state_dict()")
    if sum(part.file_size for part in parts) > len(content) or any(part.compress_type for part in parts):
        raise CheckpointRefused("the .pt file is compressed, which torch.save never does: save it again with it")


def _held(weights: State) -> State:
    """The weights, whose numbers are all there. A small file can spell any size by repeating a few.

    Raises CheckpointRefused for those, and for sparse and quantized ones, which no network here has.
    """
    tensors = [tensor for tensor in weights.values() if isinstance(tensor, torch.Tensor)]
    if any(tensor.layout != torch.strided or tensor.is_quantized for tensor in tensors):
        raise CheckpointRefused(
            "the file holds sparse or quantized weights: save them dense, as numbers of 16 to 64 bits"
        )
    storages = {storage.data_ptr(): storage.nbytes() for storage in (tensor.untyped_storage() for tensor in tensors)}
    asked, held = sum(tensor.nbytes for tensor in tensors), sum(storages.values())
    if asked > MOST_REPEATED * held:
        raise CheckpointRefused(
            f"the file holds {held:,} bytes of weights and repeats them to {asked:,}: save the network's state_dict() "
            "as it is"
        )
    return weights


def _read_state(content: Any) -> tuple[State, dict[str, Any]]:
    """Weights and header of a state dict from another project, recognised by its keys."""
    state = _held(plain(content))
    if not state:
        if len(names := networks(content)) > 1:
            of = ", ".join(map(str, names))
            raise CheckpointRefused(f"the file holds weights of {len(names)} networks ({of}): save those of one alone")
        raise CheckpointRefused(
            "the file holds no weights: give a state dict, or what lambda_core.save_checkpoint writes"
        )
    for project, files in OTHERS.items():
        if files.recognise(state):
            weights, architecture = files.translate(state)
            return weights, _header(architecture, files.preprocess(architecture), project)
    for project, (recognise, read) in LAYERS.items():
        if recognise(state):
            return {}, {"layer": read(state), "card": {"source": project}}  # no file can hold a module there
    raise CheckpointRefused(
        "the file holds weights but not the architecture they belong to, and its keys are not those of a lambda "
        f"network of {' or '.join(OTHERS)}: take the state.pt of a training run, or a .safetensors file written with "
        "lambda_core.save_checkpoint, which keeps both",
        [Mismatch(key, tuple(tensor.shape), None) for key, tensor in state.items()],
    )


def _header(architecture: Mapping[str, Any], preprocess: Mapping[str, Any], source: str) -> dict[str, Any]:
    """What the card of another project's network can say. Other than ImageNet's thousand, classes have numbers."""
    count = architecture["overrides"]["num_classes"]
    classes = imagenet_classes() if count == IMAGENET_COUNT else tuple(f"class {n}" for n in range(count))
    return {
        "architecture": architecture,
        "classes": classes,
        "preprocess": preprocess,
        "card": {"source": source},
    }
