"""How long a run will take on this machine: the pace of real pictures through the real network, measured."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from lambda_core import build
from lambda_core.data import DATASETS, Repeatable, eval_transform, normalize, some, train_transform
from lambda_core.training.config import Recipe


@dataclass(frozen=True)
class Pace:
    """Seconds that one picture takes: read before the first epoch, learned from in each, answered when held out."""

    read: float
    learn: float
    answer: float

    def epoch(self, recipe: Recipe) -> float:
        """Seconds an epoch: all pictures to learn from, then all that are held out."""
        return recipe.pictures * self.learn + recipe.held_out * self.answer

    def run(self, recipe: Recipe) -> float:
        """Seconds of a whole run, without what it takes to start a process."""
        return recipe.pictures * self.read + recipe.epochs * self.epoch(recipe)


def measure(recipe: Recipe, source: Dataset, classes: int) -> Pace:
    """Train a fresh network for a few steps on one thread, as a run does, and time them.

    Raises DataBroken for a picture that cannot be decoded, ValueError for a network that does not fit.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # of this thread alone
    try:
        return _measured(recipe, some(source, recipe.batch), classes)
    finally:
        torch.set_num_threads(threads)


def _measured(recipe: Recipe, source: Dataset, classes: int) -> Pace:
    augment = train_transform(recipe.size, recipe.scale, pad=recipe.pad, flip=recipe.flip)
    begun = perf_counter()
    plain = Repeatable(source, eval_transform(recipe.size), cache=True)
    read = perf_counter() - begun
    kept = DATASETS[recipe.data].cache  # decoded once, else in every epoch
    pictures = Repeatable(source, augment, cache=kept)
    model = build(recipe.model, **{"num_classes": classes, **recipe.overrides})
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(model.parameters())

    def learn() -> None:
        images, labels = next(iter(DataLoader(pictures, recipe.batch)))
        x = normalize(images).contiguous(memory_format=torch.channels_last)
        nn.functional.cross_entropy(model(x), labels).backward()
        optimizer.step()
        optimizer.zero_grad()

    def answer() -> None:
        with torch.inference_mode():
            model.eval()(normalize(next(iter(DataLoader(plain, recipe.batch)))[0]))

    count = len(plain)
    return Pace(kept * read / count, _seconds(learn) / count, (read + _seconds(answer)) / count)


def _seconds(work: Callable[[], None]) -> float:
    """Seconds of the quicker of two calls, after one that sets things up."""
    work()
    taken = []
    for _ in range(2):
        begun = perf_counter()
        work()
        taken.append(perf_counter() - begun)
    return min(taken)


def words(seconds: float) -> str:
    """A time for people: 8 seconds, 3 minutes, 1.5 hours."""
    if seconds < 90:
        count = max(1, round(seconds))
        return f"{count} second{'s' * (count != 1)}"
    if seconds < 5400:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"
