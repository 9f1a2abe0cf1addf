"""streamlit run explorer/app.py: the server. What a visit runs is main.py."""

import runpy
import sys
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.scriptrunner import get_script_run_ctx

sys.path.insert(0, str(Path(__file__).parents[1]))  # this checkout, should another be the one that is installed

from explorer import early, opening, serving

layers = [Middleware(opening.Opening), Middleware(serving.Client), Middleware(early.Early)]
app = st.App("main.py", lifespan=serving.lifespan, middleware=layers)

if get_script_run_ctx(suppress_warning=True):  # run as a script, as AppTest does: there is no server to start
    runpy.run_path(str(Path(__file__).with_name("main.py")))
