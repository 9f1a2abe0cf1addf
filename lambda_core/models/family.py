"""Networks by name: those of the paper's tables, the ones that other libraries train, and a small one."""

from dataclasses import replace

from lambda_core.models.config import Config

_RESNETS = {
    "resnet26": Config((2, 2, 2, 2)),
    "resnet50": Config((3, 4, 6, 3)),
    "resnet101": Config((3, 4, 23, 3)),
    "resnet152": Config((3, 8, 36, 3)),
}
_RESNET50 = _RESNETS["resnet50"]

# The paper's first table: what stands in for the 3x3 convolution of a ResNet-50, or goes with it.
_LAYERS = {
    "a2_resnet50": replace(_RESNET50, stages="C-CD-CD-C"),
    "efficient_resnet50": replace(_RESNET50, stages="C-CE-CE-C"),
    "augmented_resnet50": replace(_RESNET50, stages="CAAA", image_size=224),
    "local_resnet50": replace(_RESNET50, stages="RRRR"),
    # The widths of LR-Net-50, with the outputs of a ResNet-50. Its stem has a local relation too; this one has none.
    "relation_resnet50": replace(_RESNET50, stages="HHHH", widths=(100, 200, 400, 800), expansion=2.56),
    "patchwise_resnet50": replace(_RESNET50, stages="ZZZZ"),
    "global_resnet50": replace(_RESNET50, stages="GGGG", image_size=224),
    "axial_resnet50": replace(_RESNET50, stages="XXXX", image_size=224),
}


def evenly(depth: int, lambdas: int) -> str:
    """A stage of `depth` blocks, `lambdas` of them lambda layers as far apart as they can be: CCLCCL is (6, 2)."""
    return "".join("L" if (i + 1) * lambdas // depth > i * lambdas // depth else "C" for i in range(depth))


# The paper's table of large networks: a stem of 3x3 convolutions as in ResNet-D, whose max-pool gives way to another;
# squeeze-excite of ratio 1/4, in the lambda networks in the first two stages alone; so many lambda layers in the third.
_LARGE = {
    101: ((3, 4, 23, 3), 3),
    152: ((3, 8, 36, 3), 6),
    # LambdaResNets beyond the table, with the numbers of lambda layers that the paper's text gives for hybrids.
    200: ((3, 24, 36, 3), 6),
    270: ((4, 29, 53, 4), 6),
    350: ((4, 36, 72, 4), 6),
    420: ((4, 44, 87, 4), 8),
}
_STEM_D = ((3, 32, 2), (3, 32, 1), (3, 64, 1), (3, 64, 2))


def _large(depth: int) -> dict[str, Config]:
    depths, lambdas = _LARGE[depth]
    plain = Config(depths, stem=_STEM_D, pool=False, layers={"S": {"ratio": 0.25}})
    return {
        f"resnet{depth}_d": plain,
        f"se_resnet{depth}_d": replace(plain, stages="SSSS"),
        f"hybrid_resnet{depth}_d": replace(plain, stages=f"S-S-{evenly(depths[2], lambdas)}-L"),
        f"lambda_resnet{depth}_d": replace(plain, stages="SSLL"),
    }


# The lambda networks of timm, with its weights: `lambda_core.checkpoints.from_timm`.
_TIMM = Config(
    (2, 2, 2, 2),
    stages="C-C-CL-L",
    stem=((3, 24, 2), (3, 32, 1), (3, 64, 1)),
    layer={"scope": 9, "position_bias": True},
)

# For photographs of 96 to 160 px: two strided 3x3 convolutions for a stem, the third stage at a stride of 8.
_MINI = Config(
    (1, 2, 2, 2),
    stages="CCLL",
    widths=(32, 64, 128, 192),
    strides=(1, 2, 1, 2),
    stem=((3, 32, 2), (3, 64, 2)),
    pool=False,
    layer={"scope": 11},
)
_MICRO = replace(_MINI, depths=(1, 1, 2, 1), widths=(16, 32, 64, 128), stem=((3, 24, 2), (3, 32, 2)))
_SMALL = replace(_MINI, widths=(64, 128, 256, 384))

FAMILY: dict[str, Config] = {
    **_RESNETS,
    **{f"lambda_{name}": replace(config, stages="LLLL") for name, config in _RESNETS.items()},
    **{f"se_{name}": replace(config, stages="SSSS") for name, config in _RESNETS.items()},
    **{f"hybrid_{name}": replace(config, stages="CCLL") for name, config in _RESNETS.items()},
    **_LAYERS,
    **{name: config for depth in _LARGE for name, config in _large(depth).items()},
    "lambda_resnet26t": _TIMM,
    "lambda_resnet26rpt_256": replace(_TIMM, layer={"scope": None}, image_size=256),
    "lambda_resnet50ts": replace(_TIMM, depths=(3, 4, 6, 3), stages="C-CCCL-CL-CLC", act="silu"),
    "lambda_resnet_mini": _MINI,
    "lambda_resnet_micro": replace(_MICRO, layer={"scope": 23}),
    "lambda_resnet_small": _SMALL,
    "resnet_small": replace(_SMALL, stages="CCCC"),
}
