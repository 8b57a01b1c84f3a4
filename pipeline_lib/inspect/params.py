"""The `inspect` section of params.yaml."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from pipeline_lib.backbones import EFFICIENTNET_LITE0, builtin_backbone
from pipeline_lib.networks.weight_store import is_published
from pipeline_lib.pixels.rules import PixelRules

BY_SIZE: Final = "by_size"
# Short side. Photographs are told apart better by an embedding at any size measured, digits of 32 px by gradients:
# benchmarks/results/features_by_size.json, docs/backbones.md
EMBEDDED_FROM_PX: Final = 48


class InspectParams(PixelRules):
    """The pixel rules of the whole line, limits on an image's shape, and how features are computed."""

    min_side_px: int = Field(
        8,
        ge=1,
        le=10_000,
        description="minimum length of an image's shorter side, pixels; smaller images are refused as too_small. 8 "
        "px is the smallest scan that still shows a digit (those of scikit-learn), 32 px suits photographs",
    )
    aspect_quarantine: float = Field(
        10.0,
        ge=1,
        le=10_000,
        description="largest ratio of long to short side; images at or above it are refused",
    )
    embedding_weights: str | None = Field(
        BY_SIZE,
        description="weights of the network that computes the features. by_size: the built-in one for images with a "
        f"short side of {EMBEDDED_FROM_PX} px or more, gradients (HOG) for smaller ones; each kind is compared among "
        "its own. A network for images of every size: builtin:efficientnet_lite0, which set-up installs; torchvision:ENUM "
        "or timm:NAME, a classifier or a self-supervised vision transformer, fetched once; a local file (.safetensors, "
        ".pth) relative to the repository. null: gradients for all, good for digits and simple shapes, poor for "
        "photographs",
    )
    weights_sha256: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="sha256 of the file that embedding_weights names, as `sha256sum` prints it; with timm:NAME it pins "
        "what is fetched",
    )
    embedding_network: str = Field(
        "resnet50",
        min_length=1,
        description="network that the file belongs to which embedding_weights names: as torchvision calls it, or "
        "timm:NAME",
    )

    @model_validator(mode="after")
    def _weights_are_pinned(self) -> Self:
        named = self.embedding_weights
        if builtin_backbone(named):  # pinned by its name
            if self.weights_sha256:
                raise ValueError(
                    "weights_sha256 is for a file: leave it out beside built-in embedding_weights"
                )
        elif is_published(named):
            if "embedding_network" in self.model_fields_set:
                raise ValueError(f"{named} names its network: leave embedding_network out")
        elif (named in (BY_SIZE, None)) != (self.weights_sha256 is None):
            raise ValueError(
                "embedding_weights and weights_sha256 go together: name the file and what `sha256sum` prints for it "
                f"(by_size, null, {EFFICIENTNET_LITE0.ref}, torchvision:ENUM and timm:NAME need none)"
            )
        return self

    def pixel_rules(self) -> PixelRules:
        """The rules that every later stage applies too."""
        return PixelRules(**{name: getattr(self, name) for name in PixelRules.model_fields})


PARAMS = InspectParams
