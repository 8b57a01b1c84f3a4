"""Where a network's starting weights come from: a file, torchvision's store, or a registered version."""

from __future__ import annotations

import logging
import urllib.error
from pathlib import Path
from typing import Any

from torch import nn

from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.weights import NAME, start_from
from pipeline_lib.registry import open_registry
from pipeline_lib.train.params import REGISTERED, TORCHVISION, TrainParams

log = logging.getLogger(__name__)


def give_starting_weights(network: nn.Module, job: StageRun) -> dict[str, str] | None:
    """Give `network` the weights that train.weights names; returns them with their digest, for model.json.

    Raises SourceMissing when they cannot be had, ConfigError when they are others than weights_sha256 says or of
    another network, BadData when they are damaged.
    """
    params: TrainParams = job.params
    name = params.weights
    if name is None:
        return None
    if name.startswith(TORCHVISION):
        path, digest = _from_torchvision(name.removeprefix(TORCHVISION))
    elif name.startswith(REGISTERED):
        registry = open_registry(job.settings, job.checkout)
        path, digest = registry.export_folder(registry.version(name.removeprefix(REGISTERED))) / NAME, ""
    else:
        path, digest = job.settings.origin(job.checkout) / name, ""
    found = start_from(network, path, sha256=params.weights_sha256 or digest)
    where = {"weights": name} if name.startswith((TORCHVISION, REGISTERED)) else {}  # a path is a machine's own
    return {**where, "weights_sha256": found}


def torchvision_weights(name: str) -> tuple[Any, Path]:
    """A member of torchvision's enums by its name, and its place in torch's download cache (TORCH_HOME).

    Raises ConfigError when torchvision has none of this name.
    """
    import torch.hub
    import torchvision.models as zoo

    try:
        weights = zoo.get_weight(name)
    except (ValueError, AttributeError, KeyError) as error:
        remedy = "name it as torchvision does: torchvision:ResNet18_Weights.IMAGENET1K_V1"
        raise ConfigError(
            "train.weights: torchvision has no such weights", file="params.yaml", value=name, remedy=remedy
        ) from error
    return weights, Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]


def _from_torchvision(name: str) -> tuple[Path, str]:
    """The file, fetched when it is absent, and how its sha256 begins."""
    weights, path = torchvision_weights(name)
    digest = path.stem.rpartition("-")[2]  # resnet18-f37072fd.pth: the first eight digits
    if not path.is_file():
        log.info("fetching %s into %s", path.name, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(weights.url, path, digest)
    return path, digest


def _fetch(url: str, path: Path, digest: str) -> None:
    import torch.hub

    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
    except (urllib.error.URLError, OSError) as error:
        remedy = f"check the network, or put {url} there by hand"
        raise SourceMissing("train.weights cannot be fetched", file=path, value=error, remedy=remedy) from error
    except RuntimeError as error:  # torch's word for another digest than the name promises
        raise BadData("what was fetched is damaged", file=path, value=error, remedy="run the stage again") from error
