"""What each engine of a lambda layer keeps for the backward pass, and what it works with while it runs.

All but `einsum` keep nothing: the backward pass computes λp, or the weights of the pairs, again, some at a time.
Letters as in `lambda_core.cost.memory`, and those of LETTERS.
"""

from torch import Size

from lambda_core.engines import convolution, fft, gemm, operator, toeplitz

# Engine -> what the position part keeps besides queries, values and the table, in numbers. The sums run over all pairs
# of the map, in scope or not.
KEEPS: dict[str, dict[str, str]] = {
    "einsum": {"gathered embeddings": "n²·k·u", "position lambdas": "b·n·k·v"},
    "convolution": {},
    "gemm": {},
    "toeplitz": {},
    "fused": {},
    "fft": {},
    "attention": {},
}

# Engine -> numbers it works with on a CPU, forward and backward, at most; in practice down to half of that.
_FFT = {"spectra of the values": "4·b·v·u·p", "position lambdas of c": "5·b·c·v·p"}
WORKS: dict[str, dict[str, str]] = {
    "einsum": {"copy of the embeddings": "n²·k·u", "gradient of the position lambdas": "b·n·k·v"},
    "convolution": {"position lambdas and their gradient": "7·t·n·k·v"},
    "convolution, large scope": _FFT,
    "gemm": {
        "spectra of a tile": "4·f·w·k·t·v",
        "position lambdas of a tile": "2·s·w·k·t·v",
        "Toeplitz matrices": "4·f·w·k·a·u",
    },
    "toeplitz": {
        "Toeplitz matrix of a band": "5·g·j·s²·k·u",
        "position lambdas of a band": "4·g·s·k·b·v",
        "values and their gradient": "3·n·b·v·u",
    },
    "fft": _FFT,
    "attention": {"embeddings of all pairs": "2·n²·k·u", "weights of the pairs": "t·h·n²·u + 2·h·n²·u"},
}

# Engine -> what its own letters are; the others are those of every layer.
_TOGETHER = {"t": "images that are worked off together"}
_POINTS = {"p": "points of a map's Fourier transform", "c": "how many of the k are worked off together"}
LETTERS: dict[str, dict[str, str]] = {
    "convolution": _TOGETHER | _POINTS,  # beyond some scope its backward pass transforms
    "gemm": _TOGETHER | {
        "f": "frequencies of the transform down a column", "w": "columns of a tile", "a": "columns that a tile reaches",
    },
    "toeplitz": {"g": "rows of a band", "j": "rows that a band reaches"},
    "fft": _POINTS,
    "attention": _TOGETHER,
}  # fmt: skip


def work(engine: str, sizes: dict[str, int], room: int = operator.CACHE) -> tuple[dict[str, str], dict[str, int]]:
    """Formulas of what an engine works with, and the letters in them.

    sizes: b, h, k, v, u, s and r. room: numbers that a piece of the work may hold, on a CPU where not given.
    """
    b, h, k, v, u, s = (sizes[letter] for letter in "bhkvus")
    n, r = s * s, min(sizes["r"], 2 * s - 1)
    formulas, letters = WORKS[engine], {"n": n}
    if engine == "convolution" and r * r > convolution.LARGE:
        formulas, engine = WORKS["convolution, large scope"], "fft"
    if engine == "fft":
        rows, columns = fft.lengths(Size((k, u, r, r)), (s, s))
        p = rows * columns
        letters |= {"p": p, "c": _pieces(room, b * v * p, k)}
    elif engine == "gemm":
        t, f = min(b, max(1, gemm.COLUMNS // v)), (s + r // 2) // 2 + 1
        w = gemm.tile_columns(s, 2 * f * k * t * v, room)
        letters |= {"t": t, "f": f, "w": w, "a": min(s, w + 2 * (r // 2))}
    elif engine == "toeplitz":
        letters |= toeplitz.band(r, (s, s), s * k * b * v)._asdict()
    elif engine in ("convolution", "attention"):
        letters["t"] = _pieces(room, n * k * v if engine == "convolution" else h * n * n * u, b)
    elif engine != "einsum":
        raise ValueError(f"the letters in the formulas of engine {engine!r} have no values")
    return formulas, letters


def _pieces(room: int, numbers: int, most: int) -> int:
    """How many, of so many numbers each, are worked off together."""
    return min(most, max(1, room // numbers))
