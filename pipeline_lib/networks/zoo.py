"""Networks of torchvision and timm by their names, with fresh weights."""

from __future__ import annotations

import difflib
from typing import Any

from torch import nn

from pipeline_lib.errors import ConfigError, DependencyMissing

TIMM = "timm:"
VIT_S = "vit_s_16"


def torchvision_network(name: str, *, n_classes: int, side_px: int, auxiliary: bool) -> nn.Module:
    """One of torchvision's classifiers. auxiliary: with the second heads that GoogLeNet and Inception train with.

    Raises ConfigError when the network cannot take pictures of this size.
    """
    import torchvision.models as zoo  # seconds, so only where it is needed

    options: dict[str, Any] = {}
    if name in ("googlenet", "inception_v3"):
        # transform_input: torchvision's weights were trained with other means; from scratch it is only another scale
        options = {"aux_logits": auxiliary, "init_weights": True, "transform_input": True}
    if name.startswith("vit_"):
        options = {"image_size": side_px}
    if name == "maxvit_t":
        options = {"input_size": (side_px, side_px)}
    try:
        if name == VIT_S:  # the sizes of DeiT (Touvron et al. 2021, arXiv 2012.12877, table 1), which torchvision lacks
            sizes = {"patch_size": 16, "num_layers": 12, "num_heads": 6, "hidden_dim": 384, "mlp_dim": 1536}
            return zoo.VisionTransformer(**sizes, **options, num_classes=n_classes)  # type: ignore[no-any-return]
        return zoo.get_model(name, weights=None, num_classes=n_classes, **options)  # type: ignore[no-any-return]
    except (ValueError, AssertionError) as error:  # torchvision asserts that a side is a whole number of patches
        remedy = "choose another train.side_px (224 fits all of torchvision's networks)"
        raise ConfigError(
            f"{name} cannot take pictures of {side_px} px", file="params.yaml", value=error, remedy=remedy
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
        remedy = "run `make setup WITH=timm`, or choose another train.network"
        raise DependencyMissing(
            "timm is not installed", file="params.yaml", value=TIMM + name, remedy=remedy
        ) from error
    if not timm.is_model(name):
        raise no_such_network(TIMM + name, known=[TIMM + other for other in timm.list_models()])
    about = timm.get_pretrained_cfg(name)
    options: dict[str, Any] = {"img_size": side_px} if about and about.fixed_input_size else {}
    return timm.create_model(name, pretrained=False, num_classes=n_classes, **options)


def no_such_network(name: str, *, known: list[str]) -> ConfigError:
    """The error for a name that is not among `known`, with the nearest that are."""
    near = ", ".join(difflib.get_close_matches(name, known, n=3, cutoff=0))
    remedy = f"set train.network to a name of docs/recipes.md; nearest: {near}"
    return ConfigError("train.network: no such network", file="params.yaml", value=name, remedy=remedy)
