"""What this session's network and this machine let one do on the tour.

Some tasks need both halves, or an answer that can change, or a system that reports its memory.
"""

from typing import Any, cast

from explorer import loading, places, tour
from lambda_core.measuring import main_memory


def note() -> None:
    """Close the tasks that cannot be done here, and open those that only another network did not allow."""
    halves = places.halves()
    several = cast(Any, loading.checkpoint().model).config.num_classes > 1  # one class is the answer to everything
    for name in ("overview", "attention"):
        tour.allow(name, len(halves) == 2)
    tour.allow("sum", bool(halves))
    tour.allow("scope-crop", places.largest_table() > 3)
    tour.allow("halves_switch", bool(halves) and several)
    tour.allow("brush", several)
    tour.allow("memory", main_memory().total > 0)  # else there is no line to cross
