"""The processes of a run, one or many, as accelerate has them."""

import os

import torch

from lambda_core.training.config import PRECISIONS, Recipe

try:
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
except ImportError as error:
    raise ImportError(f"training needs the package {error.name}: pip install accelerate torchmetrics") from error


def accelerator_for(recipe: Recipe, device: str | None = None) -> Accelerator:
    """The processes and the precision of a run: on a GPU where there is one, on Apple's where it is asked for.

    Raises ValueError for float16 without a GPU.
    """
    if recipe.precision == "float16" and (device == "cpu" or not torch.cuda.is_available()):
        raise ValueError("float16 needs a GPU: train in bfloat16 or float32 here (--precision)")
    # Apple's GPU is taken by those who ask for it: not all that a recipe needs is right there in every PyTorch.
    there = torch.accelerator.current_accelerator(check_available=True)
    on_cpu = device == "cpu" or there is None or (there.type == "mps" and device != "mps")
    if int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) and not torch.distributed.is_initialized():
        _meet_again("gloo" if on_cpu else "nccl")
    AcceleratorState._reset_state()  # a program may train twice, in another precision
    return Accelerator(
        cpu=on_cpu,  # with this, processes that torchrun starts find each other without a GPU too
        mixed_precision=PRECISIONS[recipe.precision],
        gradient_accumulation_steps=recipe.accumulate,
        step_scheduler_with_optimizer=False,
    )


def _meet_again(backend: str) -> None:
    """Join the processes that torchrun has started again, in a part of its store that is theirs alone.

    torchrun keeps one store over all its restarts, where processes that are gone have left their addresses.
    """
    from torch.distributed.distributed_c10d import PrefixStore
    from torch.distributed.rendezvous import rendezvous

    store, rank, world = next(rendezvous("env://"))
    mine = PrefixStore(f"restart_{os.environ['TORCHELASTIC_RESTART_COUNT']}", store)
    torch.distributed.init_process_group(backend, store=mine, rank=rank, world_size=world)
