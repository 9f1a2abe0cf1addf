"""Layers with one face, (b, dim, H, W) -> (b, dim_out, H / stride, W / stride), and their letter in a stage string."""

from lambda_core.layers.convolution import Convolution
from lambda_core.layers.lambda_layer import LambdaLayer

LAYERS = {"C": Convolution, "L": LambdaLayer}

__all__ = ["LAYERS", "Convolution", "LambdaLayer"]
