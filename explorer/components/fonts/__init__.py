"""`fonts`: the letters of formulas, for the whole page. A canvas lives in a shadow root, where @font-face does nothing.

Placed before anything slow, it has a second use. The browser fetches Streamlit's part for components with the first of
them, and React fills the gap no sooner than 300 ms later: by then the canvas is there, and need not wait for its own.
"""

import streamlit as st

from explorer import theme

_mount = st.components.v2.component("fonts", html="<span hidden></span>", css=theme.css_fonts(), isolate_styles=False)


def fonts() -> None:
    """Give the page the fonts. Takes no room."""
    with st.container(key="fonts"):
        _mount(key="page_fonts")
