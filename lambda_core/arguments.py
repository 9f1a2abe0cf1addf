"""What commands have in common: arguments, and what their figures say of where they come from."""

import argparse
import io
import json
import os
import platform
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch

from lambda_core.replacing import replace_file

WORKERS = "processes that load pictures (%(default)s); 0 loads them in this one"  # help of --workers
DEVICE = "cpu, cuda or cuda:1 (%(default)s)"  # and of --device
DEVICES = ("cpu", "cuda", "mps")  # that networks are trained on
TRAINS_ON = "cuda where there is one, else cpu, unless given; mps is Apple's GPU"


def usable_device(text: str) -> str:
    """For argparse: a device that this machine has, which is asked before the work and not after."""
    try:
        torch.zeros(1, device=text).item()
    except (RuntimeError, AssertionError):  # also for one without numbers, as meta
        raise argparse.ArgumentTypeError(
            f"this machine has no device {text!r}: take cpu, or cuda with an NVIDIA GPU"
        ) from None
    return text


def timed_device(text: str) -> str:
    """For argparse: a usable device whose work can be waited for, and so be timed."""
    if torch.device(usable_device(text)).type not in ("cpu", "cuda"):
        raise argparse.ArgumentTypeError(f"times are measured on cpu and cuda, not on {text!r}")
    return text


def positive(text: str) -> int:
    """For argparse: a number of things, 1 or more."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no count: take 1 or more")
    return int(text)


def whole(text: str) -> int:
    """For argparse: a number of things, 0 or more."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is no count: take 0 or more")
    return int(text)


def writable(text: str) -> Path:
    """For argparse: a file that can be written, which is asked before the figures are measured and not after."""
    path = Path(text)
    if text == "-":
        raise argparse.ArgumentTypeError("'-' is no file: give one a name")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: it is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: there is no folder {str(path.parent)!r}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: permission denied")
    return path


def extendable(text: str) -> Path:
    """For argparse: a file of figures that others are put beside, which is read before they are measured."""
    path = writable(text)
    try:
        held(path)
    except (OSError, ValueError):
        raise argparse.ArgumentTypeError(
            f"{text!r} holds no figures that others could stand beside: name another file"
        ) from None
    return path


def held(path: Path) -> dict[str, Any]:
    """What a file of figures holds already: nothing where there is none. ValueError for what is no object of JSON."""
    found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not isinstance(found, dict):
        raise ValueError(f"{path} holds no object of JSON")
    return found


def print_in_utf8() -> None:
    """Let this process print any letter, λ and − too: into a file or a pipe, Windows takes an encoding without them."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")


def refuse(reason: object) -> NoReturn:
    """End a command over what it was given, as argparse does: one sentence, and status 2.

    Status 1 is of a figure that does not come out, and of work that could not be done.
    """
    sentence = str(reason).strip().splitlines()[-1]
    print(sentence, file=sys.stderr)
    stopped = SystemExit(sentence)  # says why to callers in Python
    stopped.code = 2
    raise stopped


def write_json(path: Path, content: Mapping[str, Any], *, indent: int | None = 1, beside: bool = False) -> None:
    """Write the figures of a command, all of them or none; what was there stays until they are.

    beside: keep what the file holds under other names. Ends the command, in one sentence and with status 1, where the
    disk refuses.
    """
    try:
        text = json.dumps(held(path) | dict(content) if beside else content, indent=indent) + "\n"
        # A device is no file that another could take the place of; nor is one in a folder that lets nobody add files.
        device = path.absolute().is_relative_to("/dev") or (path.exists() and not path.is_file())
        if device or not os.access(path.resolve().parent, os.W_OK):
            path.write_text(text, encoding="utf-8")
        else:
            replace_file(path.resolve(), lambda temporary: temporary.write_text(text, encoding="utf-8"))
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        sys.exit(f"{path} could not be written: {why}; make room or name another file, then run the same command again")


# What stands in a recorded command for the values of options that tell of one machine; None: the option is left out.
PLACES: dict[str, Callable[[str], str | None]] = {"--json": lambda _: None, "--data": lambda _: "DIR"}


def command(
    program: str, arguments: list[str] | None, places: Mapping[str, Callable[[str], str | None]] = PLACES
) -> str:
    """What somebody types for the same figures, in a shell: the arguments, those of this process where None.

    program: as in "python -m lambda_core.tables". places: by option, what is shown for its value.
    """
    shown = program.split()
    words = iter(sys.argv[1:] if arguments is None else arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        short = len(flag) < 3 or flag == "--d"  # which argparse takes for --device
        option = "" if short else next((name for name in places if name.startswith(flag)), "")
        if not option:
            shown.append(word)
        elif (told := places[option](value if equals else next(words, ""))) is not None:
            shown += [f"{flag}={told}"] if equals else [flag, told]
    return shlex.join(shown)


def device_name(device: torch.device) -> str:
    """A GPU by its name; a CPU by what decides its speed: instructions and threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"Apple GPU of {platform.machine()}"
    return f"{platform.machine()} CPU, {torch.backends.cpu.get_cpu_capability()}, {torch.get_num_threads()} thread(s)"
