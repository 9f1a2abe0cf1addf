"""Every table of the paper, published beside recomputed: `python -m lambda_core.tables`.

`compare(table)` gives the figures, `RECIPES[table][row]` the network or the formula behind a row, and its
`derivation()` every term.
"""

from lambda_core.tables.figures import METRICS, Figure, compare, published
from lambda_core.tables.recipes import RECIPES, Maps, Network

__all__ = ["METRICS", "RECIPES", "Figure", "Maps", "Network", "compare", "published"]
