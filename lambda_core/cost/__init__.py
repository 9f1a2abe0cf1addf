"""Parameters, FLOPs and memory: `profile(network, 224)` module by module, `memory(kind, side=...)` layer against layer.

Every number carries its formula, with letters and with numbers for them. Imported, it also has PyTorch's own
`FlopCounterMode` count the engines, in which it would see nothing.
"""

from lambda_core.cost import counter as counter
from lambda_core.cost.formulas import FORMULAS
from lambda_core.cost.memory import MEMORY, Memory, memory
from lambda_core.cost.profiling import Cost, Row, profile, profile_in_place
from lambda_core.cost.terms import Term, Terms, total

__all__ = [
    "FORMULAS",
    "MEMORY",
    "Cost",
    "Memory",
    "Row",
    "Term",
    "Terms",
    "memory",
    "profile",
    "profile_in_place",
    "total",
]
