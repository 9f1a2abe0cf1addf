"""Attribution methods by name: what each answers, its equation, its source, its cost, and Captum's class behind it."""

import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lambda_core.attribution import deeplift
from lambda_core.attribution.twin import Pace, unshare

# As `warnings` keeps it: what Captum says of every DeepLIFT.
HOOKS: Any = ("ignore", re.compile("Setting forward, backward hooks", re.IGNORECASE), Warning, None, 0)
BATCH = 8  # inputs in one forward pass of a method that needs many: what bounds memory and the length of a slice


def captum() -> Any:
    """captum.attr, or ImportError in one sentence."""
    try:
        import captum.attr
    except ImportError as error:
        raise ImportError("attributions are computed by Captum, which is not installed: pip install captum") from error
    return captum.attr


@dataclass
class Task:
    """One call of a method: the hooked twin, the input (it requires a gradient), the class, and perhaps a layer."""

    model: nn.Module
    x: Tensor
    target: int | Tensor
    layer: nn.Module | None
    pace: Pace
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """A way to say where an answer came from.

    question: what its map answers. equation: LaTeX, F the logit of the class, A a layer's output. passes: forward (and
    backward) passes with the default options. signed: whether minus means against the class. layered: whether it looks
    at one layer. complete: whether its map sums to F(x) - F(baseline). options: their defaults. reduce: how channels
    become one map: sum, size (greatest) or mean (of size). cheap: one pass.
    """

    title: str
    question: str
    equation: str
    source: str
    passes: str
    run: Callable[[Task], Tensor]
    signed: bool = True
    layered: bool = False
    complete: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    reduce: str = "sum"
    cheap: bool = False
    why_not: Callable[[nn.Module], str | None] = lambda _model: None


REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sum": lambda t: t.sum(1),
    "size": lambda t: t.abs().amax(1),
    "mean": lambda t: t.abs().mean(1),
}


def _baseline(task: Task) -> Tensor:
    """The picture that says nothing: the option `baseline`, a tensor like x, or zeros, the mean colour of the data."""
    given = task.options.get("baseline")
    return torch.zeros_like(task.x) if given is None else given.detach().expand_as(task.x)


def _gradient(task: Task, *, name: str) -> Tensor:
    options = {"abs": False} if name == "Saliency" else {}
    return getattr(captum(), name)(task.model).attribute(task.x, target=task.target, **options)


