"""A network by its name: ours, any that torchvision classifies with, or `timm:` and a name of timm's. K classes."""

from __future__ import annotations

import difflib
import logging
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from pipeline_lib.errors import ConfigError, DependencyMissing
from pipeline_lib.networks.classifier import Triple
from pipeline_lib.networks.small import MiniResNet, lenet, small_cnn, two_layer_cnn
from pipeline_lib.networks.speed_net import SpeedNet

log = logging.getLogger(__name__)
SMALL = {
    "mini_resnet": MiniResNet,
    "lenet": lenet,
    "small_cnn": small_cnn,
    "two_layer_cnn": two_layer_cnn,
}
OURS = {**SMALL, "speed_net": SpeedNet}
TIMM = "timm:"
BLUR = "+blur"
BLUR_LEAST_CHANNELS = 16
# The sizes of DeiT-S (Touvron et al. 2021, arXiv 2012.12877, table 1), which torchvision lacks.
VIT_S = "vit_s_16"
VIT_S_SIZES = {
    "patch_size": 16,
    "num_layers": 12,
    "num_heads": 6,
    "hidden_dim": 384,
    "mlp_dim": 1536,
}
# GoogLeNet and Inception v3 also classify from the middle, while they train and not after.
AUXILIARY_SHARE = (
    0.3  # of such a loss beside the main one: Szegedy et al. 2014, arXiv 1409.4842, section 5
)
AUXILIARY_HEADS = ("aux1", "aux2", "AuxLogits")
AUXILIARY_LEAST_SIDE_PX = {
    "googlenet": 1,
    "inception_v3": 299,
}  # below, the heads' own convolutions do not fit


def build_network(name: str, *, n_classes: int, side_px: int, auxiliary: bool = False) -> nn.Module:
    """Make a network with fresh weights from torch's current random state: float images_BCHW -> logits_BK.

    name: with `+blur` at its end, striding convolutions blur first. auxiliary: with the heads that only train.
    Raises ConfigError when no network has this name, or it cannot take images of this size.
    """
    network = _by_name(
        name.removesuffix(BLUR),
        n_classes=n_classes,
        side_px=side_px,
        auxiliary=auxiliary,
    )
    if name.endswith(BLUR):
        network = add_blur_pool(network)
    check_side(network, name, n_classes=n_classes, side_px=side_px)
    return network.train()


def check_side(network: nn.Module, name: str, *, n_classes: int, side_px: int) -> None:
    """Raise ConfigError when the network cannot take images of this size. Leaves it in evaluation mode."""
    network.eval()
    try:
        with torch.no_grad():
            logits_BK = network(torch.zeros(1, 3, side_px, side_px))
    except (
        RuntimeError,
        ValueError,
        AssertionError,
    ) as error:  # timm and torchvision assert their sizes
        raise ConfigError(
            f"{name} cannot take images of {side_px} px",
            file="params.yaml",
            value=error,
            remedy="raise train.side_px, or choose another train.network",
        ) from error
    assert logits_BK.shape == (1, n_classes), logits_BK.shape


def normalisation(network: nn.Module) -> tuple[Triple, Triple] | None:
    """Mean and standard deviation (of channels in 0..1) of the pixels that a network's published weights expect.

    timm publishes them with its networks; for others the recipe has to say: None.
    """
    published = getattr(network, "pretrained_cfg", None)
    if not isinstance(published, dict):
        return None
    return tuple(published["mean"]), tuple(published["std"])


