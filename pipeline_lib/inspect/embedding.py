"""Embed photographs with the built-in backbone, or with a network whose weights the user names.

No download, no pickle. Always on the CPU, in one thread: on a GPU the last bits depend on the card.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.backbones import (
    Backbone,
    BuiltinModel,
    builtin_backbone,
    open_builtin,
    weight_file,
)
from pipeline_lib.errors import ConfigError
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.pixels import centre_square

if TYPE_CHECKING:
    import torch

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

    sha256: of the weights. libraries: those that make the bytes. view: pixels HWC -> what the network looks at.
    vectors: views -> pooled features_ND.
    """

    sha256: str
    libraries: tuple[str, ...]
    view: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
    vectors: Callable[[Sequence[NDArray[np.uint8]]], NDArray[np.float32]]


def embedding(params: InspectParams, weights: Path | None) -> Embedding | None:
    """Return the embedding that params name; None for HOG. weights: the path of the file that they name."""
    if backbone := builtin_backbone(params.embedding_weights):
        return Embedding(
            backbone.sha256,
            ("onnx", "onnxruntime"),
            backbone.view,
            functools.partial(_builtin, backbone),
        )
    if weights is None or params.weights_sha256 is None:
        return None
    embed = functools.partial(_by_torch, network=params.embedding_network, weights=weights)
    return Embedding(params.weights_sha256, ("torch", "torchvision"), view, embed)


def find_weights(params: InspectParams, origin: Path) -> Path | None:
    """Return the file that params name, checked; None for HOG. origin: the folder that its path is relative to.

    Raises ConfigError, and of built-in weights DependencyMissing and BadData.
    """
    if backbone := builtin_backbone(params.embedding_weights):
        return weight_file(backbone)
    if params.embedding_weights is None or params.weights_sha256 is None:
        return None
    path = origin / params.embedding_weights
    check_weights(path, params.weights_sha256)
    return path


def check_weights(path: Path, sha256: str) -> None:
    """Raise ConfigError if the weight file is missing or not the one that params.yaml pins."""
    if not path.is_file():
        remedy = "put the file there, or set inspect.embedding_weights to null"
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


def _builtin(backbone: Backbone, images: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    return _opened(backbone).features(np.stack(images))


@functools.cache
def _opened(backbone: Backbone) -> BuiltinModel:
    """Kept for the life of a worker."""
    return open_builtin(backbone, threads=1)


def _by_torch(
    images: Sequence[NDArray[np.uint8]], *, network: str, weights: Path
) -> NDArray[np.float32]:
    """Compute pooled features [N, D] of views from `view`: the network without its classifier."""
    import torch

    model = _load(network, weights)
    with torch.inference_mode():
        vectors_ND: NDArray[np.float32] = model(_normalised(images)).numpy()
    return vectors_ND


def view(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the network's input: the central square at SIDE_PX."""
    return centre_square(pixels_HWC, side_px=SIDE_PX)


def _normalised(images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    import torch

    images_BCHW = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
    return (images_BCHW - mean) / std


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
