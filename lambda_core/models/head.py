"""What is the same of every network that classifies, under the names that timm's networks have for it."""

from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from lambda_core.layers.face import embeds
from lambda_core.models.recompute import Block
from lambda_core.positions import is_count


class Classifying(nn.Module):
    """stem -> stages of `Block`s -> average pool -> dropout -> linear.

    num_features: channels of the last map. out_channels, out_strides: of the map after each stage. config: the
    configuration, which follows `reset_classifier`.
    """

    config: Any
    num_features: int
    out_channels: list[int]
    out_strides: list[int]
    stem: nn.Module
    stages: nn.Sequential
    dropout: nn.Module
    classify: nn.Module

    @property
    def num_classes(self) -> int:
        """How many scores the network gives; 0 where it gives features."""
        return self.config.num_classes

    def get_classifier(self) -> nn.Module:
        """The last linear layer, (b, num_features) -> (b, num_classes); `nn.Identity` without one."""
        return self.classify

    def reset_classifier(self, num_classes: int) -> None:
        """Put a new linear layer at the end, randomly initialised, as for other classes; 0 for none.

        It is on the device, and in the type, of the rest. Raises ValueError for less than 0.
        """
        self.config = replace(self.config, num_classes=check_classes(num_classes))
        rest = next(self.parameters())
        self.classify = linear(self.num_features, num_classes).to(rest)

    def forward_features(self, x: Tensor) -> Tensor:
        """The map before the average pool: (b, num_features, H / 32, W / 32) in a ResNet-50."""
        return self.stages(self.stem(x))

    def forward_pyramid(self, x: Tensor) -> dict[str, Tensor]:
        """The map after each stage, "0" to "3" in a ResNet-50: (b, out_channels[i], H / out_strides[i], W / ...).

        The names are those of torchvision's detection models, whose FeaturePyramidNetwork takes this dict, and
        `out_channels` as its in_channels_list.
        """
        maps, x = {}, self.stem(x)
        for name, stage in self.stages.named_children():
            maps[name] = x = stage(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        return self.forward_head(self.forward_features(x))

    def forward_head(self, x: Tensor, pre_logits: bool = False) -> Tensor:
        """From the map of `forward_features`, (b, num_features, h, w), to scores; to pooled features, if pre_logits."""
        pooled = self.dropout(x.mean((2, 3)))
        return pooled if pre_logits else self.classify(pooled)

    def set_grad_checkpointing(self, enable: bool = True) -> None:
        """Gradient checkpointing, on or off: in training each block stores its input alone, and is run twice."""
        for module in self.modules():
            if isinstance(module, Block):
                module.recompute = enable

    def no_weight_decay(self) -> set[str]:
        """Names of the position embeddings: they take no weight decay, besides all parameters with one axis.

        timm's `param_groups_weight_decay` takes them as its no_weight_decay_list.
        """
        return {name for name, _ in self.named_parameters() if embeds(name)}


def linear(dim: int, num_classes: int) -> nn.Module:
    return nn.Linear(dim, num_classes) if num_classes else nn.Identity()


def check_classes(num_classes: Any) -> int:
    """Raises ValueError for what is no number of classes."""
    if not is_count(num_classes) and (num_classes != 0 or isinstance(num_classes, bool)):
        raise ValueError(f"num_classes must be a whole number of at least 0, for no classifier, not {num_classes!r}")
    return num_classes


def check_channels(in_chans: Any) -> int:
    """Raises ValueError for what is no number of channels."""
    if not is_count(in_chans):
        raise ValueError(f"in_chans must be a whole number of at least 1, as 3 for colours, not {in_chans!r}")
    return in_chans
