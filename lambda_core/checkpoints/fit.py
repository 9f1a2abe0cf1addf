"""Whether weights fit a network: compared key by key, and refused in one sentence and a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

SHOWN = 3  # mismatches in the sentence; all of them are in the table


@dataclass(frozen=True)
class Mismatch:
    """One key that does not fit. found: its shape in the file, None if missing; expected: None if there is no place."""

    key: str
    found: tuple[int, ...] | None
    expected: tuple[int, ...] | None

    def __str__(self) -> str:
        if self.found is None:
            return f"missing {self.key}"
        if self.expected is None:
            return f"unknown {self.key}"
        return f"{self.key} is {self.found} and should be {self.expected}"


class CheckpointRefused(ValueError):
    """A file that cannot be used as a checkpoint; the message says why, and what would fit.

    mismatches: every key that does not fit, for a table; empty if the reason is another.
    """

    def __init__(self, message: str, mismatches: Sequence[Mismatch] = ()) -> None:
        super().__init__(message)
        self.mismatches = tuple(mismatches)


def compare(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> list[Mismatch]:
    """Missing keys, then unknown ones, then shapes that differ."""
    missing = [Mismatch(key, None, tuple(expected[key].shape)) for key in sorted(set(expected) - set(found))]
    unknown = [Mismatch(key, tuple(found[key].shape), None) for key in sorted(set(found) - set(expected))]
    shapes = [
        Mismatch(key, tuple(found[key].shape), tuple(tensor.shape))
        for key, tensor in expected.items()
        if key in found and found[key].shape != tensor.shape
    ]
    return missing + unknown + shapes


def check_fit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor], network: str) -> None:
    """Raises CheckpointRefused if the weights are not those that `network`, in words, has."""
    if wrong := compare(found, expected):
        rest = f", and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise CheckpointRefused(f"the weights do not fit {network}: {'; '.join(map(str, wrong[:SHOWN]))}{rest}", wrong)
