"""`build(name, **overrides)`: a network of the family by name."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from lambda_core.models.config import Config
from lambda_core.models.family import FAMILY
from lambda_core.models.resnet import ResNet
from lambda_core.models.san import SANS, San, SanConfig

__all__ = ["FAMILY", "SANS", "Config", "ResNet", "San", "SanConfig", "build", "config_of"]


def config_of(name: str, **overrides: Any) -> Config | SanConfig:
    """The configuration behind `build(name, **overrides)`. Raises ValueError with the choices for an unknown name."""
    if name in SANS:
        return _san(name, overrides)
    if name not in FAMILY:
        raise ValueError(f"no network is called {name!r}; there are {', '.join([*FAMILY, *SANS])}")
    config = FAMILY[name]
    known = {f.name for f in fields(Config)}
    own = {name: value for name, value in overrides.items() if name in known}
    options = {name: value for name, value in overrides.items() if name not in known}
    for field in ("layer", "layers"):
        if not isinstance(given := own.get(field, {}), Mapping):
            example = {"layer": "{'scope': 7}", "layers": "{'G': {'heads': 4}}"}[field]
            raise ValueError(f"{field} takes options by name, as {example}, not {given!r}")
    for letter, given in own.get("layers", {}).items():
        if not isinstance(given, Mapping):
            said = {letter: given}
            raise ValueError(f"layers takes options by name under a letter, as {{'G': {{'heads': 4}}}}, not {said!r}")
    own["layer"] = {**config.layer, **own.get("layer", {}), **options}
    own["layers"] = dict(config.layers) | {
        letter: {**config.layers.get(letter, {}), **new} for letter, new in own.get("layers", {}).items()
    }
    return replace(config, **own)


def _san(name: str, overrides: dict[str, Any]) -> SanConfig:
    known = [f.name for f in fields(SanConfig)]
    if unknown := sorted(set(overrides) - set(known)):
        raise TypeError(f"{name} has no option {unknown[0]!r}; there are {', '.join(known)}")
    return replace(SANS[name], **overrides)


def build(name: str, **overrides: Any) -> ResNet | San:
    """A randomly initialised network: `build("lambda_resnet50", stages="CCLL", num_classes=10, scope=15, dim_k=8)`.

    name: an entry of FAMILY, or of SANS. overrides: fields of its `Config`; any other name is an option of the lambda
    layers (`LambdaLayer`). Those of other layers go under their letter: `layers={"G": {"heads": 4}}`. Raises
    ValueError, in one sentence, for an unknown name or a stage string that does not fit; TypeError for an option that
    no such layer has.
    """
    config = config_of(name, **overrides)
    return San(config) if isinstance(config, SanConfig) else ResNet(config)
