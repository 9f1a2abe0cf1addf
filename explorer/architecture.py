"""An architecture as the architectures page holds it: a network, the letter of every block, a few sizes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from explorer.letters import check_letters
from lambda_core.layers import LAYERS
from lambda_core.meta import shapes_only
from lambda_core.models import FAMILY, SANS, Config, SanConfig, build, config_of
from lambda_core.models.config import layer_options, options_by_letter, parse_stages, takes
from lambda_core.tables import Network

BASES = {  # networks that differ in more than the letters of their blocks
    "resnet26": "ResNet-26",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "resnet152": "ResNet-152",
    "resnet101_d": "ResNet-101, stem D",
    "resnet152_d": "ResNet-152, stem D",
    "resnet200_d": "ResNet-200, stem D",
    "resnet270_d": "ResNet-270, stem D",
    "resnet350_d": "ResNet-350, stem D",
    "resnet420_d": "ResNet-420, stem D",
    "relation_resnet50": "ResNet-50, widths of LR-Net",
    "lambda_resnet26t": "ResNet-26t of timm",
    "lambda_resnet50ts": "ResNet-50ts of timm",
    "lambda_resnet_mini": "The explorer's own, for 128 px",
    "san10": "SAN-10, no ResNet",
    "san15": "SAN-15, no ResNet",
    "san19": "SAN-19, no ResNet",
}
PLAIN, HALVES = "resnet50", ("content", "position")
NUMBERS = {"px": "size", "r": "scope", "k": "dim_k", "h": "heads", "u": "dim_u"}  # how a link abbreviates them
LIMITS = {"size": (32, 512), "scope": (1, 63), "dim_k": (1, 128), "heads": (1, 64), "dim_u": (1, 16)}
GLOBAL = 0  # the scope that is the whole map
NORMS: dict[str, tuple[str, dict[str, Any]]] = {  # the rows of the paper's table, by their word in a link
    "": ("softmax on keys", {}),
    "softmaxkq": ("softmax on keys and queries", {"key_norm": "softmax_keys_queries"}),
    "unitkeys": ("keys of length 1 (L2)", {"key_norm": "l2"}),
    "rawkeys": ("keys as they are", {"key_norm": "none"}),
    "nobatchnorm": ("no batch norm on q and v", {"norm_qv": False}),
}


@dataclass(frozen=True)
class Architecture:
    """base: a name of BASES. stages: the letters as `build` takes them; empty for those of the base.

    size: side of the image in pixels. scope, dim_k, heads, dim_u: of the lambda layers, None for the base's own. half:
    the one that the lambda layers have, "content" or "position", empty for both. norm: a word of NORMS.
    """

    base: str = PLAIN
    stages: str = ""
    size: int = 224
    scope: int | None = None
    dim_k: int | None = None
    heads: int | None = None
    dim_u: int | None = None
    half: str = ""
    norm: str = ""

    @property
    def fixed(self) -> bool:
        """Whether its blocks cannot be exchanged."""
        return self.base in SANS

    @property
    def title(self) -> str:
        """For people: "ResNet-50, C-C-CL-L"."""
        return BASES[self.base] if self.fixed else f"{BASES[self.base]}, {shortest(self.letters())}"

    def letters(self) -> list[str]:
        """The letter of each block, a string a stage. Raises ValueError for a stage string that does not fit."""
        if self.fixed:
            return ["Z" * depth for depth in SANS[self.base].depths]
        config = FAMILY[self.base]
        if self.stages:
            check_letters(self.stages, config.depths, BASES[self.base])
        return parse_stages(self.stages or config.stages, config.depths)

    def options(self) -> dict[str, Any]:
        """Of the lambda layers, where they differ from the base's."""
        chosen = {"dim_k": self.dim_k, "heads": self.heads, "dim_u": self.dim_u}
        found: dict[str, Any] = {name: value for name, value in chosen.items() if value is not None}
        if self.scope is not None:
            found["scope"] = self.scope or None
        if self.half:
            found["position" if self.half == "content" else "content"] = False
        return found | NORMS[self.norm][1]

    def effective(self) -> dict[str, Any]:
        """All options of a lambda layer, defaults included."""
        config = FAMILY.get(self.base, FAMILY[PLAIN])
        return {**takes(LAYERS["L"]), **config.layers.get("L", {}), **config.layer, **self.options()}

    def tidy(self) -> "Architecture":
        """The same, said once: without what the base has anyway. Raises ValueError for letters that do not fit."""
        own = Architecture(self.base).effective()
        said = {name: getattr(self, name) for name in ("scope", "dim_k", "heads", "dim_u")}
        same: dict[str, Any] = {
            name: None for name, value in said.items() if value is not None and (value or None) == own[name]
        }
        return replace(self, stages="" if self.fixed else shortest(self.letters()), **same)

    def overrides(self) -> dict[str, Any]:
        """What `build` takes beside the name of the base."""
        if self.fixed:
            return {}
        found = {"stages": shortest(self.letters()), **self.options()}
        if found["stages"] == shortest(parse_stages(FAMILY[self.base].stages, FAMILY[self.base].depths)):
            del found["stages"]
        return found | ({"image_size": self.size} if self._covers_a_map() else {})

    def config(self) -> Config | SanConfig:
        """Raises ValueError or TypeError, in a sentence, where it does not fit."""
        return config_of(self.base, **self.overrides())

    def _covers_a_map(self) -> bool:
        """Whether a layer has an embedding for every offset of its map, so that the size of the image counts."""
        by_letter = options_by_letter(config_of(self.base, **self.options()))  # type: ignore[arg-type]
        known = [{**takes(LAYERS[letter]), **by_letter[letter]} for letter in set("".join(self.letters()))]
        return any("size" in options and options.get("scope") is None for options in known)

    def line(self) -> str:
        """The Python that builds it."""
        options = (f"{name}={value!r}" for name, value in self.overrides().items())
        return f"build({', '.join([repr(self.base), *options])})".replace("'", '"')

    def text(self) -> str:
        """As a link has it: resnet50~CCLL~px224~r7~content; `read` is the way back."""
        parts = [self.base, *filter(None, [self.stages])]
        for short, name in NUMBERS.items():
            if (value := getattr(self, name)) not in (None, getattr(Architecture, name)):
                parts.append(f"{short}{value}")
        return "~".join([*parts, *filter(None, [self.half, self.norm])])


