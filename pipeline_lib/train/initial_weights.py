"""The weights that a network starts from: read from a file, torchvision's store or a registered version, once."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from pipeline_lib.backbones import builtin_backbone, weight_file
from pipeline_lib.backbones.timm_names import timm_names
from pipeline_lib.errors import ConfigError, SourceMissing
from pipeline_lib.files.weight_files import read_weight_file
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.build import auxiliary_heads, head_name
from pipeline_lib.networks.saved_weights import WEIGHTS_FILE, put_weights
from pipeline_lib.networks.weight_store import is_published, provenance, published_file
from pipeline_lib.registry import load_registry
from pipeline_lib.train.params import REGISTERED, TrainParams

log = logging.getLogger(__name__)
KEY = "train.weights"


@dataclass(frozen=True)
class StartingWeights:
    """Weights to start from, read once. file: where they lie; sha256: of that file, hex; tensors: its state dict.

    name: as train.weights spells it, where that means the same on every machine; "" for a path.
    """

    name: str
    file: Path
    sha256: str
    tensors: Mapping[str, Tensor]

    def as_record(self) -> dict[str, str]:
        """For model.json."""
        where = {"weights": self.name} if self.name else {}
        return {**where, "weights_sha256": self.sha256, **provenance(self.name)}


def read_starting_weights(job: StageRun[TrainParams]) -> StartingWeights | None:
    """Read the weights that train.weights names; None where it names none.

    Raises SourceMissing when they cannot be had, ConfigError when their digest is not weights_sha256, BadData when they
    are damaged.
    """
    params = job.params
    name = params.weights
    if name is None:
        return None
    # The package pins the file of a built-in backbone.
    if backbone := builtin_backbone(name):
        return read_weights(weight_file(backbone), sha256=backbone.sha256, name=name)
    # The name of torchvision's file holds the beginning of its digest; that of timm's holds none.
    if is_published(name):
        published = published_file(name, named_in=KEY)
        digest = params.weights_sha256 or published.digest or sha256_of(published.path)
        return read_weights(published.path, sha256=digest, name=name)
    if name.startswith(REGISTERED):
        registry = load_registry(job.settings, job.checkout)
        version = registry.version(name.removeprefix(REGISTERED))
        file = registry.export_folder(version) / WEIGHTS_FILE
        return read_weights(file, sha256=params.weights_sha256 or "", name=name)
    # A path is relative to the repository, also where a run works in a workspace of its own.
    file = job.settings.origin(job.checkout) / name
    return read_weights(file, sha256=params.weights_sha256 or "")


def read_weights(file: Path, *, sha256: str, name: str = "") -> StartingWeights:
    """Read a local .safetensors or .pth file. sha256: how its digest must begin; "" is refused with the digest found.

    name: as in StartingWeights. Raises SourceMissing, ConfigError when the digest differs, BadData for a damaged file.
    """
    if not file.is_file():
        raise SourceMissing(
            f"{KEY}: no such file", file=file, remedy="fix train.weights in params.yaml"
        )
    found = sha256_of(file)
    if not sha256 or not found.startswith(sha256):
        raise ConfigError(
            "train.weights_sha256 is of another file",
            file=file,
            value=found,
            remedy=f"if this is the file you mean, set train.weights_sha256 to {found}",
        )
    tensors = read_weight_file(file)
    # Some publishers' names are other ones than timm's for the same network.
    renamed = {new: tensors[own] for own, new in timm_names(tensors).items()}
    return StartingWeights(name=name, file=file, sha256=found, tensors=renamed)


def sha256_of(file: Path) -> str:
    """Return the digest of a file, in hex."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def start_from(network: nn.Module, weights: StartingWeights, *, is_trial: bool = False) -> None:
    """Give `network` these weights, in place.

    A linear head of another number of classes begins at zero (Kolesnikov et al. 2020, arXiv 1912.11370, appendix B):
    fresh weights would stay in all directions that few images do not show. Another head (SqueezeNet's, in front of a
    ReLU) keeps fresh ones. A log line says so, but for a trial. Raises ConfigError when the file is of another network.
    """
    # What has the same name and shape is taken.
    own = network.state_dict()
    fits = {
        name: tensor
        for name, tensor in weights.tensors.items()
        if _has_shape_of(own.get(name), tensor)
    }
    head = head_name(network)

    # Only heads may differ: the classifier, and those that only train.
    may_be_fresh = (f"{head}.", *(f"{name}." for name in auxiliary_heads(network)))
    left = [name for name in own if name not in fits]
    unexpected = [name for name in left if not name.startswith(may_be_fresh)]
    if unexpected:
        raise ConfigError(
            f"{len(unexpected)} of the network's {len(own)} tensors are not in this file or have another shape",
            file=weights.file,
            value=", ".join(unexpected[:3]),
            remedy="set train.network (and train.side_px) to the network these weights are of",
        )
    put_weights(network, fits, strict=False)

    # What became of the head, for the log.
    if is_trial:
        return
    is_fresh = any(name.startswith(f"{head}.") for name in left)
    fate = f"{head} kept"
    if is_fresh:
        n_outputs = next(len(tensor) for name, tensor in own.items() if name.startswith(f"{head}."))
        fate = f"{head} replaced by a fresh one with {n_outputs} outputs"
        if _is_zeroed(network.get_submodule(head)):
            fate += ", all zero"
    n_unused = len(weights.tensors) - len(fits)
    log.info(
        "starting from %s: %d tensors taken, %d unused, %s",
        weights.file.name,
        len(fits),
        n_unused,
        fate,
    )


def _has_shape_of(own: Tensor | None, tensor: Tensor) -> bool:
    return own is not None and own.shape == tensor.shape


def _is_zeroed(head: nn.Module) -> bool:
    """Set a linear head to zero, in place; leave another kind as it is."""
    if not isinstance(head, nn.Linear):
        return False
    for weight in head.parameters():
        nn.init.zeros_(weight)
    return True
