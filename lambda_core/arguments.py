"""Arguments that commands have in common."""

import argparse
import os
from pathlib import Path

import torch


def device(text: str) -> str:
    """For argparse: a device that this machine has, which is asked before the work and not after."""
    try:
        torch.zeros(1, device=text).item()
    except (RuntimeError, AssertionError):  # also for one without numbers, as meta
        raise argparse.ArgumentTypeError(
            f"this machine has no device {text!r}: take cpu, or cuda with an NVIDIA GPU"
        ) from None
    return text


def writable(text: str) -> Path:
    """For argparse: a file that can be written, which is asked before the figures are measured and not after."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: it is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: there is no folder {str(path.parent)!r}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: permission denied")
    return path
