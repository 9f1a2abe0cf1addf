"""Batch norm over the whole batch when it is spread over processes."""

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_reduce


class _SharedBatchNorm(nn.modules.batchnorm._BatchNorm):
    """Batch norm whose mean and variance are those of the batches of all processes, on any device.

    nn.SyncBatchNorm does the same on GPUs, and only there.
    """

    def _check_input_dim(self, x: Tensor) -> None:
        pass

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        axes = [0, *range(2, x.dim())]
        wide = x.float()
        count = wide.new_tensor(x.numel() / x.shape[1])  # bfloat16 has no 3069
        total, squares, count = all_reduce(
            torch.cat([wide.sum(axes), wide.square().sum(axes), count[None]])
        ).tensor_split([x.shape[1], 2 * x.shape[1]])
        mean = total / count
        var = squares / count - mean.square()
        with torch.no_grad():
            assert (
                self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
            )
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum or 0.1)
            self.running_var.lerp_(var * count / (count - 1), self.momentum or 0.1)
        shape = (1, -1, *[1] * (x.dim() - 2))
        scale = self.weight * (var + self.eps).rsqrt()
        return (wide * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(x.dtype)


def share_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with every batch norm over all processes; keys of the state dict stay."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = _SharedBatchNorm  # type: ignore[assignment]
    return model
