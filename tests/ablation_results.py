"""Results of the ablations as their run would write them, with figures that say nothing, for tests."""

import json
from pathlib import Path

from lambda_core.tables import figures
from lambda_core.training import ablations


def history(top1: float, epochs: int = 3) -> list[dict[str, float]]:
    return [{"epoch": e, "val_loss": 2.0 / e, "val_top1": top1 * e / epochs} for e in range(1, epochs + 1)]


def make(folder: Path, monkeypatch, accuracies: dict[str, tuple[float, ...]]) -> Path:
    """Write results of `accuracies` (a top-1 a seed) to a folder, and let the library read from there. The folder."""
    folder.mkdir(exist_ok=True)
    (folder / "paper.json").write_text(json.dumps(figures.published()))
    monkeypatch.setattr(figures, "RESULTS", folder)
    monkeypatch.setattr(ablations, "RESULTS", folder / "ablations.json")
    if accuracies:
        ablations.write(
            {
                name: {
                    seed: {"seed": seed, "top1": top1, "loss": 1.0, "history": history(top1)}
                    for seed, top1 in enumerate(seeds)
                }
                for name, seeds in accuracies.items()
            }
        )
    return folder
