"""A model card as a page can show it. Its words come from a file, so they are escaped and nothing in them is a link."""

from collections.abc import Mapping
from html import escape
from typing import Any

import streamlit as st

from explorer import shelf
from explorer.networks import Opened

TITLES = {
    "task": "Task", "data": "Data", "source": "Source", "command": "Trained with", "epochs": "Epochs",
    "machine": "Machine", "note": "Note", "seed": "Seed",
}  # fmt: skip
LONGEST = 1000  # a note of some sentences is shown whole, a book is not


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _metric(name: str, metric: Any) -> str:
    if not isinstance(metric, Mapping):
        return f"{name}: {_short(metric)}"
    where = f" on {metric['images']:,} pictures" if isinstance(metric.get("images"), int) else ""
    size = f" at {metric['size']} px" if "size" in metric else ""
    how = f", measured with {metric['command']}" if "command" in metric else ""
    return _short(f"{name}: {metric.get('value', '?')} {metric.get('unit', '')}{where}{size}{how}")


def rows(network: Opened) -> list[tuple[str, str]]:
    """(term, text) of everything on the card that a person would look for."""
    loaded = network.checkpoint
    card, architecture = loaded.card, loaded.card.get("architecture", {})
    options = ", ".join(f"{name} = {_short(value)}" for name, value in architecture.get("overrides", {}).items())
    parameters = sum(p.numel() for p in loaded.model.parameters())
    size, classes = loaded.preprocess.get("size"), loaded.classes
    found = [
        ("Name", network.name),
        ("Architecture", f"{architecture.get('name', 'not said')}" + (f" with {options}" if options else "")),
        ("Parameters", f"{parameters / 1e6:.2f} million"),
        ("Input", f"{size} × {size} px in RGB" if size else "not said"),
        ("Classes", f"{len(classes)}: {_short(', '.join(classes))}" if classes else "not named"),
    ]
    found += [(title, _short(card[name])) for name, title in TITLES.items() if name in card]
    recipe = card.get("recipe")
    if isinstance(recipe, Mapping):
        told = ("epochs", "batch", "lr", "weight_decay", "label_smoothing", "ema", "precision")
        words = [str(recipe["words"])] if "words" in recipe else []
        found.append(("Recipe", ", ".join([*words, *(f"{name} {recipe[name]}" for name in told if name in recipe)])))
    metrics = card.get("metrics")
    if isinstance(metrics, Mapping):
        found += [("Measured", _metric(str(name), metric)) for name, metric in metrics.items()]
    return [(term, _short(text)) for term, text in found]


def show(networks: list[Opened]) -> None:
    """The cards, one below the other."""
    for network in networks:
        if len(networks) > 1:
            st.html(f'<div class="verdict"><h3>{escape(shelf.title(network.name)[:60])}</h3></div>')
        terms = "".join(f"<dt>{escape(term)}</dt><dd>{escape(text)}</dd>" for term, text in rows(network))
        st.html(f'<dl class="card">{terms}</dl>')
