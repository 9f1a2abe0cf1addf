"""What every visit runs: navigation, and nothing else. app.py starts the server."""

from pathlib import Path

import streamlit as st

from explorer import importing, navigation, notes, state, tour
from explorer.components.fonts import fonts

ASSETS = Path(__file__).with_name("assets")

st.set_page_config(page_icon=str(ASSETS / "icon.svg"), layout="wide", initial_sidebar_state=232)
st.logo(str(ASSETS / "logo.svg"), size="large", link=None)
st.html(ASSETS / "app.css")
fonts()

pages = {info.title: info for info in navigation.find()}
menu: dict[str, list] = {}
for info in pages.values():
    page = st.Page(info.path, title=info.title, url_path=info.path.stem, default=info.path.stem == "home")
    menu.setdefault(info.group, []).append(page)
chosen = st.navigation(menu, position="top")
st.set_page_config(navigation.tab_title(pages[chosen.title]))  # so that tabs and entries of the history differ
importing.imports(pages[chosen.title].path)
state.arrive(chosen.url_path, navigation.asked_from())
with tour.line(chosen.url_path):
    notes.reserve()
    chosen.run()
