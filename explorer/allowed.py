"""What this session's network lets one do on the tour: some tasks need both halves, or an answer that can change."""

from typing import Any, cast

from explorer import loading, places, tour
from lambda_core import LambdaLayer


def _wide(module: Any) -> bool:
    """Whether it is a lambda layer with a window that can be cropped to 3 x 3."""
    return isinstance(module, LambdaLayer) and module.embeddings is not None and max(module.embeddings.shape[-2:]) > 3


def note() -> None:
    """Close the tasks that this network does not allow, and open those that another one did not."""
    halves, model = places.halves(), cast(Any, loading.checkpoint().model)
    several = model.config.num_classes > 1  # one class is the answer to everything
    for name in ("overview", "attention"):
        tour.allow(name, len(halves) == 2)
    tour.allow("sum", bool(halves))
    tour.allow("scope-crop", any(map(_wide, model.modules())))
    tour.allow("halves_switch", bool(halves) and several)
    tour.allow("brush", several)
