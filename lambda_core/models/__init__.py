"""`build(name, **overrides)`: a network of the family by name."""

from dataclasses import fields, replace
from typing import Any

from lambda_core.models.resnet import FAMILY, Config, ResNet

__all__ = ["FAMILY", "Config", "ResNet", "build"]


def config_of(name: str, **overrides: Any) -> Config:
    """The configuration behind `build(name, **overrides)`; names the choices when one is wrong."""
    base = name.removeprefix("lambda_")
    if base not in FAMILY and name not in FAMILY:
        raise ValueError(f"no network is called {name!r}; there are {', '.join(FAMILY)}, each also as lambda_NAME")
    config = FAMILY.get(name) or FAMILY[base]
    if name.startswith("lambda_") and name not in FAMILY:
        config = replace(config, stages="L" * len(config.depths))
    known = {f.name for f in fields(Config)}
    own = {key: value for key, value in overrides.items() if key in known}
    layer_options = {key: value for key, value in overrides.items() if key not in known}
    if layer_options:
        own["layer"] = {**config.layer, **own.get("layer", {}), **layer_options}
    return replace(config, **own)


def build(name: str, **overrides: Any) -> ResNet:
    """A randomly initialised network: `build("lambda_resnet50", stages="CCLL", num_classes=10, scope=15, dim_k=8)`.

    name: an entry of FAMILY, or lambda_ in front of it for lambda layers in every stage. overrides: fields of
    `Config`; any other name is an option of the lambda layers (`LambdaLayer`). Raises ValueError, in one sentence,
    for an unknown name or a stage string that does not fit; TypeError for an option that no lambda layer has.
    """
    return ResNet(config_of(name, **overrides))
