"""What is known of networks on their validation sets: figures that ship, and those that a visitor measured here.

Figures belong to the content of a network, not to its name: other weights have none until they are measured.
"""

import json
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import streamlit as st
import torch

from explorer import loading, words
from explorer.networks import Opened
from lambda_core import data
from lambda_core.checkpoints import Checkpoint
from lambda_core.data import subset
from lambda_core.evaluation import RESULTS, Answers, answers_of, joined, normalized, outside_pictures, report
from lambda_core.training.held_out import data_of, held_out

BATCH = 20
KEPT = 32  # reports, of the networks measured last
LARGEST_MARK = 2**20  # numbers of class means; a larger network goes without a mark


@st.cache_data(show_spinner=False)
def _shipped(changed: float) -> dict[str, dict[str, Any]]:
    found = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {entry["weights"]: entry for entry in found.values()}


@st.cache_resource
def _here() -> dict[tuple[str, int], dict[str, Any]]:
    """Measured on this server, by network and number of pictures; one for all sessions: nothing in it is of one."""
    return {}


def figures(network: Opened) -> dict[str, Any] | None:
    """The report (`lambda_core.evaluation.report`) on the most pictures; "command" says that it shipped."""
    return max(_known(network), key=lambda found: found["images"], default=None)


def _known(network: Opened) -> list[dict[str, Any]]:
    shipped = _shipped(RESULTS.stat().st_mtime).get(network.key) if RESULTS.exists() else None
    here = [found for (key, _), found in list(_here().items()) if key == network.key]
    return [found for found in (shipped, *here) if found]


def together(networks: list[Opened]) -> list[dict[str, Any]] | None:
    """The reports of all these networks on the same photographs, the most there are; None without such.

    Photographs are drawn in one order, so that equal counts of one data set are the same photographs.
    """
    known = [{found["images"]: found for found in _known(network)} for network in networks]
    common = set.intersection(*(set(found) for found in known)) if comparable(networks) else set()
    return [found[max(common)] for found in known] if common else None


def comparable(networks: list[Opened]) -> bool:
    """Whether they answer one question: photographs of one data set, told apart by the same classes."""
    return len({(data_set(network), tuple(network.checkpoint.classes)) for network in networks}) == 1


def mark(network: Opened) -> dict[str, Any] | None:
    """What says whether a picture looks like none of the network's classes, if that was measured."""
    found = figures(network)
    return found and found["unfamiliar"]


def _kind(network: Opened) -> data.DataSet:
    return data.DATASETS[data_of(network.checkpoint.card) or "imagenette"]


def data_set(network: Opened) -> str:
    """The name of the validation set."""
    return _kind(network).title


def unfit(network: Opened) -> str | None:
    """Why no photographs could measure a network, as the rest of a sentence; None where its classes are the set's."""
    kind, classes = _kind(network), tuple(network.checkpoint.classes)
    if kind.classes in (None, classes):
        return None
    if not classes:
        return f"its classes have no names, so its answers cannot be compared with those of {kind.title}"
    return f"it tells other classes apart than those of {kind.title}"


def to_bring(network: Opened) -> str:
    """What to do where the photographs are missing, in Markdown."""
    kind = _kind(network)
    if not kind.places:
        return f"To measure a network here, install the package that brings its pictures: {kind.title.lower()}."
    pictures, what = f"validation photographs of {kind.title}", f"`{kind.places[0]}`"
    if kind.classes is None:
        pictures, what = "pictures that it learned from", "their folders `train` and `val`"
    return (
        f"To measure a network here, bring the {pictures}: put {what} into a folder `data` here, or start the app with "
        "`LAMBDA_DATA` set to the folder that holds it."
    )


def stopped(network: Opened, error: Exception, which: str = "It") -> str:
    """Why its pictures cannot be had, in Markdown: they are not there, not whole, or one of them is damaged."""
    if isinstance(error, data.DataMissing) and not here(network):
        return to_bring(network)
    return f"{which} cannot be measured here: {words.escaped(str(error))}."


def here(network: Opened) -> bool:
    """Whether the photographs seem to be here: looks for their folder alone, so it takes no time."""
    return _kind(network).here(data.data_folder())


def pictures(network: Opened) -> Any:
    """The validation pictures. Raises DataMissing where they are not here, ValueError where the classes differ."""
    return _pictures(network.key, str(data.data_folder()), network.checkpoint)


@st.cache_resource(max_entries=4, ttl=600, show_spinner=False)  # listing a large set takes longer than a page may
def _pictures(key: str, folder: str, _checkpoint: Checkpoint) -> Any:
    return held_out(_checkpoint, folder)


def measure(network: Opened, count: int) -> Iterator[tuple[int, int]]:
    """Measure on `count` pictures drawn at random: yields (done, of) after each batch, stores the report at the end."""
    found = pictures(network)
    indices = subset(len(found), count)
    parts, labels = [], []
    for start in range(0, len(indices), BATCH):
        batch = [found[i] for i in indices[start : start + BATCH]]
        x = normalized(network.checkpoint, torch.stack([image for image, _ in batch]))
        with loading.LOCK:
            parts.append(answers_of(network.checkpoint.model, x))
        labels += [label for _, label in batch]
        yield len(labels), len(indices)
    inside = joined(parts)
    outside = None if inside.logits.shape[1] * inside.features.shape[1] > LARGEST_MARK else _outside(network)
    here = _here()
    here[network.key, len(labels)] = report(inside, np.array(labels), indices, outside)
    for oldest in list(here)[:-KEPT]:
        here.pop(oldest, None)


def _outside(network: Opened) -> Answers:
    x = normalized(network.checkpoint, outside_pictures(network.checkpoint.preprocess, network.checkpoint.classes))
    parts = []
    for batch in x.split(BATCH):
        with loading.LOCK:
            parts.append(answers_of(network.checkpoint.model, batch))
    return joined(parts)


def accuracy(found: dict[str, Any]) -> str:
    """Top-1 with its standard error, as text."""
    return f"{cast(float, found['top1']):.1f} % ± {found['standard_error']:.1f}"
