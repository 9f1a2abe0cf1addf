"""The mean of the weights of networks that were trained one from the other:

python -m lambda_core.training.average FIRST SECOND [...] --out FILE

Runs from common weights end in one basin, where the mean of their weights often does better than each of them
(Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization"; Wortsman et al. 2022, "Model
soups"). Running statistics of batch norms are averaged as well.
"""

import argparse
import copy
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from lambda_core.arguments import refuse, writable
from lambda_core.checkpoints import Checkpoint, CheckpointRefused, save_checkpoint
from lambda_core.training.faults import TrainingStopped, writing
from lambda_core.training.held_out import opened


@torch.no_grad()
def average(checkpoints: Sequence[Checkpoint]) -> Checkpoint:
    """θ = (θ_1 + ... + θ_N) / N in a network of its own, with the card of the last.

    Raises CheckpointRefused for unlike networks, and for single layers.
    """
    last = checkpoints[-1]
    wanted = _likeness(last)
    for other in checkpoints:
        other.check_whole()
        for part, theirs in _likeness(other).items():
            if theirs != wanted[part]:
                raise CheckpointRefused(
                    f"only like networks have a mean: their {part} differ, {theirs} and {wanted[part]}"
                )
    states = [checkpoint.model.state_dict() for checkpoint in checkpoints]
    # All of them before any is written: layers that share their embeddings have one table under several names.
    means = {
        name: torch.stack([state[name] for state in states]).mean(0) if tensor.is_floating_point() else tensor
        for name, tensor in states[-1].items()
    }
    model = copy.deepcopy(last.model)
    model.load_state_dict(means)
    return replace(last, model=model)


def _likeness(checkpoint: Checkpoint) -> dict[str, Any]:
    """What must agree, in lists alone: a state.pt has tuples where a file of weights has lists."""
    found = {
        "architecture": checkpoint.card.get("architecture"),
        "classes": checkpoint.classes,
        "preprocess": checkpoint.preprocess,
    }
    return json.loads(json.dumps(found, default=str))


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m lambda_core.training.average",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("checkpoints", nargs="+", metavar="FILE", help="networks of the zoo, or files; two or more")
    parser.add_argument(
        "--out",
        type=writable,
        required=True,
        metavar="FILE",
        help="written as safetensors, whatever the name, with the card of the last",
    )
    options = parser.parse_args(arguments)
    try:
        if len(options.checkpoints) < 2:
            raise CheckpointRefused("one network is its own mean: give two or more")
        found = average([opened(name) for name in options.checkpoints])
    except CheckpointRefused as error:
        refuse(error)
    card = {key: value for key, value in found.card.items() if key not in ("architecture", "metrics")}
    card["averaged"] = [Path(name).name for name in options.checkpoints]
    try:
        with writing(options.out):
            save_checkpoint(
                options.out, found.model, architecture=found.card["architecture"], classes=found.classes,
                preprocess=found.preprocess, card=card, dtype=torch.float32,
            )  # fmt: skip
    except TrainingStopped as error:
        sys.exit(str(error))
    print(
        f"{options.out} holds the mean of {len(options.checkpoints)} networks, as safetensors, with the last one's card"
    )


if __name__ == "__main__":
    main()
