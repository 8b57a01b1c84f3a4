"""Weights by a name that torchvision or timm give them: their file, fetched once, and where they come from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.backbones.builtin import builtin_backbone
from pipeline_lib.networks.timm_store import TIMM, fetched_from_hub, timm_weights
from pipeline_lib.networks.torchvision_store import (
    TORCHVISION,
    fetched,
    fetched_from,
    torchvision_weights,
)


@dataclass(frozen=True)
class PublishedFile:
    """path: of the weights. digest: how the sha256 begins that its name promises; "" where it promises none."""

    path: Path
    digest: str = ""


def is_published(name: str | None) -> bool:
    """Whether a name is one of torchvision's or timm's."""
    return name is not None and name.startswith((TORCHVISION, TIMM))


def published_file(name: str, *, named_in: str) -> PublishedFile:
    """Return the weights of a published name after fetching them if they are not in the cache.

    named_in: the parameter, for errors. Raises ConfigError for a name that is not known, SourceMissing when the weights
    cannot be fetched, BadData when what was fetched is damaged, DependencyMissing without timm.
    """
    if name.startswith(TORCHVISION):
        weights, path = torchvision_weights(name.removeprefix(TORCHVISION), named_in=named_in)
        return PublishedFile(path, fetched(weights, path, named_in=named_in))
    about = timm_weights(name.removeprefix(TIMM), named_in=named_in)
    return PublishedFile(
        fetched_from_hub(about, name) or fetched_from(about.url, named_in=named_in)
    )


def provenance(name: str) -> dict[str, str]:
    """licence and origin of built-in or published weights, as far as they are stated, for the record of a model."""
    if backbone := builtin_backbone(name):
        return {"licence": backbone.licence, "origin": backbone.origin}
    if name.startswith(TIMM):
        about = timm_weights(name.removeprefix(TIMM), named_in=name)
        return {"licence": about.license or "not stated", "origin": about.hf_hub_id or about.url}
    return {}