def shortest(letters: Sequence[str]) -> str:
    """The letters of each stage as the shortest string that `build` reads so: CCC, CLCL, LL is C-CL-L."""
    parts = []
    for stage in letters:
        periods = (
            n for n in range(1, len(stage) + 1) if len(stage) % n == 0 and stage[:n] * (len(stage) // n) == stage
        )
        parts.append(stage[: next(periods)])
    return "".join(parts) if all(len(part) == 1 for part in parts) else "-".join(parts)


def read(text: str) -> Architecture:
    """An architecture from a link. Raises ValueError, in one sentence, for what it cannot mean."""
    base, *parts = text[:400].split("~")
    if base not in BASES:
        raise ValueError(f"The link names no network of this page; there are {', '.join(BASES)}.")
    found: dict[str, Any] = {"base": base}
    for part in parts:
        number = re.fullmatch(r"(px|r|k|h|u)(\d{1,4})", part, re.ASCII)
        if number:
            name, value = NUMBERS[number[1]], int(number[2])
            low, high = LIMITS[name]
            if not low <= value <= high and not (name == "scope" and value == GLOBAL):
                raise ValueError(f"The link's {number[1]} must be {low} to {high}, not {value}.")
            found[name] = value
        elif part in HALVES:
            found["half"] = part
        elif part in NORMS and part:
            found["norm"] = part
        elif re.fullmatch(r"[A-Z]+(-[A-Z]+)*", part, re.ASCII) and base not in SANS:
            found["stages"] = part
        else:
            raise ValueError("The link says something of the architecture that this page does not know.")
    return Architecture(**found).tidy()


def plain(name: str) -> tuple[str, str]:
    """(base, stages) of a network of the family. Raises ValueError for one that is none of BASES with other letters."""
    if name in SANS:
        return name, ""
    config = FAMILY[name]
    for base in BASES:
        if base in FAMILY and _but_letters(FAMILY[base]) == _but_letters(config):
            return base, config.stages
    raise ValueError(f"{name} is none of {', '.join(BASES)} with other letters")


def _but_letters(config: Config) -> Config:
    return replace(config, stages="", image_size=None)


def of_recipe(recipe: Network) -> Architecture:
    """The architecture of a row of the paper's tables."""
    options = dict(recipe.options)
    base, stages = plain(recipe.name)
    found: dict[str, Any] = {"base": base, "stages": options.pop("stages", stages), "size": recipe.image_size}
    options.pop("image_size", None)
    if "scope" in options:
        found["scope"] = options.pop("scope") or GLOBAL
    for half, other in (HALVES, HALVES[::-1]):
        if options.pop(other, True) is False:
            found["half"] = half
    known = {field.name for field in fields(Architecture)}
    if unknown := set(options) - known:
        raise ValueError(f"this page has no control for {', '.join(sorted(unknown))}")
    return Architecture(**found, **options).tidy()


def small(architecture: Architecture) -> dict[str, Any]:
    """The same letters as a network for small pictures, {"name", "overrides"}: a quarter of the widths, a 3x3 stem.

    Raises ValueError, in a sentence, for one that could not be trained in minutes, or that has no lambda layer.
    """
    letters = "".join(architecture.letters())
    if architecture.fixed or "L" not in letters:
        raise ValueError("The training page shows lambdas as they form, so at least one block must be an L.")
    if len(letters) > 20:
        raise ValueError(f"{len(letters)} blocks are too slow for a first run: take ResNet-26 or ResNet-50.")
    config = FAMILY[architecture.base]
    widths = tuple(width // 4 for width in config.widths)
    overrides = {name: value for name, value in architecture.overrides().items() if name != "image_size"} | {
        "stages": shortest(architecture.letters()), "widths": widths, "stem": ((3, widths[0], 1),), "pool": False,
        "strides": (1, 2, 2, *(1 for _ in config.strides[3:])), "num_classes": 10, "image_size": 16,
    }  # fmt: skip
    return {"name": architecture.base, "overrides": overrides}


def refused(network: dict[str, Any]) -> str | None:
    """Why what `small` gave cannot be built, in a sentence; None if it can: sizes were chosen for the wide network."""
    try:
        with shapes_only():
            build(network["name"], **network["overrides"])
    except ValueError as error:
        return f"The training page has a quarter of the widths, and there {str(error).rstrip('.')}."
    return None


def block_options(config: Config) -> list[list[dict[str, Any]]]:
    """The options of every block's layer, as `ResNet` reads them: those of the stage, then those of the block."""
    by_letter, found = options_by_letter(config), []
    for stage, letters in enumerate(parse_stages(config.stages, config.depths), start=1):
        of_stage = {
            letter: layer_options(by_letter[letter], stage, len(config.depths), kind=LAYERS[letter])
            for letter in set(letters)
        }
        found.append(
            [
                layer_options(of_stage[letter], number, len(letters), of="block", kind=LAYERS[letter])
                for number, letter in enumerate(letters, start=1)
            ]
        )
    return found
