"""Weights that torchvision and timm publish, by name: fetched once, into the caches that other programs share.

torch and timm take seconds to load, so they are imported where a name of theirs is used.
"""

from __future__ import annotations

import difflib
import logging
import urllib.error
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pipeline_lib.backbones.builtin import builtin_backbone
from pipeline_lib.errors import BadData, ConfigError, SourceMissing

log = logging.getLogger(__name__)

TORCHVISION: Final = "torchvision:"  # how the names begin in params.yaml
TIMM: Final = "timm:"
FILES_OF_TIMM: Final = (
    "model.safetensors",
    "pytorch_model.bin",
)  # in a repository, the first that is there


@dataclass(frozen=True)
class PublishedFile:
    """path: of the weights. digest: how the sha256 begins that its name promises; "" where it promises none."""

    path: Path
    digest: str = ""


def is_published(name: str | None) -> bool:
    """Whether a name is one of torchvision's or timm's."""
    return name is not None and name.startswith((TORCHVISION, TIMM))


def published_file(name: str, *, key: str) -> PublishedFile:
    """The weights of a published name, fetched if they are not in the cache.

    key: of params.yaml, for messages. Raises ConfigError for a name that is not known, SourceMissing when it cannot be
    fetched, BadData when what was fetched is damaged.
    """
    if name.startswith(TORCHVISION):
        return _of_torchvision(name.removeprefix(TORCHVISION), key=key)
    return _of_timm(name.removeprefix(TIMM), key=key)


def torchvision_weights(name: str, *, key: str = "train.weights") -> tuple[Any, Path]:
    """A member of torchvision's enums by its name, and its place in torch's download cache (TORCH_HOME).

    Raises ConfigError when torchvision has none of this name.
    """
    import torchvision.models as zoo

    try:
        weights = zoo.get_weight(name)
    except (ValueError, AttributeError, KeyError) as error:
        raise ConfigError(
            f"{key}: torchvision has no such weights",
            file="params.yaml",
            value=name,
            remedy="name it as torchvision does: torchvision:ResNet18_Weights.IMAGENET1K_V1",
        ) from error
    return weights, _torch_cache() / weights.url.rpartition("/")[2]


def timm_configuration(name: str, *, key: str) -> Any:
    """timm's PretrainedCfg of a network with published weights. Raises ConfigError when timm has none of this name."""
    import timm

    configuration = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if configuration is None or not configuration.has_weights:
        known = timm.list_pretrained()
        nearest = ", ".join(TIMM + one for one in difflib.get_close_matches(name, known, 3, 0))
        raise ConfigError(
            f"{key}: timm publishes no such weights",
            file="params.yaml",
            value=TIMM + name,
            remedy=f"name a network of timm's with weights; nearest: {nearest}",
        )
    return configuration


def provenance(name: str) -> dict[str, str]:
    """licence and origin of built-in or published weights, as far as they are stated, for the record of a model."""
    if backbone := builtin_backbone(name):
        return {"licence": backbone.licence, "origin": backbone.origin}
    if name.startswith(TIMM):
        said = timm_configuration(name.removeprefix(TIMM), key=name)
        return {"licence": said.license or "not stated", "origin": said.hf_hub_id or said.url}
    return {}


def _torch_cache() -> Path:
    import torch.hub

    return Path(torch.hub.get_dir()) / "checkpoints"


def _of_torchvision(name: str, *, key: str) -> PublishedFile:
    weights, path = torchvision_weights(name, key=key)
    digest = path.stem.rpartition("-")[2]  # resnet18-f37072fd.pth: the first eight digits
    _fetch(weights.url, path, digest, key=key)
    return PublishedFile(path, digest)


def _of_timm(name: str, *, key: str) -> PublishedFile:
    configuration = timm_configuration(name, key=key)
    if configuration.hf_hub_id:
        return PublishedFile(_from_hub(configuration.hf_hub_id, key=key))
    path = _torch_cache() / configuration.url.rpartition("/")[2]
    _fetch(configuration.url, path, "", key=key)
    return PublishedFile(path)


def _fetch(url: str, path: Path, digest: str, *, key: str) -> None:
    """Fetch a file that is not there. digest: how its sha256 has to begin."""
    import torch.hub

    if path.is_file():
        return
    log.info("fetching %s into %s", path.name, path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest or None, progress=False)
    except (urllib.error.URLError, OSError) as error:
        raise SourceMissing(
            f"{key} cannot be fetched",
            file=path,
            value=error,
            remedy=f"check the network, or put {url} there by hand",
        ) from error
    except RuntimeError as error:  # torch's word for another digest than the name promises
        raise BadData(
            "what was fetched is damaged",
            file=path,
            value=error,
            remedy="run the stage again",
        ) from error


def _from_hub(repository: str, *, key: str) -> Path:
    """The file in Hugging Face's cache (HF_HOME). One that is there is not asked for again: a name stays what it was."""
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    repository, _, revision = repository.partition("@")
    for name in FILES_OF_TIMM:
        cached = try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(cached, str):
            return Path(cached)
    log.info("fetching %s from the Hugging Face hub", repository)
    try:
        for name in FILES_OF_TIMM:
            try:
                return Path(hf_hub_download(repository, name, revision=revision or None))
            except EntryNotFoundError as error:
                if isinstance(error, LocalEntryNotFoundError) or name == FILES_OF_TIMM[-1]:
                    raise
    except (OSError, HfHubHTTPError) as error:
        raise SourceMissing(
            f"{key} cannot be fetched",
            file=repository,
            value=" ".join(str(error).split())[:200],
            remedy="check the network, or name a file that you fetched by hand, with its sha256 and network",
        ) from error
    raise AssertionError(repository)
