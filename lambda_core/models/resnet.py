"""ResNets in which any stage, or any block, may carry another layer than the 3x3 convolution."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from torch import Tensor, nn

from lambda_core.layers import LAYERS, Convolution, ConvolutionThen, LambdaLayer
from lambda_core.models.blocks import Bottleneck
from lambda_core.models.config import Config, check_numbers, layer_options, options_by_letter, parse_stages, takes
from lambda_core.models.head import Classifying, linear
from lambda_core.positions import Size

ACTS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "silu": nn.SiLU}


class ResNet(Classifying):
    """stem -> stages -> average pool -> linear.  (b, in_chans, H, W) -> (b, num_classes), raw scores.

    out_channels, out_strides: of the map after each stage, as `forward_pyramid` returns them.

    Raises ValueError for a stage string, an activation or a drop_path that does not fit, TypeError for an option that
    a layer does not have.
    """

    def __init__(self, config: Config) -> None:
        super().__init__()
        if not isinstance(config.act, str) or config.act not in ACTS:
            raise ValueError(f"act must be one of {', '.join(ACTS)}, not {config.act!r}")
        check_numbers(config)
        self.config = config
        self.stem, dim = _stem(config), config.stem[-1][1]
        stride = 2 if config.pool else 1
        for _, _, step in config.stem:
            stride *= step
        self.stages = nn.Sequential()
        self.out_channels: list[int] = []
        self.out_strides: list[int] = []
        by_letter, blocks_before = options_by_letter(config), 0
        for index, letters in enumerate(parse_stages(config.stages, config.depths)):
            of_stage = {
                letter: layer_options(options, index + 1, len(config.depths), kind=LAYERS[letter])
                for letter, options in by_letter.items()
            }
            width, dim_out = config.widths[index], round(config.widths[index] * config.expansion)
            blocks = []
            for number, letter in enumerate(letters):
                kind, step = LAYERS[letter], config.strides[index] if number == 0 else 1
                options = layer_options(of_stage[letter], number + 1, len(letters), of="block", kind=kind)
                mix, end = _parts(kind, _sized(kind, options, _map(config.image_size, stride)))
                drop = config.drop_path * blocks_before / max(1, sum(config.depths) - 1)
                blocks.append(Bottleneck(dim, width, dim_out, step, mix, ACTS[config.act], end, drop))
                dim, stride, blocks_before = dim_out, stride * step, blocks_before + 1
            self.stages.append(nn.Sequential(*blocks))
            self.out_channels.append(dim)
            self.out_strides.append(stride)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = linear(dim, config.num_classes)
        self.num_features = dim
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self._share()
        self.register_load_state_dict_post_hook(_share_again)

    def _share(self) -> None:
        """One parameter for the embeddings of equal shape at a resolution, where the configuration asks for it."""
        if not self.config.share_embeddings:
            return
        tables: dict[tuple[int, ...], nn.Parameter] = {}
        for stride, stage in zip(self.out_strides, self.stages, strict=True):
            for layer in stage.modules():
                if isinstance(layer, LambdaLayer) and layer.embeddings is not None:
                    layer.embeddings = tables.setdefault((stride, *layer.embeddings.shape), layer.embeddings)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ResNet":
        """As `nn.Module` does it for `.to(device)` and its like; from the meta device it makes new parameters."""
        super()._apply(fn, recurse)
        self._share()
        return self


def _share_again(model: nn.Module, _: Any) -> None:
    """After `load_state_dict(weights, assign=True)`, which gives each layer a parameter of its own."""
    cast(ResNet, model)._share()


def _parts(kind: type[nn.Module], options: dict[str, Any]) -> tuple[Callable[..., nn.Module], Any]:
    """What a block of this kind has in its middle and, where it has something there, at its end."""
    if issubclass(kind, ConvolutionThen):
        return Convolution, partial(kind.Unit, **options)
    return partial(kind, **options), None


def _map(image_size: int | tuple[int, int] | None, stride: int) -> Size | None:
    """The map of an image at a stride, every step of which rounds up."""
    if image_size is None:
        return None
    height, width = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
    return -(-height // stride), -(-width // stride)


def _sized(kind: type[nn.Module], options: dict[str, Any], size: Size | None) -> dict[str, Any]:
    """Options with the size of the map, if it is known and this layer has embeddings for every offset of a map."""
    if size is None or "size" not in takes(kind) or "size" in options:
        return options
    return options if {**takes(kind), **options}.get("scope") is not None else {**options, "size": size}


def _stem(config: Config) -> nn.Sequential:
    parts: list[nn.Module] = []
    dim = config.in_chans
    for kernel, channels, stride in config.stem:
        parts += [
            nn.Conv2d(dim, channels, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(channels),
            ACTS[config.act](inplace=True),
        ]
        dim = channels
    if config.pool:
        parts.append(nn.MaxPool2d(3, 2, 1))
    return nn.Sequential(*parts)
