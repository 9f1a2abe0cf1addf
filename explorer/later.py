"""Slow figures made beside the page: it shows at once, and they join when they are ready."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import streamlit as st

LOOK = 0.5  # seconds between two looks at what is still being made
_POOL = ThreadPoolExecutor(1, thread_name_prefix="later")


@st.cache_resource(max_entries=32, show_spinner=False)
def _begun(key: str, _work: Callable[[], Any]) -> Future:
    return _POOL.submit(_work)


def show(
    key: str, work: Callable[[], Any], draw: Callable[[Any], None], waiting: str,
    refusals: tuple[type[Exception], ...] = (),
) -> None:  # fmt: skip
    """Draw work() when it is ready, and until then the sentence `waiting`. One run a key, for all sessions.

    work runs in a thread of its own and must not use Streamlit. Of an error among `refusals` the page says what it
    says, any other is raised here; it is forgotten, and the next visit tries again.
    """
    future = _begun(key, work)

    def look() -> None:
        if not future.done():
            st.caption(waiting)
        elif polling:
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
