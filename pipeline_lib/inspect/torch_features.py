"""Features by a network of torchvision or timm, in torch: the network without its classifier, on what it expects to see.

Side, crop, filter, mean and standard deviation come from the network's own configuration.
"""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ConfigError
from pipeline_lib.networks import timm_store, torchvision_store
from pipeline_lib.networks.timm_store import TIMM, timm_weights
from pipeline_lib.networks.torchvision_store import TORCHVISION, torchvision_weights
from pipeline_lib.pixels.network_view import NetworkInput

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger(__name__)

KEY: Final = "inspect.embedding_network"
# torchvision's weights of these were trained with other means than its transforms state; the networks undo it.
TRANSFORM_INPUT: Final = ("googlenet", "inception_v3")


@dataclass(frozen=True)
class Network:
    """name: torchvision's, or timm's with `timm:` in front. seen: what its weights were trained to see."""

    name: str
    seen: NetworkInput


def network_of(name: str, *, path: Path) -> Network:
    """The network of a published name or of a file, by the name that torchvision or timm give it.

    name: `torchvision:ENUM`, `timm:NAME`, or a network of torchvision's. path: of its weights, whose name tells
    torchvision's published files from others. Raises ConfigError for a name that is not known, or a view unlike ours.
    """
    if name.startswith(TIMM):
        about = timm_weights(name.removeprefix(TIMM), named_in=KEY)
        return Network(name, timm_store.input_of(about, name, named_in=KEY))
    import torchvision.models as zoo

    known = zoo.list_models(module=zoo)
    if name.startswith(TORCHVISION):
        enum, _ = torchvision_weights(name.removeprefix(TORCHVISION), named_in=KEY)
        of_enum = (one for one in known if zoo.get_model_weights(one) is type(enum))
        if network := next(of_enum, None):
            return Network(network, torchvision_store.input_of(enum))
    if name not in known:
        remedy = "name a classifier of torchvision's, such as resnet50, or timm:NAME"
        raise ConfigError(f"{KEY}: no such network", file="params.yaml", value=name, remedy=remedy)
    published: list[Any] = list(zoo.get_model_weights(name))
    of_file = (one for one in published if one.url.endswith(f"/{path.name}"))
    enum = next(of_file, None)
    if enum is None:
        enum = published[0]
        said = "%s: images are prepared as for %s, as its name is none of torchvision's"
        log.info(said, path.name, enum)
    return Network(name, torchvision_store.input_of(enum))


def features(
    pixels_HWC: NDArray[np.uint8], *, network: Network, weights: Path
) -> NDArray[np.float32]:
    """Pooled features_D, or a vision transformer's as timm pools them (class token or mean of the patches)."""
    import torch

    model = _loaded(network, weights)
    seen_HWC = torch.from_numpy(network.seen.view(pixels_HWC))
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (network.seen.mean, network.seen.std))
    image_CHW = (seen_HWC.permute(2, 0, 1).float() / 255 - mean) / std
    with torch.inference_mode():
        vector_D: NDArray[np.float32] = model(image_CHW[None]).flatten(1)[0].numpy()
    return vector_D


@functools.cache
def _loaded(network: Network, weights: Path) -> nn.Module:
    """The network without its classifier; kept for the life of a worker. Raises ConfigError, BadData."""
    import torch

    from pipeline_lib.files.weight_files import read_weight_file

    torch.set_num_threads(1)
    tensors = read_weight_file(weights)
    try:
        load = _timm_model if network.name.startswith(TIMM) else _torchvision_model
        return load(network, tensors).eval()
    except (RuntimeError, KeyError) as error:  # missing, unexpected or misshapen tensors
        remedy = f"set {KEY} to the network these weights belong to, or name another file"
        raise ConfigError(
            f"not weights of {network.name}", file=weights, value=str(error)[:200], remedy=remedy
        ) from error


def _timm_model(network: Network, tensors: dict[str, Any]) -> Any:
    import timm

    # timm renames tensors where the publisher's names differ from its own.
    given = {"state_dict": tensors, "file": None, "custom_load": False}
    model: Any = timm.create_model(
        network.name.removeprefix(TIMM), pretrained=True, pretrained_cfg_overlay=given
    )
    model.reset_classifier(0)
    return model


def _torchvision_model(network: Network, tensors: dict[str, Any]) -> nn.Module:
    import torch
    import torchvision.models as zoo

    options: dict[str, Any] = {}
    if network.name.startswith("vit_"):
        options = {"image_size": network.seen.view.side_px}
    if network.name in TRANSFORM_INPUT:
        options = {"transform_input": True, "init_weights": False}
    model: nn.Module = zoo.get_model(network.name, weights=None, **options)
    model.load_state_dict(tensors)
    # The classifier is the last module with weights of its own.
    named = [
        name
        for name, module in model.named_modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    owner, _, own_name = named[-1].rpartition(".")
    setattr(model.get_submodule(owner), own_name, torch.nn.Identity())
    return model