def _integrated_gradients(task: Task) -> Tensor:
    steps = task.options["steps"]
    task.pace.slices = math.ceil(steps / max(1, BATCH // len(task.x)))
    return captum().IntegratedGradients(task.model).attribute(
        task.x, _baseline(task), task.target, n_steps=steps, internal_batch_size=max(BATCH, len(task.x))
    )  # fmt: skip


def _smoothgrad(task: Task) -> Tensor:
    """Captum's Saliency on noisy copies; Captum's own noise is the process's, which concurrent threads would share."""
    samples, draw = task.options["samples"], torch.Generator().manual_seed(task.options["seed"])
    group = max(1, BATCH // len(task.x))
    task.pace.slices = math.ceil(samples / group)
    saliency = captum().Saliency(task.model)
    x = task.x.detach()
    spread = task.options["noise"] * (x.amax((1, 2, 3)) - x.amin((1, 2, 3)))[:, None, None, None, None]
    total = torch.zeros_like(task.x)
    for start in range(0, samples, group):
        count = min(group, samples - start)
        # One draw for all pictures: what a picture gets is not for the others beside it to decide.
        noise = torch.randn(count, *x.shape[1:], generator=draw).to(x)
        noisy = (x[:, None] + spread * noise).flatten(0, 1).requires_grad_()
        target = task.target
        if isinstance(target, Tensor) and target.numel() > 1:
            target = target.repeat_interleave(count, 0)
        total += saliency.attribute(noisy, target=target, abs=True).unflatten(0, (-1, count)).sum(1)
    return total / samples


def _deeplift(task: Task) -> Tensor:
    from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR

    deeplift.give_rules(task.model)
    unshare(task.model, torch.cat([task.x.detach()] * 2), tuple(SUPPORTED_NON_LINEAR))
    if HOOKS not in warnings.filters:  # for good: another thread's filters would be gone when a block of ours ends
        warnings.filterwarnings("ignore", HOOKS[1].pattern)
    return captum().DeepLift(task.model).attribute(task.x, _baseline(task), task.target)


def _occlusion(task: Task) -> Tensor:
    sides = task.x.shape[2:]
    window = task.options["window"] or max(1, 3 * min(sides) // 16)
    stride = task.options["stride"] or max(1, window // 2)
    if window > min(sides):
        raise ValueError(f"window must be at most {min(sides)}, the shorter side of the picture, not {window}")
    places = [math.ceil((side - window) / stride) + 1 for side in sides]
    group = max(1, BATCH // len(task.x))
    task.pace.slices = 1 + math.ceil(math.prod(places) / group)
    channels = task.x.shape[1]
    return captum().Occlusion(task.model).attribute(
        task.x.detach(), (channels, window, window), (channels, stride, stride), _baseline(task), task.target,
        perturbations_per_eval=group,
    )  # fmt: skip


def _grad_cam(task: Task) -> Tensor:
    return captum().LayerGradCam(task.model, task.layer).attribute(task.x, task.target, relu_attributions=True)


def _activation(task: Task) -> Tensor:
    return captum().LayerActivation(task.model, task.layer).attribute(task.x)


def _conductance(task: Task) -> Tensor:
    steps = task.options["steps"]
    task.pace.slices = math.ceil(steps / max(1, BATCH // len(task.x))) + 1
    return captum().LayerConductance(task.model, task.layer).attribute(
        task.x, _baseline(task), task.target, n_steps=steps, internal_batch_size=max(BATCH, 2 * len(task.x))
    )  # fmt: skip


METHODS: dict[str, Method] = {
    "saliency": Method(
        "Saliency", "Which pixels change the logit fastest, when nudged?",
        r"\max_c \left|\partial F / \partial x_c\right|", "Simonyan et al. 2014", "1 and 1",
        partial(_gradient, name="Saliency"), signed=False, reduce="size", cheap=True,
    ),
    "input_x_gradient": Method(
        "Input × Gradient", "If the logit were linear in the pixels, what would each add?",
        r"\sum_c x_c \,\partial F / \partial x_c", "Shrikumar et al. 2016", "1 and 1",
        partial(_gradient, name="InputXGradient"), cheap=True,
    ),
    "grad_cam": Method(
        "Grad-CAM", "Where does this layer hold what speaks for the class?",
        r"\mathrm{relu}\left(\sum_c \bar g_c A_c\right),\ \bar g_c = \mathrm{mean}\;\partial F/\partial A_c",
        "Selvaraju et al. 2017", "1 and 1", _grad_cam, signed=False, layered=True, cheap=True,
    ),
    "layer_activation": Method(
        "Layer Activation", "Where is this layer's output large, whatever the class?",
        r"\mathrm{mean}_c \left|A_c\right|", "Captum", "1 and 0",
        _activation, signed=False, layered=True, reduce="mean", cheap=True,
    ),
    "integrated_gradients": Method(
        "Integrated Gradients", "How is the logit's rise over the baseline shared out to the pixels?",
        r"\sum_c (x_c - x'_c) \int_0^1 \partial_c F\left(x' + t(x - x')\right) dt", "Sundararajan et al. 2017",
        "32 and 32", _integrated_gradients, complete=True, options={"steps": 32, "baseline": None},
    ),
    "smoothgrad": Method(
        "SmoothGrad", "Which pixels stay important when the picture is noisy?",
        r"\max_c \tfrac1s \sum_s \left|\partial F(x + \varepsilon_s) / \partial x_c\right|", "Smilkov et al. 2017",
        "16 and 16", _smoothgrad, signed=False, options={"samples": 16, "noise": 0.1, "seed": 0}, reduce="size",
    ),
    "deeplift": Method(
        "DeepLIFT", "How is that rise shared out when each unit passes on its own difference?",
        r"\begin{gathered}\sum_c m_c (x_c - x'_c),\\"  # two lines: one is wider than a phone
        r"\Delta(ab) = \Delta a\,\tfrac{b+b'}{2} + \Delta b\,\tfrac{a+a'}{2}\end{gathered}",
        "Shrikumar et al. 2017; max-pools, and the products and softmax of a lambda layer, by our rules", "3 and 1",
        _deeplift, complete=True, options={"baseline": None}, why_not=deeplift.why_not,
    ),
    "occlusion": Method(
        "Occlusion", "How far does the logit fall when a square is covered?",
        r"F(x) - F(x \text{ with a square covered})", "Zeiler and Fergus 2014", "one for each place of the square",
        _occlusion, options={"window": None, "stride": None, "baseline": None},
    ),
    "layer_conductance": Method(
        "Layer Conductance", "How much of that rise flowed through each place of this layer?",
        r"\sum_c \int_0^1 \frac{\partial F}{\partial A_c}\frac{d A_c}{d t}\,dt", "Dhamdhere et al. 2019", "33 and 32",
        _conductance, layered=True, options={"steps": 32, "baseline": None},
    ),
}  # fmt: skip


def enlarged(maps: Tensor, size: tuple[int, ...]) -> Tensor:
    """(b, H', W') -> (b, H, W), bilinear: a picture of the map, whose sum is another."""
    if tuple(maps.shape[1:]) == tuple(size):
        return maps
    return F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
