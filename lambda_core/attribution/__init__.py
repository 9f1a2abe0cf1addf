"""Where an answer came from: Captum's methods as one heat map, and the shares of the two halves of a lambda layer.

`attribute` runs a method of METHODS, `halves` splits a logit over content and position, `curve` and `cascade` ask
whether a map can be trusted. All work on a twin of the model, so they leave nothing behind and may run in many threads.
"""

from lambda_core.attribution.faithfulness import FILLS, Curve, curve, replaced
from lambda_core.attribution.halves import Halves, halves
from lambda_core.attribution.heat import attribute
from lambda_core.attribution.methods import METHODS, Method
from lambda_core.attribution.sanity import Cascade, cascade

__all__ = [
    "FILLS", "METHODS", "Cascade", "Curve", "Halves", "Method", "attribute", "cascade", "curve", "halves", "replaced",
]  # fmt: skip
