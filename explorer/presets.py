"""What a row of the paper's tables puts on the bench: the network of its recipe, or the one that it speaks of."""

from explorer.architecture import PLAIN, Architecture, of_recipe
from lambda_core.tables import RECIPES, Network

LAMBDAS = "LLLL"
BACKBONES = {
    f"{before}ResNet-{depth}{after}": Architecture(f"resnet{depth}", letter * 4)
    for depth in (101, 152)
    for before, after, letter in (("", "", "C"), ("", " + SE", "S"), ("Lambda", "", "L"))
}
ROWS: dict[str, dict[str, Architecture]] = {  # of tables whose numbers no network's parameters or FLOPs give
    "normalization": {
        "softmax on keys (default)": Architecture(PLAIN, LAMBDAS),
        "softmax on keys and queries": Architecture(PLAIN, LAMBDAS, norm="softmaxkq"),
        "L2-normalized keys": Architecture(PLAIN, LAMBDAS, norm="unitkeys"),
        "non-normalized keys": Architecture(PLAIN, LAMBDAS, norm="rawkeys"),
        "no batch normalization on queries and values": Architecture(PLAIN, LAMBDAS, norm="nobatchnorm"),
    },
    "complexity": {
        "global self-attention": Architecture(PLAIN, "GGGG"),
        "axial self-attention": Architecture(PLAIN, "XXXX"),
        "local self-attention (7x7)": Architecture(PLAIN, "RRRR"),
        "lambda layer": Architecture(PLAIN, LAMBDAS),
        "lambda layer (k=8)": Architecture(PLAIN, LAMBDAS, dim_k=8),
        "lambda convolution (7x7)": Architecture(PLAIN, LAMBDAS, scope=7),
    },
    "detection": BACKBONES,
    "segmentation": BACKBONES,
}
BACKBONE = " On the bench a row is a plain stand-in for its backbone, which is not published, at 224 px."
ASIDE = {  # what a table's rows are on the bench, where that is not plain
    "complexity": " No network here shares its embeddings between layers, so that row is none to build.",
    "detection": BACKBONE,
    "segmentation": BACKBONE,
}


def of(table: str, row: str) -> Architecture | None:
    """The network of a row; None for one that is no network, and for a name that is no row."""
    recipe = RECIPES.get(table, {}).get(row)
    return of_recipe(recipe) if isinstance(recipe, Network) else ROWS.get(table, {}).get(row)
