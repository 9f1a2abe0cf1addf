"""A packed trace, and what Python measured of one pixel under one scope, as one `bytes` value.

Layout as in `lambda_canvas.pack`; the body is the packed trace, then the measured tensors in float32.
"""

import numpy as np

from explorer.components.lambda_canvas.pack import join, split

MEASURED = {"weights": 3, "layer": 2, "image": 2, "change": 2}  # name: axes


def pack_scope(trace: bytes, measured: dict[str, np.ndarray], facts: dict) -> bytes:
    """trace: from `pack_trace`. measured: of MEASURED, what there is. facts: JSON, see `scope_canvas`.

    Raises ValueError for a tensor that is unknown or has the wrong number of axes.
    """
    padded = trace + b" " * (-len(trace) % 4)
    offset, table, parts = 0, {}, []
    for name, tensor in measured.items():
        if tensor.ndim != MEASURED.get(name):
            raise ValueError(f"{name} has shape {tensor.shape}, expected {MEASURED.get(name, 'no such tensor:')} axes")
        parts.append(np.ascontiguousarray(tensor, dtype="<f4").tobytes())
        table[name] = {"offset": offset, "shape": list(tensor.shape)}
        offset += len(parts[-1])
    header = {"trace": [len(trace), len(padded)], "facts": facts, "tensors": table}
    return join(header, padded + b"".join(parts))


def unpack_scope(packed: bytes) -> tuple[dict, bytes, dict[str, np.ndarray]]:
    """The facts, the packed trace and the measured tensors."""
    header, body = split(packed)
    length, start = header["trace"]
    tensors = {
        name: np.frombuffer(body, "<f4", int(np.prod(at["shape"])), start + at["offset"]).reshape(at["shape"])
        for name, at in header["tensors"].items()
    }
    return header["facts"], body[:length], tensors
