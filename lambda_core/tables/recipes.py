"""How each row of the paper's tables is built here: RECIPES, table -> row -> recipe, for all that a formula gives.

One configuration gives every figure: 7x7 stem and max-pool, the stride of a block on its middle layer, a strided lambda
layer at full resolution with average pooling after it, batch norm after every lambda layer, k=16, h=4, u=1, r=23, and
r=7 where u > 1. FLOPs and m as in `lambda_core.cost`.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from torch import nn

from lambda_core.cost import Cost, Memory, memory, profile_in_place
from lambda_core.meta import shapes_only
from lambda_core.models import build


@dataclass(frozen=True)
class Network:
    """A row that is a network: `build(name, **options)` at an image size."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    image_size: int = 224

    def build(self) -> nn.Module:
        """The network on the meta device: shapes without numbers."""
        with shapes_only():
            return build(self.name, **self.options)

    @cached_property
    def cost(self) -> Cost:
        return profile_in_place(self.build(), self.image_size)

    def figures(self) -> dict[str, float]:
        return {"params_m": self.cost.params / 1e6, "flops_b": self.cost.flops / 1e9}

    def derivation(self) -> list[str]:
        """A line for every term."""
        return [f"{row.path} {term}" for row in self.cost.rows for term in (*row.params, *row.flops)]

    def __str__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"build({self.name!r}{options}) at {self.image_size} px"


# Layers of a ResNet-50 and the side of their maps, after the stride: the paper counts its memory so.
STAGES = ((3, 56), (4, 28), (6, 14), (3, 7))


@dataclass(frozen=True)
class Maps:
    """A row that is memory: attention maps or position embeddings of all layers of a ResNet-50 at 224 px."""

    kind: str
    options: dict[str, Any]

    @cached_property
    def memory(self) -> list[Memory]:
        return [memory(self.kind, layers=layers, side=side, batch=128, **self.options) for layers, side in STAGES]

    def figures(self) -> dict[str, float]:
        return {"memory_gib": sum(stage.map_bytes for stage in self.memory) / 2**30}

    def derivation(self) -> list[str]:
        """A line for every term, in entries."""
        return [f"{stage.bytes_an_entry} bytes an entry, {term}" for stage in self.memory for term in stage.maps]

    def __str__(self) -> str:
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"memory({self.kind!r}, batch=128{options}), summed over a ResNet-50"


Recipe = Network | Maps

ATTENTION = {"heads": 8, "bytes_an_entry": 4}
EMBEDDINGS = {"bytes_an_entry": 2}  # the figures of the lambda rows are those of bfloat16
KHU = (
    (8, 2, 1), (8, 16, 1), (2, 4, 1), (4, 4, 1), (8, 4, 1), (16, 4, 1), (32, 4, 1), (2, 8, 1), (4, 8, 1), (8, 8, 1),
    (16, 8, 1), (32, 8, 1), (8, 8, 4), (8, 8, 8), (16, 4, 4),
)  # fmt: skip


def _scope(r: int | None) -> Network:
    size = {"image_size": 224} if r is None else {}
    return Network("lambda_resnet50", {"stages": "CLLL", "scope": r, **size})


def _khu(k: int, h: int, u: int) -> Network:
    return Network("lambda_resnet50", {"dim_k": k, "heads": h, "dim_u": u, "scope": 23 if u == 1 else 7})


LAMBDA = Network("lambda_resnet50")

RECIPES: dict[str, dict[str, Recipe]] = {
    "layers": {
        "conv": Network("resnet50"),
        "conv + channel attention (squeeze-excite)": Network("se_resnet50"),
        "conv + linear attention (Chen et al. 2018)": Network("a2_resnet50"),
        "conv + linear attention (Shen et al. 2018)": Network("efficient_resnet50"),
        "conv + relative self-attention (Bello et al. 2019)": Network("augmented_resnet50"),
        "local relative self-attention (Ramachandran et al. 2019)": Network("local_resnet50"),
        "local relative self-attention (Hu et al. 2019)": Network("relation_resnet50"),
        "local relative self-attention (Zhao et al. 2020)": Network("san19"),
        "lambda layer": LAMBDA,
        "lambda layer (u=4)": Network("lambda_resnet50", {"dim_u": 4, "scope": 7}),
    },
    "content_vs_position": {
        "content": Network("lambda_resnet50", {"position": False}),
        "position": Network("lambda_resnet50", {"content": False}),
        "content and position": LAMBDA,
    },
    "placement": {
        stages: Network("resnet50", {"stages": stages})
        for stages in ("CCCC", "LCCC", "LLCC", "LLLC", "LLLL", "CLLL", "CCLL", "CCCL")
    },
    "scope": {**{f"{r}x{r}": _scope(r) for r in (3, 7, 15, 23, 31)}, "global": _scope(None)},
    "khu": {f"k={k}, h={h}, u={u}": _khu(k, h, u) for k, h, u in KHU},
    "complexity": {
        "global self-attention": Maps("global attention", ATTENTION),
        "axial self-attention": Maps("axial attention", ATTENTION),
        "local self-attention (7x7)": Maps("local attention", {"scope": 7, **ATTENTION}),
        "lambda layer": Maps("lambda, einsum", EMBEDDINGS),
        "lambda layer (k=8)": Maps("lambda, einsum", {"k": 8, **EMBEDDINGS}),
        "lambda layer (shared embeddings)": Maps("lambda, einsum", {"shared": True, **EMBEDDINGS}),
    },
    "large": {
        f"ResNet-{depth}{suffix}": Network(f"{name}resnet{depth}_d", image_size=size)
        for depth, size, some in ((101, 224, " + 3 lambda"), (152, 256, " + 6 lambdas"))
        for suffix, name in (("", ""), (" + SE", "se_"), (some, "hybrid_"), (" + all lambdas", "lambda_"))
    },
}
