"""Weights in files: to start from, to keep and to load again."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from pipeline_lib.atomic_files import atomic_file
from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.networks.build import head_name
from pipeline_lib.weight_files import read_weight_file

log = logging.getLogger(__name__)
NAME = "model.safetensors"


def save_weights(network: nn.Module, folder: Path) -> None:
    """Write folder/model.safetensors: float32 on the CPU in rows, the same bytes for the same weights."""
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()}
    with atomic_file(folder / NAME) as file:
        file.write(save(state))


def load_weights(network: nn.Module, folder: Path) -> None:
    """Put folder/model.safetensors into the network it came from. Raises BadData when they do not fit."""
    path, remedy = folder / NAME, "run `dvc repro train` again, or `dvc checkout` to restore it"
    try:
        network.load_state_dict(load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadData(
            "these weights do not fit the network of model.json", file=path, value=str(error)[:300], remedy=remedy
        ) from error


def start_from(network: nn.Module, path: Path, *, sha256: str) -> None:
    """Give `network` the weights of a local .safetensors or .pth file, checked against `sha256` (hex).

    The head keeps its fresh weights where the file has another number of classes, and a log line says so. Raises
    SourceMissing, ConfigError when the digest differs or the file is of another network, BadData when it is damaged.
    """
    if not path.is_file():
        raise SourceMissing("train.weights: no such file", file=path, remedy="mend train.weights in params.yaml")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        remedy = f"if this is the file you mean, set train.weights_sha256 to {found}"
        raise ConfigError("train.weights_sha256 is of another file", file=path, value=found, remedy=remedy)
    state, own, head = read_weight_file(path), network.state_dict(), head_name(network)
    fits = {name: tensor for name, tensor in state.items() if name in own and tensor.shape == own[name].shape}
    left = [name for name in own if name not in fits]
    strange = [name for name in left if name.rpartition(".")[0] != head]
    if strange:
        what = f"{len(strange)} of the network's {len(own)} tensors are not in this file or have another shape"
        raise ConfigError(
            what,
            file=path,
            value=", ".join(strange[:3]),
            remedy="set train.network to the network these weights are of",
        )
    network.load_state_dict(fits, strict=False)
    fate = f"{head} replaced by a fresh one with {own[left[0]].shape[0]} outputs" if left else f"{head} kept"
    log.info("starting from %s: %d tensors taken, %d unused, %s", path.name, len(fits), len(state) - len(fits), fate)
