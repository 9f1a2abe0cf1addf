"""What this session's network lets one do on the tour: some tasks need both halves, or an answer that can change."""

from typing import Any, cast

from explorer import loading, places, tour


def note() -> None:
    """Close the tasks that this network does not allow, and open those that another one did not."""
    halves = places.halves()
    several = cast(Any, loading.checkpoint().model).config.num_classes > 1  # one class is the answer to everything
    for name in ("overview", "attention"):
        tour.allow(name, len(halves) == 2)
    tour.allow("sum", bool(halves))
    tour.allow("scope-crop", places.largest_table() > 3)
    tour.allow("halves_switch", bool(halves) and several)
    tour.allow("brush", several)
