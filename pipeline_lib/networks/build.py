"""A network by its name: ours, or any that torchvision classifies with."""

from __future__ import annotations

import difflib
from typing import Any

import torch
from torch import nn

from pipeline_lib.errors import ConfigError
from pipeline_lib.networks.small import MiniResNet, lenet, small_cnn

OURS = {"mini_resnet": MiniResNet, "lenet": lenet, "small_cnn": small_cnn}


def build_network(name: str, *, n_classes: int, side_px: int) -> nn.Module:
    """Make a network with fresh weights from torch's current random state: float images_BCHW -> logits_BK.

    Raises ConfigError when no network has this name, or it cannot take pictures of this size.
    """
    network: nn.Module = (
        OURS[name](n_classes) if name in OURS else _torchvision(name, n_classes=n_classes, side_px=side_px)
    )
    network.eval()
    try:
        with torch.no_grad():
            logits_BK = network(torch.zeros(1, 3, side_px, side_px))
    except (RuntimeError, ValueError) as error:
        remedy = "raise train.side_px, or choose another train.network"
        raise ConfigError(
            f"{name} cannot take pictures of {side_px} px", file="params.yaml", value=error, remedy=remedy
        ) from error
    assert logits_BK.shape == (1, n_classes), logits_BK.shape
    return network.train()


def head_name(network: nn.Module) -> str:
    """The name of the last layer with weights: the one whose shape depends on the number of classes."""
    with_weights: list[str] = [
        name for name, module in network.named_modules() if next(module.parameters(recurse=False), None) is not None
    ]
    return with_weights[-1]


def _torchvision(name: str, *, n_classes: int, side_px: int) -> nn.Module:
    import torchvision.models as zoo  # seconds, so only where it is needed

    known = [*OURS, *zoo.list_models(module=zoo)]
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3, cutoff=0)
        remedy = (
            f"set train.network to one of {', '.join(OURS)} or a torchvision classifier; nearest: {', '.join(near)}"
        )
        raise ConfigError("train.network: no such network", file="params.yaml", value=name, remedy=remedy)
    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        options = {"aux_logits": False, "init_weights": True}  # the auxiliary heads return tuples while training
    if name.startswith("vit_"):
        options = {"image_size": side_px}
    if name == "maxvit_t":
        options = {"input_size": (side_px, side_px)}
    try:
        network: nn.Module = zoo.get_model(name, weights=None, num_classes=n_classes, **options)
    except ValueError as error:
        remedy = "choose another train.side_px (224 fits all of torchvision's networks)"
        raise ConfigError(
            f"{name} cannot take pictures of {side_px} px", file="params.yaml", value=error, remedy=remedy
        ) from error
    return network
