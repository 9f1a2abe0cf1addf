"""The training loop, whole: one pass an epoch, state on disk after each, a line in the log."""

import csv
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from tqdm import tqdm

from lambda_core.checkpoints import CheckpointRefused
from lambda_core.data import IMAGENET_MEAN, IMAGENET_STD, IMAGENETTE_CLASSES, Repeatable, normalize
from lambda_core.training.config import Recipe

COLUMNS = ("epoch", "size", "train_loss", "seconds", "val_loss", "val_top1")  # log.csv; the last two at times


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices and kernels decay; norms, biases and position embeddings do not."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        (free if parameter.dim() < 2 or name.endswith("embeddings") else decayed).append(parameter)
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]


def schedule(step: int, total: int, warmup: float) -> float:
    """Share of the peak learning rate: linear up over `warmup` of the steps, then half a cosine to zero."""
    start = max(1, round(total * warmup))
    if step < start:
        return (step + 1) / start
    return 0.5 * (1 + math.cos(math.pi * (step - start) / max(1, total - start)))


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Call write(temporary path), flush to disk, rename: a reader sees the old file or the new one, never half."""
    temporary = path.with_name(path.name + ".part")
    write(temporary)
    with open(temporary, "rb") as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


@torch.inference_mode()
def evaluate(model: nn.Module, loader: DataLoader, device: torch.device | str = "cpu") -> dict[str, float]:
    """Top-1 accuracy in per cent and mean cross-entropy over a loader, in float32."""
    model.eval()
    correct = seen = 0
    loss = 0.0
    for images, labels in loader:
        scores = model(normalize(images.to(device))).float()
        labels = labels.to(device)
        loss += nn.functional.cross_entropy(scores, labels, reduction="sum").item()
        correct += int((scores.argmax(1) == labels).sum())
        seen += len(labels)
    return {"top1": 100 * correct / seen, "loss": loss / seen}


class Run:
    """A training run in a folder: state.pt (all that is needed to go on), log.csv (a line an epoch)."""

    def __init__(self, recipe: Recipe, model: nn.Module, folder: Path, device: torch.device | str = "cpu") -> None:
        self.recipe, self.folder, self.device = recipe, folder, torch.device(device)
        self.memory_format = torch.channels_last if recipe.channels_last else torch.contiguous_format
        self.model = model.to(self.device).to(memory_format=self.memory_format)
        self.forward = torch.compile(self.model, dynamic=False) if recipe.compile else self.model
        self.average = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(recipe.ema), use_buffers=True)
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, recipe.weight_decay), lr=recipe.lr)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.precision == "float16")
        self.epoch, self.step = 0, 0
        self.history: list[dict[str, float]] = []  # a row an epoch, as in log.csv
        folder.mkdir(parents=True, exist_ok=True)

    def save(self) -> None:
        """Write state.pt, then log.csv from the same history: the log never misses a line that the state has."""
        state = {
            "architecture": {"name": self.recipe.model, "overrides": self.recipe.overrides},
            "classes": list(IMAGENETTE_CLASSES),
            "preprocess": {"size": self.recipe.size, "mean": IMAGENET_MEAN, "std": IMAGENET_STD},
            "history": self.history,
            "epoch": self.epoch,
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }
        write_atomically(self.folder / "state.pt", lambda path: torch.save(state, path))
        write_atomically(self.folder / "log.csv", self._write_log)

    def resume(self) -> bool:
        """Go on from state.pt if it is there."""
        path = self.folder / "state.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.epoch, self.step, self.history = state["epoch"], state["step"], state["history"]
        return True

    def start_from(self, other: nn.Module) -> None:
        """Take over the weights of a network of the same shape. Raises CheckpointRefused for another shape."""
        try:
            self.model.load_state_dict(other.state_dict())
        except RuntimeError as error:
            raise CheckpointRefused("the weights to start from belong to a network of another shape") from error
        self.average.module.load_state_dict(other.state_dict())

    def train_epoch(self, data: Repeatable, workers: int, total_steps: int) -> dict[str, float]:
        recipe = self.recipe
        data.epoch = self.epoch
        order = torch.Generator().manual_seed(recipe.seed * 100_003 + self.epoch)
        loader = DataLoader(
            data, recipe.batch, shuffle=True, generator=order, num_workers=workers, drop_last=True,
            pin_memory=self.device.type == "cuda",
        )  # fmt: skip
        self.model.train()
        loss_sum, started = 0.0, time.perf_counter()
        bar = tqdm(loader, desc=f"epoch {self.epoch + 1}/{recipe.epochs}", unit="batch", mininterval=5)
        for images, labels in bar:
            loss = self._train_step(images, labels, total_steps)
            loss_sum += loss
            bar.set_postfix(loss=f"{loss:.3f}")
        seconds = time.perf_counter() - started
        self.epoch += 1
        return {"train_loss": loss_sum / len(loader), "seconds": seconds}

    def _train_step(self, images: Tensor, labels: Tensor, total_steps: int) -> float:
        recipe = self.recipe
        for group in self.optimizer.param_groups:
            group["lr"] = recipe.lr * schedule(self.step, total_steps, recipe.warmup)
        images = normalize(images.to(self.device, non_blocking=True)).contiguous(memory_format=self.memory_format)
        labels = labels.to(self.device, non_blocking=True)
        half = recipe.precision != "float32"
        with torch.autocast(self.device.type, getattr(torch, recipe.precision), enabled=half):
            scores = self.forward(images)
        loss = nn.functional.cross_entropy(scores.float(), labels, label_smoothing=recipe.label_smoothing)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss.item()} at step {self.step}; {self.folder / 'state.pt'} holds the last good "
                "epoch: lower --lr, or train in float32"
            )
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.average.update_parameters(self.model)
        self.step += 1
        return loss.item()

    def _write_log(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows({name: f"{value:g}" for name, value in row.items()} for row in self.history)


def size_at(sizes: tuple[tuple[int, int], ...], epoch: int) -> int:
    """The image side in force at an epoch of a ((first epoch, side), ...) plan."""
    return [side for first, side in sizes if first <= epoch][-1]
