"""The layers of timm and lucidrains as weights of ours, written here on their own to test parity."""

import warnings

import lambda_networks
from timm.layers.lambda_layer import LambdaLayer as TimmLayer
from torch import Tensor, nn


def randomize(module: nn.Module) -> nn.Module:
    """Every weight and running statistic away from its initial value; double precision, eval mode."""
    module.double().eval()
    for name, value in module.state_dict().items():
        if value.is_floating_point():
            value.normal_().mul_(0.3)
            if name.endswith("running_var"):
                value.abs_().add_(0.5)
    return module


def _norms(theirs: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in theirs.state_dict().items() if name.startswith("norm_")}


def timm_layer(dim: int, **options) -> tuple[nn.Module, dict[str, Tensor]]:
    """A randomised `timm.layers.LambdaLayer` and its weights under our names."""
    theirs = randomize(TimmLayer(dim, **options))
    theirs.init_non_persistent_buffers()
    depths = [theirs.num_heads * theirs.dim_qk, theirs.dim_qk, theirs.dim_v]
    to_q, to_k, to_v = theirs.qkv.weight.detach().split(depths)
    ours = {"to_q.weight": to_q, "to_k.weight": to_k, "to_v.weight": to_v, **_norms(theirs)}
    if theirs.conv_lambda is not None:
        ours["embeddings"] = theirs.conv_lambda.weight.detach()[..., 0]  # (k, 1, r, r, 1)
        ours["position_bias"] = theirs.conv_lambda.bias.detach()
    else:
        ours["embeddings"] = theirs.pos_emb.detach().permute(2, 0, 1)[:, None]  # (R, C, k)
    return theirs, ours


def lucidrains_layer(dim: int, **options) -> tuple[nn.Module, dict[str, Tensor]]:
    """A randomised `lambda_networks.LambdaLayer` and its weights under our names."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its meshgrid call has no indexing argument
        theirs = randomize(lambda_networks.LambdaLayer(dim, **options))
    u = theirs.u

    def slices_last(value: Tensor) -> Tensor:
        """Their channels are (u, depth), ours (depth, u)."""
        return value.unflatten(0, (u, -1)).transpose(0, 1).flatten(0, 1) if value.dim() else value

    ours = {
        "to_q.weight": theirs.to_q.weight.detach(),
        "to_k.weight": slices_last(theirs.to_k.weight.detach()),
        "to_v.weight": slices_last(theirs.to_v.weight.detach()),
    }
    ours |= {name: slices_last(value) if "norm_v" in name else value for name, value in _norms(theirs).items()}
    if theirs.local_contexts:
        ours["embeddings"] = theirs.pos_conv.weight.detach()[:, :, 0]  # (k, u, 1, r, r)
        ours["position_bias"] = theirs.pos_conv.bias.detach()
    else:
        ours["embeddings"] = theirs.rel_pos_emb.detach().permute(2, 3, 0, 1)  # (R, C, k, u)
    return theirs, ours