def head_name(network: nn.Module) -> str:
    """The name of the last layer with weights: the one whose shape depends on the number of classes."""
    published = getattr(network, "pretrained_cfg", None)
    if isinstance(published, dict):  # timm says which one it is
        return str(published["classifier"])
    # Elsewhere the head is the last module with weights of its own.
    with_weights: list[str] = [
        name
        for name, module in network.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    return with_weights[-1]


def _by_name(name: str, *, n_classes: int, side_px: int, auxiliary: bool) -> nn.Module:
    if name in OURS:
        return OURS[name](n_classes)
    if name.startswith(TIMM):
        return timm_network(name.removeprefix(TIMM), n_classes=n_classes, side_px=side_px)
    known = torchvision_names()
    if name not in known:
        raise no_such_network(name, known=[*OURS, *known])
    # Inception's auxiliary head has convolutions that need large maps.
    least_px = AUXILIARY_LEAST_SIDE_PX.get(name, 0)
    if auxiliary and side_px < least_px:
        log.info("%s trains without its auxiliary head, which needs %d px", name, least_px)
        auxiliary = False
    return torchvision_network(
        name,
        n_classes=n_classes,
        side_px=side_px,
        auxiliary=auxiliary,
    )


def torchvision_network(name: str, *, n_classes: int, side_px: int, auxiliary: bool) -> nn.Module:
    """One of torchvision's classifiers. auxiliary: with the second heads that GoogLeNet and Inception train with.

    Raises ConfigError when the network cannot take images of this size.
    """
    import torchvision.models as zoo  # takes seconds, so only where it is needed

    # What some families want to be told beside the number of classes.
    options: dict[str, Any] = {}
    if name in AUXILIARY_LEAST_SIDE_PX:
        # transform_input: torchvision's weights were trained with other means; from scratch it is only another scale
        options = {"aux_logits": auxiliary, "init_weights": True, "transform_input": True}
    if name.startswith("vit_"):
        options = {"image_size": side_px}
    if name == "maxvit_t":
        options = {"input_size": (side_px, side_px)}
    try:
        if name == VIT_S:
            return zoo.VisionTransformer(**VIT_S_SIZES, **options, num_classes=n_classes)  # type: ignore[no-any-return]
        return zoo.get_model(name, weights=None, num_classes=n_classes, **options)  # type: ignore[no-any-return]
    except (
        ValueError,
        AssertionError,
    ) as error:  # torchvision asserts that a side is a whole number of patches
        raise ConfigError(
            f"{name} cannot take images of {side_px} px",
            file="params.yaml",
            value=error,
            remedy="choose another train.side_px (224 fits all of torchvision's networks)",
        ) from error


def torchvision_names() -> list[str]:
    """Every classifier of torchvision, and the small vision transformer made of its parts."""
    import torchvision.models as zoo

    return [*zoo.list_models(module=zoo), VIT_S]


def timm_network(name: str, *, n_classes: int, side_px: int) -> nn.Module:
    """One of timm's classifiers, `name` without the prefix `timm:`; networks of one size are made for `side_px`.

    Raises DependencyMissing without timm, ConfigError when it has no network of this name.
    """
    try:
        import timm
    except ImportError as error:
        raise DependencyMissing(
            "timm is not installed",
            file="params.yaml",
            value=TIMM + name,
            remedy="run `make setup`, or choose another train.network",
        ) from error
    if not timm.is_model(name):
        raise no_such_network(TIMM + name, known=[TIMM + other for other in timm.list_models()])
    published = timm.get_pretrained_cfg(name)
    options: dict[str, Any] = {}
    # Only networks of a fixed size take one.
    if published and published.fixed_input_size:
        options = {"img_size": side_px}
    return timm.create_model(name, pretrained=False, num_classes=n_classes, **options)


def no_such_network(name: str, *, known: list[str]) -> ConfigError:
    """The error for a name that is not among `known`, with the nearest that are."""
    nearest = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0))
    return ConfigError(
        "train.network: no such network",
        file="params.yaml",
        value=name,
        remedy=f"set train.network to a name of docs/recipes.md; nearest: {nearest}",
    )


def auxiliary_heads(network: nn.Module) -> list[str]:
    """The names of the modules that only train."""
    return [name for name in AUXILIARY_HEADS if getattr(network, name, None) is not None]


def drop_auxiliary_heads(network: nn.Module) -> None:
    """Remove them, in place: what is kept, evaluated and exported has one head."""
    for name in auxiliary_heads(network):
        setattr(network, name, None)


def weighed_logits(
    output: torch.Tensor | tuple[torch.Tensor | None, ...],
) -> list[tuple[float, torch.Tensor]]:
    """The output of a network that trains -> (share of the loss, logits_BK), the main head first."""
    if isinstance(output, torch.Tensor):
        return [(1.0, output)]
    main, *auxiliary = output
    assert main is not None
    return [
        (1.0, main),
        *((AUXILIARY_SHARE, logits_BK) for logits_BK in auxiliary if logits_BK is not None),
    ]


def add_blur_pool(network: nn.Module) -> nn.Module:
    """Blur in front of the striding convolutions, in place. No weights are added, so weight files still fit.

    Convolutions that skip pixels see a smoothed map, so small shifts change less: Zhang 2019, "Making convolutional
    networks shift-invariant again", arXiv 1904.11486; which convolutions: as in ffcv-imagenet's recipes, those of
    stride 2 and more with at least 16 input channels.
    """
    for module in network.modules():
        if (
            isinstance(module, nn.Conv2d)
            and max(module.stride) > 1
            and module.in_channels >= BLUR_LEAST_CHANNELS
        ):
            module.register_forward_pre_hook(_blur)
    return network


def _blur(_: nn.Module, inputs: tuple[torch.Tensor]) -> torch.Tensor:
    """x_BCHW under the 3x3 binomial filter, zeros around."""
    (x_BCHW,) = inputs
    # Made on the device: a GPU would wait for a copy.
    ones = torch.ones(3, dtype=x_BCHW.dtype, device=x_BCHW.device)
    line = F.pad(ones[:1], (1, 1), value=0.0).add(ones).mul(0.25)
    n_channels = x_BCHW.shape[1]
    filters = torch.outer(line, line).expand(n_channels, 1, 3, 3)
    return F.conv2d(x_BCHW, filters, padding=1, groups=n_channels)
