"""What a page says of the link that it was opened by, where it could not be followed: above the page, on any screen."""

import streamlit as st

from explorer import state

PLACE, MOST = "notes_place", 3


def reserve() -> None:
    """Keep a place for it, before the page draws."""
    st.session_state[PLACE] = st.empty()


def show() -> None:
    """Say it there, once the page knows."""
    notes = state.take_notes()
    if not notes:
        return
    if len(notes) > MOST + 1:
        notes = [*notes[:MOST], f"And {len(notes) - MOST} more of its parameters could not be followed."]
    st.session_state[PLACE].info(notes[0] if len(notes) == 1 else "\n".join(f"- {note}" for note in notes))
