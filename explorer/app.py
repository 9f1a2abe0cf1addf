"""streamlit run explorer/app.py: the server. What a visit runs is main.py."""

import streamlit as st
from starlette.middleware import Middleware

from explorer import serving

app = st.App("main.py", lifespan=serving.lifespan, middleware=[Middleware(serving.Client)])
