"""Networks and traces, loaded once and shared by all sessions. Caches hold plain arrays; one lock guards a model."""

import base64
import hashlib
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import streamlit as st
import torch
import torchvision  # noqa: F401 - whole, while modules are imported one thread at a time (importing.LOCK)
from PIL import Image

from explorer import fitness, images
from lambda_core import LambdaLayer, trace
from lambda_core.checkpoints import Checkpoint, fingerprint, read_checkpoint, zoo
from lambda_core.data import framing, prepare, square

LOCK = threading.Lock()  # hooks of one session must not see another's forward pass
HOME = "lambda_resnet_mini"
COARSE = 96  # pixels a side; what networks that take fewer see can be told from a photograph
FACE = 128  # the largest picture that is only there to be known by, which stays a photograph


def threads_a_page(default: int, processors: int) -> int:
    """How many threads a run of a page may compute on, so that the runs of two visitors fit.

    Streamlit runs a page in a new thread each time, and OpenMP gives each of these a team of its own. A team that is
    larger than what is left of the processors sleeps at every barrier: on two processors a forward pass took twice as
    long on two threads as on one, a ResNet-50 at 224 px too.
    """
    return max(1, min(default, processors // 2))


_processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
torch.set_num_threads(threads_a_page(torch.get_num_threads(), _processors))


@dataclass(frozen=True)
class LayerInfo:
    """A lambda layer of a network: its path, and a name that people can read."""

    path: str
    title: str


@dataclass(frozen=True)
class Brought:
    """A checkpoint that a visitor chose or sent: its name, its bytes, and a key that names its content in caches.

    content: None for one that ships, which lies in the zoo under its name: no session keeps a copy of it.
    """

    name: str
    content: bytes | None
    key: str

    @classmethod
    def of(cls, name: str, content: bytes) -> "Brought":
        """The checkpoint in a file's bytes, with the key of its content."""
        return cls(name, content, hashlib.sha256(content).hexdigest()[:16])


@lru_cache(maxsize=64)
def _key(file: Path, changed: float) -> str:
    """The key of a file's content. changed: when the file was, so that new weights have a new key."""
    return fingerprint(file)


def shipped(name: str) -> Brought:
    """A network of the zoo."""
    file = zoo()[name]
    return Brought(name, None, _key(file, file.stat().st_mtime))


@st.cache_resource(show_spinner=False)
def _of_zoo(key: str, _name: str) -> Checkpoint:
    """None of these gives way: all that ship take some 100 MB, and a class looks at many of them at once."""
    return read_checkpoint(zoo()[_name].read_bytes())


@st.cache_resource(max_entries=4, show_spinner=False)
def _of_file(key: str, _content: bytes) -> Checkpoint:
    return read_checkpoint(_content)


def warm() -> None:
    """Open the network that ships and run it once: what the first visit would wait for. Needs no session."""
    loaded = checkpoint_of(None)
    first = images.gallery_picture(next(iter(images.GALLERY)))
    with LOCK:
        trace(loaded.model, prepare(first.image, loaded.preprocess))


def brought() -> Brought | None:
    """The network that this session brought, if it did."""
    return st.session_state.get("checkpoint")


def network_key() -> str:
    """Names the content of this session's network in caches."""
    mine = brought()
    return mine.key if mine else HOME


def network_name() -> str:
    """What this session's network is called: a name of the zoo, or that of a file."""
    mine = brought()
    return mine.name if mine else HOME


def checkpoint_of(mine: Brought | None) -> Checkpoint:
    """A network that was brought, or the one that ships."""
    if mine is None:
        return _of_zoo(HOME, HOME)
    return _of_zoo(mine.key, mine.name) if mine.content is None else _of_file(mine.key, mine.content)


def checkpoint() -> Checkpoint:
    """The network that this session looks at: its own, else the one that ships."""
    return checkpoint_of(brought())


def opened(name: str, content: bytes | None) -> tuple[Brought, Checkpoint]:
    """The checkpoint in these bytes, or of this name in the zoo where there are none; read once.

    Raises CheckpointRefused, also for one that could answer on no page.
    """
    mine = shipped(name) if content is None else Brought.of(name, content)
    loaded = checkpoint_of(mine)
    with LOCK:
        fitness.check(loaded)
    return mine, loaded


def bring(name: str, content: bytes | None) -> Checkpoint:
    """Make a checkpoint, as `opened` has it, the session's network. Raises CheckpointRefused and leaves the old one."""
    mine, loaded = opened(name, content)
    st.session_state["checkpoint"] = mine
    return loaded


def lambda_layers(model: torch.nn.Module) -> list[LayerInfo]:
    """Every lambda layer of a network, first to last, named after its place: `stages.2.0.mix` is stage 3, block 1."""
    found = []
    for path, module in model.named_modules():
        if isinstance(module, LambdaLayer):
            parts = path.split(".")
            if parts[0] == "stages" and len(parts) >= 3:
                title = f"Stage {int(parts[1]) + 1}, block {int(parts[2]) + 1}"
            else:
                title = path
            found.append(LayerInfo(path, title))
    return found


def describe(layer: LambdaLayer, info: LayerInfo, tensors: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """What the canvas has to know about a layer beside its tensors."""
    _, height, width = tensors["input"].shape
    table = list(layer.embeddings.shape[-2:]) if layer.embeddings is not None else [0, 0]
    return {
        "name": info.path, "title": info.title,
        "heads": layer.heads, "dim_k": layer.dim_k, "dim_v": layer.dim_v, "dim_u": layer.dim_u,
        "height": height, "width": width, "dim": layer.dim, "dim_out": layer.dim_out,
        "scope": layer.scope, "table": table, "stride": layer.stride, "key_norm": layer.key_norm,
        "pool": [layer.pool.kernel_size, layer.pool.padding] if isinstance(layer.pool, torch.nn.AvgPool2d) else [1, 0],
        "content": layer.to_k is not None, "position": layer.embeddings is not None,  # built, switched off or not
        "norm_qv": isinstance(layer.norm_q, torch.nn.BatchNorm2d),
    }  # fmt: skip


@st.cache_data(max_entries=128, show_spinner=False)
def _jpeg(key: str, side: int, crop: float, _image: Image.Image) -> str:
    return base64.b64encode(images.jpeg_bytes(_image, side, crop)).decode()


@st.cache_data(max_entries=64, show_spinner=False)
def _squares(key: str, side: int, size: int, frame: dict[str, Any], _image: Image.Image) -> str:
    return base64.b64encode(images.png_bytes(images.enlarged(square(_image, size, **frame), side))).decode()


def jpeg(picture: images.Picture, side: int) -> str:
    """What this session's network sees of a picture, in base64, as `seen` has it."""
    return seen(picture, side, checkpoint().preprocess)


def seen(picture: images.Picture, side: int, preprocess: Mapping[str, Any]) -> str:
    """What a network sees of a picture, in base64: a JPEG of side x side pixels; encoded once, not on every run.

    Where maps may lie on it, a coarse network's picture is a PNG of the pixels that it takes, enlarged to squares until
    they fill `side`: over a sharp photograph it would seem to see what is not there for it.
    """
    size, frame = int(preprocess["size"]), framing(preprocess)
    if size < COARSE and side > FACE:
        return _squares(picture.key, side, size, frame, picture.image)
    return _jpeg(picture.key, side, frame.get("crop", 1.0), picture.image)


@dataclass(frozen=True)
class Traced:
    """One layer on one picture: its tensors without the batch axis, what it is, and the network's answer.

    preprocess: how the network takes a picture.
    """

    tensors: dict[str, np.ndarray]
    layer: dict[str, Any]
    probabilities: np.ndarray
    preprocess: dict[str, Any]


@st.cache_data(max_entries=24, show_spinner=False)
def _traced(
    picture_key: str, network_id: str, path: str, _image: Image.Image, _mine: Brought | None
) -> tuple[dict[str, np.ndarray], dict[str, Any], np.ndarray, dict[str, Any]]:
    loaded = checkpoint_of(_mine)
    info = next(i for i in lambda_layers(loaded.model) if i.path == path)
    layer = cast(LambdaLayer, loaded.model.get_submodule(path))
    prefix = path + "."
    with LOCK:  # to the end: another session may have this layer cropped, or half of it switched off
        taps = trace(loaded.model, prepare(_image, loaded.preprocess))
        tensors = {name.removeprefix(prefix): t[0].numpy() for name, t in taps.items() if name.startswith(prefix)}
        if layer.embeddings is not None:
            tensors["embeddings"] = layer.embeddings.detach().numpy()
            if layer.position_bias is not None:
                tensors["position_bias"] = layer.position_bias.detach().numpy()
        about = describe(layer, info, tensors)
    for half in ("content", "position"):  # a layer with one half has no such taps
        if f"{half}_lambda" not in tensors:
            shape = (layer.dim_k, layer.dim_v)
            tensors[f"{half}_lambda"] = np.zeros(shape, np.float32)
    return tensors, about, taps["output"][0].softmax(0).numpy(), dict(loaded.preprocess)


def traced(picture: images.Picture, path: str) -> Traced:
    """The tensors of a layer of this session's network on a picture."""
    return traced_by(brought(), picture, path)


def traced_by(mine: Brought | None, picture: images.Picture, path: str) -> Traced:
    """The same of a network that was brought, or of the one that ships."""
    return Traced(*_traced(picture.key, mine.key if mine else HOME, path, picture.image, mine))
