"""Layers with one face, (b, dim, H, W) -> (b, dim_out, H / stride, W / stride), and their letter in a stage string.

`LambdaLayer1d` is the lambda layer on sequences.
"""

from torch import nn

from lambda_core.layers.convolution import Convolution
from lambda_core.layers.lambda_layer import LambdaLayer
from lambda_core.layers.lambda_layer_1d import LambdaLayer1d

LAYERS: dict[str, type[nn.Module]] = {"C": Convolution, "L": LambdaLayer}

__all__ = ["LAYERS", "Convolution", "LambdaLayer", "LambdaLayer1d"]
