"""Layers with one face, (b, dim, H, W) -> (b, dim_out, H / stride, W / stride), and their letter in a stage string.

`LambdaLayer1d` is the lambda layer on sequences.
"""

from torch import nn

from lambda_core.layers.augmented_convolution import AugmentedConvolution
from lambda_core.layers.axial_attention import AxialAttention
from lambda_core.layers.convolution import Convolution, ConvolutionThen
from lambda_core.layers.global_attention import GlobalAttention
from lambda_core.layers.lambda_layer import LambdaLayer
from lambda_core.layers.lambda_layer_1d import LambdaLayer1d
from lambda_core.layers.linear_attention import DoubleAttentionConvolution, EfficientAttentionConvolution
from lambda_core.layers.local_attention import LocalAttention
from lambda_core.layers.local_relation import LocalRelation
from lambda_core.layers.patchwise_attention import PatchwiseAttention
from lambda_core.layers.squeeze_excite import SqueezeExciteConvolution

LAYERS: dict[str, type[nn.Module]] = {
    "C": Convolution,
    "L": LambdaLayer,
    "S": SqueezeExciteConvolution,
    "D": DoubleAttentionConvolution,
    "E": EfficientAttentionConvolution,
    "A": AugmentedConvolution,
    "R": LocalAttention,
    "H": LocalRelation,
    "Z": PatchwiseAttention,
    "G": GlobalAttention,
    "X": AxialAttention,
}

__all__ = [
    "LAYERS",
    "AugmentedConvolution",
    "AxialAttention",
    "Convolution",
    "ConvolutionThen",
    "DoubleAttentionConvolution",
    "EfficientAttentionConvolution",
    "GlobalAttention",
    "LambdaLayer",
    "LambdaLayer1d",
    "LocalAttention",
    "LocalRelation",
    "PatchwiseAttention",
    "SqueezeExciteConvolution",
]
