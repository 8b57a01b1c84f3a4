"""Weights in files: to start from, to keep and to load again."""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.files.atomic import atomic_file
from pipeline_lib.files.weight_files import read_weight_file
from pipeline_lib.networks.auxiliary import auxiliary_heads
from pipeline_lib.networks.build import head_name

log = logging.getLogger(__name__)
NAME = "model.safetensors"


def save_weights(network: nn.Module, folder: Path) -> None:
    """Write folder/model.safetensors: float32 on the CPU in rows, the same bytes for the same weights.

    Heads that only train are left out.
    """
    training_only = tuple(f"{name}." for name in auxiliary_heads(network))
    state = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in network.state_dict().items()
        if not name.startswith(training_only)
    }
    with atomic_file(folder / NAME) as file:
        file.write(save(state))


def load_weights(network: nn.Module, folder: Path) -> None:
    """Put folder/model.safetensors into the network it came from. Raises BadData when they do not fit."""
    path, remedy = folder / NAME, "run `dvc repro train` again, or `dvc checkout` to restore it"
    try:
        put_weights(network, load_file(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        raise BadData(
            "these weights do not fit the network of model.json", file=path, value=str(error)[:300], remedy=remedy
        ) from error


def put_weights(network: nn.Module, tensors: Mapping[str, torch.Tensor], *, strict: bool = True) -> None:
    """`load_state_dict` of a plain dict, with the versions of modules that torchvision's MNASNet insists on."""
    state = OrderedDict(tensors)
    state._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    network.load_state_dict(state, strict=strict)


def start_from(network: nn.Module, path: Path, *, sha256: str) -> str:
    """Give `network` the weights of a local .safetensors or .pth file; returns the file's sha256, hex.

    sha256: what the digest must begin with; "" is refused with the digest found. A linear head of another
    number of classes begins at zero (Kolesnikov et al. 2020, arXiv 1912.11370, appendix B): fresh weights would stay in
    all directions that few images do not show. Another head (SqueezeNet's, in front of a ReLU) keeps fresh ones. A log
    line says so. Raises SourceMissing, ConfigError when the digest differs or the file is of another network, BadData
    when it is damaged.
    """
    if not path.is_file():
        raise SourceMissing("train.weights: no such file", file=path, remedy="mend train.weights in params.yaml")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not sha256 or not found.startswith(sha256):
        remedy = f"if this is the file you mean, set train.weights_sha256 to {found}"
        raise ConfigError("train.weights_sha256 is of another file", file=path, value=found, remedy=remedy)
    state, own, head = read_weight_file(path), network.state_dict(), head_name(network)
    fits = {name: tensor for name, tensor in state.items() if name in own and tensor.shape == own[name].shape}
    left = [name for name in own if name not in fits]
    fresh = (f"{head}.", *(f"{name}." for name in auxiliary_heads(network)))
    strange = [name for name in left if not name.startswith(fresh)]
    if strange:
        what = f"{len(strange)} of the network's {len(own)} tensors are not in this file or have another shape"
        remedy = "set train.network (and train.side_px) to the network these weights are of"
        raise ConfigError(what, file=path, value=", ".join(strange[:3]), remedy=remedy)
    put_weights(network, fits, strict=False)
    is_fresh = any(name.startswith(f"{head}.") for name in left)
    is_zeroed = is_fresh and isinstance(network.get_submodule(head), nn.Linear)
    if is_zeroed:
        for weight in network.get_submodule(head).parameters():
            nn.init.zeros_(weight)
    n_outputs = next(len(tensor) for name, tensor in own.items() if name.startswith(f"{head}."))
    fate = f"{head} replaced by a fresh one with {n_outputs} outputs" if is_fresh else f"{head} kept"
    fate += ", all zero" if is_zeroed else ""
    log.info(
        "starting from %s: %d tensors taken, %d unused, %s",
        path.name,
        len(fits),
        len(state) - len(fits),
        fate,
    )
    return found
