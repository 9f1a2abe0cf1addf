"""python -m explorer.stopwatch ORDER: networks timed in turn, in a process of its own, within bounds. No streamlit.

ORDER is JSON: {"networks": [[name, overrides, image size], ...], "batch": 8, "gib": 4, "seconds": 120}. Prints a line
of JSON after each pass, {"network", "what": "forward" or "training", "seconds", "counted"}, and at the end {"threads"}
or, where something does not fit, {"refused"}.
"""

import json
import os
import sys
import threading
import time
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from lambda_core.measuring import GIB, TIMEOUT, limit, out_of_memory
from lambda_core.models import build

ROUNDS = 4  # passes of each network; the first is not counted


def say(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def one(network: torch.nn.Module, images: torch.Tensor, what: str) -> float:
    """Seconds of one pass: forward in evaluation mode, or forward, backward and a step of plain SGD."""
    network.train(what == "training")
    started = time.perf_counter()
    if what == "forward":
        with torch.inference_mode():
            network(images)
    else:
        cross_entropy(network(images), torch.zeros(len(images), dtype=torch.long)).backward()
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad, alpha=1e-4)
                    parameter.grad = None
    return time.perf_counter() - started


def main(order: dict[str, Any]) -> None:
    """Networks alternate, so that whatever else this machine does meets all of them."""
    clock = threading.Timer(order["seconds"], os._exit, (TIMEOUT,))
    clock.daemon = True
    clock.start()
    limit(int(order["gib"] * GIB))
    try:
        networks = [(build(name, **overrides), size) for name, overrides, size in order["networks"]]
        for what in ("forward", "training"):
            for number in range(ROUNDS):
                for index, (network, size) in enumerate(networks):
                    seconds = one(network, torch.randn(order["batch"], 3, size, size), what)
                    say(network=index, what=what, seconds=seconds, counted=number > 0)
    except ValueError as error:  # a batch norm that trains on a single number
        say(refused=f"{error}. Take more images at once, or larger ones.")
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        say(refused=f"It needs more than the {order['gib']:g} GiB that a measurement may take: choose a smaller batch.")
    else:
        say(threads=torch.get_num_threads())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
