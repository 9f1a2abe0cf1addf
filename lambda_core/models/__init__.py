"""`build(name, **overrides)`: a network of the family by name."""

from dataclasses import fields, replace
from typing import Any

from lambda_core.models.resnet import FAMILY, Config, ResNet

__all__ = ["FAMILY", "Config", "ResNet", "build", "config_of"]


def config_of(name: str, **overrides: Any) -> Config:
    """The configuration behind `build(name, **overrides)`. Raises ValueError with the choices for an unknown name."""
    if name not in FAMILY:
        raise ValueError(f"no network is called {name!r}; there are {', '.join(FAMILY)}")
    config = FAMILY[name]
    known = {f.name for f in fields(Config)}
    own = {name: value for name, value in overrides.items() if name in known}
    options = {name: value for name, value in overrides.items() if name not in known}
    own["layer"] = {**config.layer, **own.get("layer", {}), **options}
    return replace(config, **own)


def build(name: str, **overrides: Any) -> ResNet:
    """A randomly initialised network: `build("lambda_resnet50", stages="CCLL", num_classes=10, scope=15, dim_k=8)`.

    name: an entry of FAMILY. overrides: fields of `Config`; any other name is an option of the lambda layers
    (`LambdaLayer`). Raises ValueError, in one sentence, for an unknown name or a stage string that does not fit;
    TypeError for an option that no lambda layer has.
    """
    return ResNet(config_of(name, **overrides))
