"""Slow figures made beside the page: it shows at once, and they join when they are ready."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import streamlit as st

LOOK = 0.5  # seconds between two looks at what is still being made
_POOL, _LATEST = (ThreadPoolExecutor(1, thread_name_prefix=name) for name in ("later", "latest"))


@st.cache_resource(max_entries=32, show_spinner=False)
def _begun(key: str, _work: Callable[[], Any], _pool: ThreadPoolExecutor = _POOL) -> Future:
    return _pool.submit(_work)


def _latest(name: str, key: str, work: Callable[[], Any]) -> Future:
    """Of this session's figures called `name` the one asked for now: the one before is not made if it still waits."""
    future = _begun(key, work, _LATEST)
    if future.cancelled():  # by this session before, or by another that wanted the same
        _begun.clear(key, work, _LATEST)
        future = _begun(key, work, _LATEST)
    before = st.session_state.get(f"later_{name}")
    if before not in (None, future):
        before.cancel()
    st.session_state[f"later_{name}"] = future
    return future


def show(
    key: str, work: Callable[[], Any], draw: Callable[[Any], None], waiting: str,
    refusals: tuple[type[Exception], ...] = (), latest: str = "",
) -> None:  # fmt: skip
    """Draw work() when it is ready, and until then the sentence `waiting`. One run a key, for all sessions.

    latest: a name for figures that follow a choice. They have a worker of their own, see `_latest`.

    work runs in a thread of its own and must not use Streamlit. Of an error among `refusals` the page says what it
    says, any other is raised here; it is forgotten, and the next visit tries again.
    """
    future = _latest(latest, key, work) if latest else _begun(key, work)

    def look() -> None:
        if not future.done():
            st.caption(waiting)
        elif polling or future.cancelled():
            st.rerun()
        elif (error := future.exception()) is None:
            draw(future.result())
        else:
            _begun.clear(key, work)
            if not isinstance(error, refusals):
                raise error
            st.warning(str(error))

    polling = not future.done()
    if polling:
        st.fragment(look, run_every=LOOK)()
    else:
        look()
