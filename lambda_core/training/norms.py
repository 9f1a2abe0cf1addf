"""Batch norm over the whole batch when it is spread over processes."""

import torch
from torch import Tensor, nn
from torch.distributed import get_rank, get_world_size, is_initialized
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
        wide = x.float()  # bfloat16 has no 3069
        var, mean = torch.var_mean(wide, [0, *range(2, x.dim())], correction=0)
        count, mean, var = _merged(*_told(wide.new_tensor([x.numel() / x.shape[1]]), mean, var))
        with torch.no_grad():
            assert (
                self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
            )
            self.num_batches_tracked += 1
            taken = 0.1 if self.momentum is None else self.momentum  # 0.0 where a block runs again
            self.running_mean.lerp_(mean, taken)
            self.running_var.lerp_(var * count / (count - 1), taken)
        shape = (1, -1, *[1] * (x.dim() - 2))
        scale = self.weight * (var + self.eps).rsqrt()
        # Less the mean first: a mean that is large beside the spread would take the digits of both.
        return ((wide - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)).to(x.dtype)


def _told(*own: Tensor) -> list[Tensor]:
    """What each process has of these, (length,) each: (processes, length) in all of them, by one reduction."""
    world, rank = (get_world_size(), get_rank()) if is_initialized() else (1, 0)
    rows = torch.cat(own)[None] * torch.eye(world, device=own[0].device)[:, rank, None]
    return list(all_reduce(rows).split([len(part) for part in own], 1))


def _merged(counts: Tensor, means: Tensor, variances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, mean and variance of all batches, (1,), (channels,) and (channels,), from those of each, a row a process.

    By how far each mean is from the mean of all (Chan et al. 1979, "Updating Formulae and a Pairwise Algorithm for
    Computing Sample Variances"): E[x²] - E[x]² is no variance where the spread is small beside the mean.
    """
    count = counts.sum(0)
    shares = counts / count
    mean = (shares * means).sum(0)
    return count, mean, (shares * (variances + (means - mean).square())).sum(0)


def share_norms(model: nn.Module, device: torch.device) -> nn.Module:
    """The model with every batch norm over all processes; keys of the state dict stay."""
    if device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = _SharedBatchNorm  # type: ignore[assignment]
    return model
