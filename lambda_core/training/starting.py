"""What a run begins from: a state that is there, the weights of a checkpoint, or random ones."""

import sys
from pathlib import Path

import torch
from torch import nn

from lambda_core.checkpoints import Checkpoint, load_checkpoint
from lambda_core.models.head import Classifying
from lambda_core.training.config import INIT, Recipe
from lambda_core.training.faults import TrainingStopped
from lambda_core.training.loop import Run, misfit, read_state


def check_places(out: Path, init: str | None) -> None:
    """ValueError where the folder of a run is none, or where it is to start from nothing."""
    there = next((place for place in (out, *out.parents) if place.exists()), None)
    if there and not there.is_dir():
        raise ValueError(f"--out takes a folder, and {there} is a file")
    if init is not None and not init.strip():
        raise ValueError("--init takes a network of the zoo or a file: leave it out for random weights")


def settled(recipe: Recipe, out: Path, init: str | None) -> tuple[Recipe, Checkpoint | None]:
    """The recipe with what it leaves to the weights that it begins from, and these where they had to be read for it.

    model "init" is their network, with its options below those of the recipe; size 0 the image side that it is made
    for. A run that has begun in `out` knows both. Raises ValueError where nothing is there to begin from, and
    TrainingStopped where what is there is no state of a run.
    """
    if recipe.model != INIT and recipe.size:
        return recipe, None
    if (state := read_state(out)) is not None:
        try:
            return recipe.settled(state["architecture"], state["recipe"]["size"]), None
        except Exception as error:
            raise misfit(out, error) from error
    if not init:
        raise ValueError(
            "this recipe takes its network and image size from a checkpoint: add --init lambda_resnet_mini or a file, "
            "or give both, as with --set model=lambda_resnet_mini --set size=128"
        )
    weights = load_checkpoint(init)
    weights.check_whole()
    return recipe.settled(weights.card["architecture"], recipe.size or weights.preparation()["size"]), weights


def begin(run: Run, init: str | None, weights: Checkpoint | None) -> None:
    """Go on from the state in the run's folder, or start from the weights of `init`, or from random ones.

    Pictures are prepared from there on as these weights have seen them. Raises TrainingStopped, in all processes, where
    they do not find the same state.
    """
    resumed = run.resume(init)
    if run.accelerator.num_processes > 1:  # those of other machines too; the main process alone writes the state
        places = run.accelerator.gather(torch.tensor([[run.epoch, run.step]], device=run.device))
        if bool((places != places[0]).any()):
            raise TrainingStopped(
                f"the processes of this run find other states in {run.folder}: --out must be on a disk that all "
                "machines share"
            )
    if resumed:
        run.accelerator.print(_resumed(run, init), file=sys.stderr)
    elif init:
        weights = weights or load_checkpoint(init)
        run.start_from(_with_classes(weights, run.classes))
        run.prepare_as(weights.preprocess)
        run.init = Path(init).name


def _resumed(run: Run, init: str | None) -> str:
    """What there is to say of a run that was begun before."""
    epochs, lines = run.recipe.epochs, []
    if run.epoch >= epochs:
        lines.append(f"this run is finished, all {epochs} epochs are done: more --epochs or another --out would train")
    else:
        began = f"; it began from {run.init}, so --init is not read again" if init else ""
        lines.append(f"going on from epoch {run.epoch} of {epochs}{began}")
    if new := [f"{run.changed[name]:,} {name.replace('_', ' ')}" for name in run.counts if name in run.changed]:
        lines.append(f"the data is not what this run saw before: {' and '.join(new)} now")
    return "\n".join(lines)


def _with_classes(weights: Checkpoint, classes: tuple[str, ...]) -> nn.Module:
    """The network of a checkpoint; one of other classes, or of other counts where it names none, begins them anew."""
    model = weights.model
    if isinstance(model, Classifying):
        same = weights.classes == classes if weights.classes else model.num_classes == len(classes)
        if not same:
            model.reset_classifier(len(classes))
    return model
