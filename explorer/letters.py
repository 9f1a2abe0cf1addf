"""What the letters of blocks stand for, and what is wrong with a string of them, in words. No streamlit."""

import re
from collections.abc import Sequence

SAYS = {
    "C": "convolution, 3 × 3",
    "L": "lambda layer",
    "S": "convolution, then squeeze-excite",
    "D": "convolution, then double attention (Chen et al. 2018)",
    "E": "convolution, then efficient attention (Shen et al. 2018)",
    "A": "convolution beside attention (Bello et al. 2019)",
    "R": "local attention, 7 × 7 (Ramachandran et al. 2019)",
    "H": "local relation (Hu et al. 2019)",
    "Z": "patchwise attention (Zhao et al. 2020)",
    "G": "global self-attention",
    "X": "axial attention",
}


def check_letters(stages: str, depths: Sequence[int], network: str) -> None:
    """Raises ValueError, in a sentence, for letters that the stages of a network, of so many blocks, cannot have.

    network: as people call it. `lambda_core` refuses the same, in the words of its arguments.
    """
    parts = stages.split("-") if "-" in stages else list(stages)
    if unknown := [letter for letter in stages if letter not in SAYS and letter != "-"]:
        known = "; ".join(f"{letter}: {re.sub(r' [(].*', '', says)}" for letter, says in SAYS.items())
        raise ValueError(f"{stages}: no layer has the letter {unknown[0]}. There are {known}.")
    if len(parts) != len(depths):
        raise ValueError(f"{stages} has letters for {len(parts)} stages, and {network} has {len(depths)}.")
    for number, (part, depth) in enumerate(zip(parts, depths, strict=True), start=1):
        if not part:
            raise ValueError(f"{stages} has no letter for stage {number}.")
        if depth % len(part):
            raise ValueError(f"{stages}: the {len(part)} letters of stage {number} do not fit its {depth} blocks.")
