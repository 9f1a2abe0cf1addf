"""One traced lambda layer as one `bytes` value: what Streamlit hands to the browser in a single message.

Layout: header length (4 bytes, little-endian), header (UTF-8 JSON padded with spaces to a multiple of 4), then float32.
"""

import hashlib
import json
import struct

import numpy as np

REQUIRED = ("q", "v")
AXES = {
    "input": 3, "q": 3, "k": 3, "keys": 3, "v": 3,
    "content_lambda": 2, "embeddings": 4, "position_bias": 1, "output": 3,
    "content_output": 3, "position_output": 3,
}  # fmt: skip


def pack_trace(tensors: dict[str, np.ndarray], layer: dict, photo: dict, selection: dict, mode: str = "steps") -> bytes:
    """Tensors of one layer and one photo (no batch axis), its settings, the photo and the selection, as bytes.

    Raises ValueError for a tensor that is unknown, missing, or has the wrong number of axes.
    """
    if missing := [name for name in REQUIRED if name not in tensors]:
        raise ValueError(f"a packed trace needs {', '.join(REQUIRED)}; missing: {', '.join(missing)}")
    offset, table, parts, digest = 0, {}, [], hashlib.blake2b(digest_size=8)
    for name, tensor in tensors.items():
        if tensor.ndim != AXES.get(name):
            raise ValueError(f"{name} has shape {tensor.shape}, expected {AXES.get(name, 'no such tensor:')} axes")
        data = np.ascontiguousarray(tensor, dtype="<f4").tobytes()
        table[name] = {"offset": offset, "shape": list(tensor.shape)}
        digest.update(f"{name}{tensor.shape}".encode() + data)
        parts.append(data)
        offset += len(data)
    digest.update(json.dumps([layer, photo.get("title")], sort_keys=True).encode())
    header = {
        "mode": mode, "trace": digest.hexdigest(), "layer": layer, "photo": photo, "selection": selection,
        "tensors": table,
    }  # fmt: skip
    return join(header, b"".join(parts))


def unpack_trace(packed: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """The header and the tensors of a packed trace."""
    header, body = split(packed)
    tensors = {}
    for name, place in header["tensors"].items():
        count = int(np.prod(place["shape"]))
        tensors[name] = np.frombuffer(body, dtype="<f4", count=count, offset=place["offset"]).reshape(place["shape"])
    return header, tensors


def join(header: dict, body: bytes) -> bytes:
    """One message: header length, header, body."""
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    return struct.pack("<I", len(text)) + text + body


def split(packed: bytes) -> tuple[dict, bytes]:
    """The header and the body of a message."""
    (length,) = struct.unpack_from("<I", packed)
    return json.loads(packed[4 : 4 + length]), packed[4 + length :]
