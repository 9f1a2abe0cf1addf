"""Networks on their validation set: measured on request, batch by batch, or shown as they were measured beforehand."""

import math
from dataclasses import replace
from io import BytesIO
from typing import Any

import streamlit as st

from explorer import answer_plots, images, loading, measured, shelf, sidebar, theme, words
from explorer.networks import Opened

COUNTS = (100, 300, 1000, 4000)
SHOWN = 12  # of the hardest pictures
WORDS = ("Network", "Measured")  # columns of the table that hold no numbers
MOST_CLASSES = 40  # in a confusion matrix that can be read


def show(networks: list[Opened]) -> None:
    """The figures of each network, a button that measures them, and the pictures that the first finds hardest."""
    known = [(network, found) for network in networks if (found := measured.figures(network))]
    if known:
        same = measured.together(networks)
        _table(list(zip(networks, same, strict=True)) if same else known)
        if len(networks) > 1 and not same:
            st.caption(_apart(networks, all_known=len(known) == len(networks)))
    _measure(networks)
    if known and known[0][0] is networks[0]:
        _diagrams(networks[0], known[0][1])
        _hardest(networks[0], known[0][1])


def _apart(networks: list[Opened], *, all_known: bool) -> str:
    """Why the figures do not compare, and what would help."""
    if not measured.comparable(networks):
        return (
            "These networks answer different questions: each has classes and photographs of its own, so no one set "
            "can compare them."
        )
    return "These networks were measured on different photographs. " * all_known + "Measure them here to compare."


def _table(known: list[tuple[Opened, dict[str, Any]]]) -> None:
    rows = [
        {
            "Network": shelf.title(network.name)[:60],
            "Right answers (top-1)": measured.accuracy(found),
            "Loss: surprise (nats)": round(found["loss"], 3),
            "Calibration error": f"{100 * found['calibration']['ece']:.1f} %",
            "Photographs": f"{found['images']:,}",
            "Measured": found.get("date", "here, now"),
        }
        for network, found in known
    ]
    numbers = {name: st.column_config.Column(alignment="right") for name in rows[0] if name not in WORDS}
    st.dataframe(rows, hide_index=True, width="content", column_config=numbers)
    classes = len(known[0][1]["confusion"])
    commands = [f"`{found['command']}`" for _, found in known if "command" in found]
    st.caption(
        "± is one standard error. Loss: how surprised the network is by the right answer, on average; 0 would be sure "
        f"of it every time, {math.log(classes):.2f} is a guess among {classes:,} classes. Calibration error: how far, "
        "on average, the network’s certainty lies from its share of right answers (Guo et al. 2017, 15 bins)."
        + (f" Measured with {', '.join(commands)}." * bool(commands))
    )


def _measure(networks: list[Opened]) -> None:
    total = []
    for network in networks:
        which = "It" if len(networks) == 1 else words.escaped(shelf.title(network.name)[:60])
        if reason := measured.unfit(network):
            st.markdown(f"{which} cannot be measured here: {reason}.")
            return
        try:
            total.append(len(measured.pictures(network)))
        except (OSError, ValueError, KeyError) as error:
            st.markdown(measured.stopped(network, error, which))
            return
    counts = [count for count in COUNTS if count < min(total)] + [min(total)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        count = st.selectbox("Photographs", counts, index=min(1, len(counts) - 1), key="set_count", width=120)
        start = st.button(f"Measure on {count:,} validation photographs", key="set_measure")
    st.caption("Drawn at random from the validation split, always the same ones.")
    if start:
        st.button("Cancel", key="set_cancel")  # any press starts this part of the page again and ends the loop
        bar = st.progress(0.0)
        for place, network in enumerate(networks):
            title = words.escaped(shelf.title(network.name)[:60])
            try:
                for done, of in measured.measure(network, count):
                    bar.progress((place + done / of) / len(networks), f"{title}: {done:,} of {of:,}")
            except (OSError, ValueError) as error:  # a picture is damaged, or gone since they were listed
                bar.empty()
                st.info(measured.stopped(network, error))
                return
        st.rerun()


def _diagrams(network: Opened, found: dict[str, Any]) -> None:
    options: dict[str, Any] = {"width": "stretch", "config": {"displayModeBar": False}, "theme": None}
    names, hues = words.class_names(network.checkpoint.classes, len(found["confusion"])), theme.scheme()
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**What is taken for what**")
        if len(names) <= MOST_CLASSES:
            st.plotly_chart(answer_plots.confusion(found["confusion"], names, hues), key="confusion", **options)
            st.caption("A row is a class, a column an answer; numbers are photographs, colour is the share of the row.")
        else:
            rows = answer_plots.most_confused(found["confusion"], names)
            st.dataframe(rows, hide_index=True, width="stretch")
    with right:
        st.markdown("**How sure, and how often right**")
        st.plotly_chart(answer_plots.reliability(found["calibration"], hues), key="reliability", **options)
        st.caption(
            "Bars above the line: the network is right more often than it says. Below: it promises too much. The "
            "fainter a bar, the fewer photographs it counts."
        )


def _hardest(network: Opened, found: dict[str, Any]) -> None:
    st.markdown("**The photographs that it finds hardest**")
    try:
        pictures = measured.pictures(network)
        shown = [entry for entry in found["hardest"][:SHOWN] if entry["index"] < len(pictures)]
        thumbs = [_thumb(network.key, entry["index"], pictures) for entry in shown]
    except (OSError, SyntaxError, ValueError, KeyError):  # gone, or damaged since they were listed
        st.markdown("They are shown where the data set is.")
        return
    names = words.class_names(network.checkpoint.classes, len(found["confusion"]))
    with st.container(horizontal=True, gap="medium", key="hardest"):
        for entry, image in zip(shown, thumbs, strict=True):
            with st.container(width=136, gap="small"):
                st.image(image, width=128)
                right, answer = (words.unlinked(names[entry[which]]) for which in ("label", "answer"))
                st.caption(f"{right}, taken for {answer}, {100 * entry['probability']:.0f} %")
                st.button("Look at it", key=f"hard_{entry['index']}", on_click=_take, args=(network, entry["index"]))


@st.cache_data(max_entries=200, show_spinner=False)
def _thumb(network_key: str, index: int, _pictures: Any) -> bytes:
    picture = _pictures.source[index][0].convert("RGB")
    if max(picture.size) < loading.COARSE:  # its pixels as squares
        return images.png_bytes(images.enlarged(picture, 256))
    return images.jpeg_bytes(picture, 256)


def _take(network: Opened, index: int) -> None:
    """Make a picture of the set the one that every page shows."""
    image, label = measured.pictures(network).source[index]
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "PNG")  # as it is: a small picture would be another one as JPEG
    title = words.class_name(network.checkpoint.classes, label)  # no name of a file: "v1.5" has no ending
    sidebar.keep("set", replace(images.read_image(buffer.getvalue()), title=title))
