"""Embed photographs with a network whose weights the user names: no download, no pickle."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import ConfigError
from pipeline_lib.pixels import centre_square

if TYPE_CHECKING:
    import torch

SIDE_PX: Final = 224
MEAN: Final = (0.485, 0.456, 0.406)  # of ImageNet's training set, as every torchvision weight file expects
STD: Final = (0.229, 0.224, 0.225)


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
            "the weight file is not the one inspect.weights_sha256 names", file=path, value=found, remedy=remedy
        )


def embed(pictures: list[NDArray[np.uint8]], *, network: str, weights: Path) -> NDArray[np.float32]:
    """Compute pooled features [N, D] of views from `view`: the network without its classifier, in one CPU thread.

    Always on the CPU: on a GPU the last bits depend on the card, and outputs must not.
    """
    import torch

    model = _load(network, weights)
    with torch.inference_mode():
        vectors_ND: NDArray[np.float32] = model(_normalised(pictures)).numpy()
    return vectors_ND


def view(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the network's input: the central square at SIDE_PX."""
    return centre_square(pixels_HWC, side_px=SIDE_PX)


def _normalised(pictures: list[NDArray[np.uint8]]) -> torch.Tensor:
    import torch

    images_BCHW = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255
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
        raise ConfigError(f"not weights of {network}", file=weights, value=str(error)[:200], remedy=remedy) from error
    model.fc = torch.nn.Identity()
    return model.eval()
