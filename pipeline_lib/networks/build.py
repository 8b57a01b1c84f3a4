"""A network by its name: ours, any that torchvision classifies with, or `timm:` and a name of timm's."""

from __future__ import annotations

import logging

import torch
from torch import nn

from pipeline_lib.errors import ConfigError
from pipeline_lib.networks.auxiliary import LEAST_SIDE_PX
from pipeline_lib.networks.blur_pool import add_blur_pool
from pipeline_lib.networks.classifier import Triple
from pipeline_lib.networks.small import MiniResNet, lenet, small_cnn, two_layer_cnn
from pipeline_lib.networks.speed import SpeedNet
from pipeline_lib.networks.zoo import TIMM, no_such_network, timm_network, torchvision_names, torchvision_network

log = logging.getLogger(__name__)
SMALL = {"mini_resnet": MiniResNet, "lenet": lenet, "small_cnn": small_cnn, "two_layer_cnn": two_layer_cnn}
OURS = {**SMALL, "speed_net": SpeedNet}
BLUR = "+blur"


def build_network(name: str, *, n_classes: int, side_px: int, auxiliary: bool = False) -> nn.Module:
    """Make a network with fresh weights from torch's current random state: float images_BCHW -> logits_BK.

    name: with `+blur` at its end, striding convolutions blur first. auxiliary: with the heads that only train.
    Raises ConfigError when no network has this name, or it cannot take pictures of this size.
    """
    network = _by_name(name.removesuffix(BLUR), n_classes=n_classes, side_px=side_px, auxiliary=auxiliary)
    if name.endswith(BLUR):
        network = add_blur_pool(network)
    check_side(network, name, n_classes=n_classes, side_px=side_px)
    return network.train()


def check_side(network: nn.Module, name: str, *, n_classes: int, side_px: int) -> None:
    """Raise ConfigError when the network cannot take pictures of this size. Leaves it in evaluation mode."""
    network.eval()
    try:
        with torch.no_grad():
            logits_BK = network(torch.zeros(1, 3, side_px, side_px))
    except (RuntimeError, ValueError, AssertionError) as error:  # timm and torchvision assert their sizes
        remedy = "raise train.side_px, or choose another train.network"
        raise ConfigError(
            f"{name} cannot take pictures of {side_px} px", file="params.yaml", value=error, remedy=remedy
        ) from error
    assert logits_BK.shape == (1, n_classes), logits_BK.shape


def normalisation(network: nn.Module) -> tuple[Triple, Triple] | None:
    """Mean and standard deviation (of channels in 0..1) of the pixels that a network's published weights expect.

    timm says it of its networks; of others it is the recipe's to say: None.
    """
    about = getattr(network, "pretrained_cfg", None)
    return (tuple(about["mean"]), tuple(about["std"])) if isinstance(about, dict) else None


def head_name(network: nn.Module) -> str:
    """The name of the last layer with weights: the one whose shape depends on the number of classes."""
    about = getattr(network, "pretrained_cfg", None)
    if isinstance(about, dict):  # timm says which one it is
        return str(about["classifier"])
    with_weights: list[str] = [
        name for name, module in network.named_modules() if next(module.parameters(recurse=False), None) is not None
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
    if auxiliary and side_px < LEAST_SIDE_PX.get(name, 0):
        log.info("%s trains without its auxiliary head, which needs %d px", name, LEAST_SIDE_PX[name])
        auxiliary = False
    return torchvision_network(name, n_classes=n_classes, side_px=side_px, auxiliary=auxiliary)
