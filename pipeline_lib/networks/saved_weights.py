"""The weights of a trained model in its folder, model.safetensors: saved, loaded, put into a network."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from pipeline_lib.errors import BadData
from pipeline_lib.files.atomic import atomic_file
from pipeline_lib.networks.build import auxiliary_heads

WEIGHTS_FILE = "model.safetensors"


def save_weights(network: nn.Module, folder: Path) -> None:
    """Write folder/model.safetensors: float32 on the CPU in rows, the same bytes for the same weights.

    Heads that only train are left out.
    """
    # Evaluation builds the network without these heads.
    training_only = tuple(f"{name}." for name in auxiliary_heads(network))
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith(training_only)
    }
    with atomic_file(folder / WEIGHTS_FILE) as file:
        file.write(save(state))


def load_weights(network: nn.Module, folder: Path) -> None:
    """Put folder/model.safetensors into the network it came from. Raises BadData when they do not fit."""
    path = folder / WEIGHTS_FILE
    try:
        put_weights(network, load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadData(
            "these weights do not fit the network of model.json",
            file=path,
            value=str(error)[:300],
            remedy="run `dvc repro train` again, or `dvc checkout` to restore it",
        ) from error


def put_weights(
    network: nn.Module, tensors: Mapping[str, torch.Tensor], *, strict: bool = True
) -> None:
    """`load_state_dict` of a plain dict, with the versions of modules that torchvision's MNASNet insists on."""
    # A plain dict has no metadata, and MNASNet takes that for an old version.
    state = OrderedDict(tensors)
    state._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    network.load_state_dict(state, strict=strict)
