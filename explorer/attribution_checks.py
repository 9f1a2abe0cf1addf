"""The halves of the attributions page, and its checks: can a map be trusted?"""

from collections.abc import Collection
from typing import Any

import streamlit as st

from explorer import attribution_plots as plots
from explorer import attribution_view, attributions, loading, places, theme
from explorer.attributions import SIDE, Job, Question
from explorer.components.heat_maps import Tile, heat_maps
from lambda_core.attribution import METHODS

HALVES = Job("halves", "halves")


def _want(question: Question, job: Job) -> None:
    asked, jobs = st.session_state.get("attribution_wanted", (question, ()))
    st.session_state["attribution_wanted"] = question, (*(jobs if asked == question else ()), job)


def _button(question: Question, job: Job, label: str) -> Any:
    """The result of a job, or None and a button that asks for it."""
    if result := attributions.known(question, job):
        return result
    st.button(label, key=f"attribution_{job.kind}", on_click=_want, args=(question, job), icon=":material/play_arrow:")
    return None


def _halves_heading(built: tuple[str, ...]) -> str:
    """Heading and question, for the halves that the lambda layers have; the label of the button that answers it."""
    if len(built) > 1:
        st.subheader("Content or position?")
        st.markdown(
            "Each lambda layer adds two halves: what is in the picture (λᶜ) and where it lies (λᵖ). "
            "How much of the logit came through each?"
        )
        return "Split the logit over the halves"
    st.subheader("Layer by layer")
    st.markdown(
        f"The lambda layers of this network have one half, {built[0]} ({plots.SIGNS[built[0]]}). "
        "How much of the logit came through each layer?"
    )
    return "Split the logit over the layers"


def halves(question: Question) -> None:
    """How much of the logit came through λᶜ and λᵖ of each layer."""
    built = places.halves()
    if not built:
        st.caption("This network has no lambda layer, so there are no halves to split its answer over.")
        return
    result = _button(question, HALVES, _halves_heading(built))
    if result is None:
        return
    titles = {info.path: info.title for info in loading.lambda_layers(loading.checkpoint().model)}
    shares = {titles[path]: found for path, found in result.value.items()}
    left, right = st.columns([3, 2], gap="large")
    left.plotly_chart(
        plots.halves_figure(shares, theme.scheme(), built),
        config={"displayModeBar": False}, key="attribution_halves_plot",
    )  # fmt: skip
    here = result.value[question.layer]
    with right:
        tiles = []
        for half in built:
            values = getattr(here, half)
            size = attributions.number(float(values.sum()), sign=True)
            where = f"{titles[question.layer]}, {half}"
            tiles.append(Tile(f"Through {plots.SIGNS[half]}", where, size, half, values.numpy()))
        heat_maps(loading.jpeg(question.picture, SIDE), question.picture.title, tiles, key="attribution_halves_maps")
    table = plots.halves_table(shares, built)
    columns = {name: st.column_config.NumberColumn(format="%+.3f") for name in table[0] if name != "Layer"}
    st.dataframe(table, hide_index=True, column_config=columns)
    st.caption(_halves_caption(built, max(abs(row["error"]) for row in table)))


def _halves_caption(built: tuple[str, ...], worst: float) -> str:
    """What the numbers are, and how exact."""
    signs = [plots.SIGNS[half] for half in built]
    return (
        f"{' and '.join(signs)}: integrated gradients along the straight path from zero to the layer's outputs, which "
        f"must sum to the logit minus the logit without the layer; the largest error here is {worst:.3f}. "
        f"Without {', '.join(signs)}: how the logit changes when that half alone is set to zero."
    )


def checks(question: Question, names: list[str], found: Collection[str]) -> None:
    """Insertion and deletion, and the randomised-weights check, of one method: of those chosen, once its map is found.

    All of `names` are offered, for a choice is lost where it is not: the maps of a new question come one by one.
    """
    if not names:
        st.caption("Choose a method above to check it.")
        return
    name = st.selectbox(
        "Method to check", names, format_func=lambda n: METHODS[n].title, key="attribution_checked", width=260,
        persist_state="session",
    )  # fmt: skip
    if name not in found:
        st.caption(f"The map of {METHODS[name].title}: {attribution_view.absent(question, name)}.")
        return
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(
            "**Insertion and deletion.** Take the hottest pixels away first, or give them back first. A good map makes "
            "the probability fall early and rise early; dotted is one random order (after Petsiuk et al. 2018; "
            "here taken away means blurred, which leaves colours)."
        )
        if result := _button(question, Job("curves", name), "Draw the curves"):
            st.plotly_chart(
                plots.curves_figure(result.value, theme.scheme()),
                config={"displayModeBar": False},
                key="attribution_curves_plot",
            )
            by, chance = (result.value[k].auc for k in ("insertion", "insertion, random"))
            down, by_chance = (result.value[k].auc for k in ("deletion", "deletion, random"))
            st.caption(
                f"Area under the curve: deletion {down:.3f} (random {by_chance:.3f}), "
                f"insertion {by:.3f} (random {chance:.3f})."
            )
    with right:
        st.markdown(
            "**Randomised weights.** Shuffle what the network has learned, from the classifier down. A map that hardly "
            "changes shows the picture, not the network (Adebayo et al. 2018)."
        )
        if result := _button(question, Job("cascade", name), "Shuffle the weights"):
            told = result.value
            st.plotly_chart(
                plots.cascade_figure(told["names"], told["similarity"], theme.scheme()),
                config={"displayModeBar": False},
                key="attribution_cascade_plot",
            )
            empty = sum(not values.any() for values in told["maps"])
            st.caption(
                f"Rank correlation with the true map at the end: {attributions.number(told['similarity'][-1])}."
                + (f" {empty} maps are empty." if empty else "")
            )
