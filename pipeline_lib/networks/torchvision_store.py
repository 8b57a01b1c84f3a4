"""Weights that torchvision publishes: by the names of its enums, in torch's download cache (TORCH_HOME)."""

from __future__ import annotations

import logging
import urllib.error
from pathlib import Path
from typing import Any

from pipeline_lib.errors import BadData, ConfigError, SourceMissing

log = logging.getLogger(__name__)
TORCHVISION = "torchvision:"  # how such a name begins


def torchvision_weights(name: str, *, named_in: str) -> tuple[Any, Path]:
    """A member of torchvision's enums by its name, without the prefix, and its place in torch's download cache.

    named_in: the parameter or option, for errors. Raises ConfigError when torchvision has none of this name.
    """
    import torch.hub
    import torchvision.models as zoo

    try:
        weights = zoo.get_weight(name)
    except (ValueError, AttributeError, KeyError) as error:
        raise ConfigError(
            "torchvision has no such weights",
            file=named_in,
            value=name,
            remedy="name it as torchvision does: torchvision:ResNet18_Weights.IMAGENET1K_V1",
        ) from error
    file_name = weights.url.rpartition("/")[2]
    return weights, Path(torch.hub.get_dir()) / "checkpoints" / file_name


def fetched(weights: Any, path: Path, *, named_in: str) -> str:
    """Fetch the file of an enum's member if it is absent; return how its sha256 begins, as its name says.

    It goes into torch's own cache, so that other programs share it. Raises SourceMissing, BadData.
    """
    digest = path.stem.rpartition("-")[2]  # resnet18-f37072fd.pth: the first eight digits
    if not path.is_file():
        log.info("fetching %s into %s", path.name, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(weights.url, path, digest, named_in=named_in)
    return digest


def _fetch(url: str, path: Path, digest: str, *, named_in: str) -> None:
    import torch.hub

    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
    except (urllib.error.URLError, OSError) as error:
        raise SourceMissing(
            f"{named_in} cannot be fetched",
            file=path,
            value=error,
            remedy=f"check the network, or put {url} there by hand",
        ) from error
    except RuntimeError as error:  # torch's word for another digest than the name promises
        raise BadData(
            "what was fetched is damaged", file=path, value=error, remedy="run it again"
        ) from error
