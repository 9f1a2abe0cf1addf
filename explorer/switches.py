"""Switches for the halves of each lambda layer, and what the network then answers."""

from html import escape

import streamlit as st

from explorer import accuracy, bars, halves, images, loading, places, state, theme, tour, words
from explorer.halves import Off
from lambda_core.switching import HALVES

TASK = "halves_switch"
PRESETS = {"Both": HALVES, "Content only": ("content",), "Position only": ("position",), "Neither": ()}
SHOWN = 3  # classes of each answer
OFF = "off"  # in the address


def _key(path: str, half: str) -> str:
    return f"switch_{loading.network_key()}_{path}_{half}"


def chosen() -> Off:
    """What is switched off now."""
    return frozenset(
        (path, half)
        for path, names in halves.there().items()
        for half in names
        if not st.session_state.get(_key(path, half), True)
    )


def to_text(off: Off) -> str:
    """Switches for a link: "1c-3p" is content off in the first lambda layer, position in the third."""
    numbers = {path: number for number, path in enumerate(halves.there(), start=1)}
    return "-".join(f"{number}{half[0]}" for number, half in sorted((numbers[path], half) for path, half in off))


def from_text(text: str) -> Off | None:
    """The switches of a link; None where it names one that this network does not have."""
    names = {to_text(frozenset([(path, half)])): (path, half) for path, of in halves.there().items() for half in of}
    parts = text.split("-")
    return frozenset(names[part] for part in parts) if all(part in names for part in parts) else None


def arrive() -> None:
    """Press the switches that a link names."""
    if not state.opened() or not (text := st.query_params.get(OFF)):
        return
    off = from_text(text)
    if off is None:
        state.note(["The link switches off a half that this network does not have, so nothing is switched off."])
        return
    for path, names in halves.there().items():
        for half in names:
            st.session_state[_key(path, half)] = (path, half) not in off


def _write_url(off: Off) -> None:
    state.put(OFF, to_text(off))


def presets() -> dict[str, tuple[str, ...]]:
    """The halves that stay on, by name: of a network with one half, all on and all off."""
    there = set(places.halves())
    return {name: on for name, on in PRESETS.items() if set(on) <= there}


def about() -> str:
    """What switching a half off means for this network."""
    off = "A half that is off gives zeros; all weights stay as they were trained. Watch what the network then makes of "
    if len(places.halves()) > 1:
        return f"{off}the picture: how much does it rely on what there is, how much on where it lies?"
    return f"{off}the picture. Its lambda layers have one half each: a layer without it passes nothing on."


def _preset(on: tuple[str, ...]) -> None:
    for path, names in halves.there().items():
        for half in names:
            st.session_state[_key(path, half)] = half in on


def table(picture: images.Picture) -> None:
    """A row a layer: a switch for each half, and how large the half's output is on this picture."""
    with st.container(horizontal=True, gap="small"):
        for name, on in presets().items():
            st.button(name, key=f"preset_{name}", on_click=_preset, args=(on,))
    sizes = halves.sizes(picture)
    most = max((size for of_layer in sizes.values() for size in of_layer.values()), default=1.0)
    titles = {info.path: info.title for info in loading.lambda_layers(loading.checkpoint().model)}
    rows = st.container(height=420 if len(titles) > 8 else "content", border=False, gap="small")
    for path, of_layer in sizes.items():
        with rows.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.markdown(titles[path], width=118)
            for half in HALVES:
                if half in of_layer:
                    st.session_state.setdefault(_key(path, half), True)
                    st.toggle(half.capitalize(), key=_key(path, half), width=98, persist_state="session")
                else:
                    st.caption(f"no {half}", width=98)
            st.html(bars.size_bars(of_layer, most, theme.scheme()), width=180)
    order = ", content above position" if len(places.halves()) > 1 else ""
    st.caption(f"Bars: size (root mean square) of what each half gives on this picture{order}.")


def answers(picture: images.Picture, off: Off) -> None:
    """The classes that the whole network finds likeliest, and the switched one, before and after."""
    before, after = halves.answer(picture), halves.answer(picture, off)
    names = words.class_names(loading.checkpoint().classes, len(before))
    wanted = list(dict.fromkeys([*before.argsort()[::-1][:SHOWN], *after.argsort()[::-1][:SHOWN]]))
    now, then = names[after.argmax()], names[before.argmax()]
    if not off:
        sentence = f"<b>{escape(then)}</b>, with nothing switched off."
    elif now == then:
        sentence = f"<b>Still {escape(then)}</b>, with {halves.said(off)}."
    else:
        sentence = f"<b>{escape(now)}</b>, no longer {escape(then)}, with {halves.said(off)}."
    st.html(f'<p data-testid="answer">{sentence}</p>')  # class names of a network that was sent in are only text
    st.html(bars.answer_bars([(names[i], float(before[i]), float(after[i])) for i in wanted], theme.scheme()))
    st.caption("Grey: the whole network. Violet: with the switches.")
    st.caption(words.escaped(words.knows(loading.checkpoint().classes)))
    if now != then:
        tour.tick(TASK)


@st.fragment
def show(picture: images.Picture) -> None:
    """Switches at the left, answer at the right; only this part of the page runs again when one is pressed."""
    row = st.container(horizontal=True, gap="large")
    with row.container(width=590):
        table(picture)
    off = chosen()
    with row.container(width=480):
        answers(picture, off)
        if TASK in tour.done() or TASK not in tour.closed():
            icon = tour.ICONS[TASK in tour.done()]
            st.markdown(f"{icon} **Try it:** find the fewest switches that change the answer.")
    accuracy.show(off)
    _write_url(off)
