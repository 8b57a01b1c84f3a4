"""Weights that torchvision publishes: by the names of its enums, in torch's download cache (TORCH_HOME)."""

from __future__ import annotations

import logging
import urllib.error
from pathlib import Path
from typing import Any

from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.files.atomic import translate_full_disk
from pipeline_lib.pixels.network_view import RESAMPLING, NetworkInput, NetworkView

log = logging.getLogger(__name__)
TORCHVISION = "torchvision:"  # how such a name begins


def torchvision_weights(name: str, *, named_in: str) -> tuple[Any, Path]:
    """A member of torchvision's enums by its name, without the prefix, and its place in torch's download cache.

    named_in: the parameter or option, for errors. Raises ConfigError when torchvision has none of this name.
    """
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
    return weights, _cached(weights.url)


def input_of(weights: Any) -> NetworkInput:
    """What an enum's member was trained to see, as its transforms say."""
    rules = weights.transforms()
    side_px, resized_px = rules.crop_size[0], rules.resize_size[0]
    resampling = RESAMPLING[rules.interpolation.value]
    view = NetworkView(side_px, side_px / resized_px, resampling=resampling)
    return NetworkInput(view, tuple(rules.mean), tuple(rules.std))


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


def fetched_from(url: str, *, named_in: str) -> Path:
    """Return the file of another publisher's address, in torch's cache too. Raises SourceMissing."""
    path = _cached(url)
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(url, path, "", named_in=named_in)
    return path


def _cached(url: str) -> Path:
    import torch.hub

    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def _fetch(url: str, path: Path, digest: str, *, named_in: str) -> None:
    import torch.hub

    try:
        with translate_full_disk(path):
            torch.hub.download_url_to_file(
                url, str(path), hash_prefix=digest or None, progress=False
            )
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
