"""LambdaNetworks (Bello, ICLR 2021): layers, networks, checkpoints and traces to look inside them."""

from lambda_core.checkpoints import load_checkpoint, save_checkpoint
from lambda_core.functional import lambda_layer
from lambda_core.layers import LambdaLayer, LambdaLayer1d
from lambda_core.models import build
from lambda_core.tracing import trace

__all__ = ["LambdaLayer", "LambdaLayer1d", "build", "lambda_layer", "load_checkpoint", "save_checkpoint", "trace"]
