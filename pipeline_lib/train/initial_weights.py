"""The weights before the first epoch: from a file, torchvision or the registry; whitening filters; a probed head."""

from __future__ import annotations

import hashlib
import logging
import urllib.error
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_lib.backbones import builtin_backbone, weight_file
from pipeline_lib.backbones.timm_names import timm_names
from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.files.weight_files import read_weight_file
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import auxiliary_heads, head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.saved_weights import WEIGHTS_FILE, put_weights
from pipeline_lib.networks.speed_net import Whitening
from pipeline_lib.registry import load_registry
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.params import REGISTERED, TORCHVISION, TrainParams
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.schedule import learning_rate

log = logging.getLogger(__name__)
WHITENING_IMAGES = 5000


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
        backbone = builtin_backbone(self.name)
        licence = {"licence": backbone.licence, "origin": backbone.origin} if backbone else {}
        return {**where, "weights_sha256": self.sha256, **licence}


def read_starting_weights(job: StageRun[TrainParams]) -> StartingWeights | None:
    """Read the weights that train.weights names; None where it names none.

    Raises SourceMissing when they cannot be had, ConfigError when their digest is not weights_sha256, BadData when they
    are damaged.
    """
    params = job.params
    name = params.weights
    if name is None:
        return None
    if backbone := builtin_backbone(name):
        return read_weights(weight_file(backbone), sha256=backbone.sha256, name=name)
    if name.startswith(TORCHVISION):
        file, digest = _from_torchvision(name.removeprefix(TORCHVISION))
        return read_weights(file, sha256=params.weights_sha256 or digest, name=name)
    if name.startswith(REGISTERED):
        registry = load_registry(job.settings, job.checkout)
        version = registry.version(name.removeprefix(REGISTERED))
        file = registry.export_folder(version) / WEIGHTS_FILE
        return read_weights(file, sha256=params.weights_sha256 or "", name=name)
    file = job.settings.origin(job.checkout) / name
    return read_weights(file, sha256=params.weights_sha256 or "")


def read_weights(file: Path, *, sha256: str, name: str = "") -> StartingWeights:
    """Read a local .safetensors or .pth file. sha256: how its digest must begin; "" is refused with the digest found.

    name: as in StartingWeights. Raises SourceMissing, ConfigError when the digest differs, BadData for a damaged file.
    """
    if not file.is_file():
        raise SourceMissing("train.weights: no such file", file=file, remedy="fix train.weights in params.yaml")
    found = hashlib.sha256(file.read_bytes()).hexdigest()
    if not sha256 or not found.startswith(sha256):
        remedy = f"if this is the file you mean, set train.weights_sha256 to {found}"
        raise ConfigError("train.weights_sha256 is of another file", file=file, value=found, remedy=remedy)
    tensors = read_weight_file(file)
    renamed = {new: tensors[own] for own, new in timm_names(tensors).items()}
    return StartingWeights(name=name, file=file, sha256=found, tensors=renamed)


def start_from(network: nn.Module, weights: StartingWeights) -> None:
    """Give `network` these weights, in place.

    A linear head of another number of classes begins at zero (Kolesnikov et al. 2020, arXiv 1912.11370, appendix B):
    fresh weights would stay in all directions that few images do not show. Another head (SqueezeNet's, in front of a
    ReLU) keeps fresh ones. A log line says so. Raises ConfigError when the file is of another network.
    """
    own = network.state_dict()
    fits = {name: tensor for name, tensor in weights.tensors.items() if _has_shape_of(own.get(name), tensor)}
    head = head_name(network)

    # Only heads may differ: the classifier, and those that only train.
    may_be_fresh = (f"{head}.", *(f"{name}." for name in auxiliary_heads(network)))
    left = [name for name in own if name not in fits]
    unexpected = [name for name in left if not name.startswith(may_be_fresh)]
    if unexpected:
        what = f"{len(unexpected)} of the network's {len(own)} tensors are not in this file or have another shape"
        remedy = "set train.network (and train.side_px) to the network these weights are of"
        raise ConfigError(what, file=weights.file, value=", ".join(unexpected[:3]), remedy=remedy)
    put_weights(network, fits, strict=False)

    is_fresh = any(name.startswith(f"{head}.") for name in left)
    fate = f"{head} kept"
    if is_fresh:
        n_outputs = next(len(tensor) for name, tensor in own.items() if name.startswith(f"{head}."))
        fate = f"{head} replaced by a fresh one with {n_outputs} outputs"
        if _is_zeroed(network.get_submodule(head)):
            fate += ", all zero"
    n_unused = len(weights.tensors) - len(fits)
    log.info("starting from %s: %d tensors taken, %d unused, %s", weights.file.name, len(fits), n_unused, fate)


def _has_shape_of(own: Tensor | None, tensor: Tensor) -> bool:
    return own is not None and own.shape == tensor.shape


def _is_zeroed(head: nn.Module) -> bool:
    """Set a linear head to zero, in place; leave another kind as it is."""
    if not isinstance(head, nn.Linear):
        return False
    for weight in head.parameters():
        nn.init.zeros_(weight)
    return True


def torchvision_weights(name: str) -> tuple[Any, Path]:
    """A member of torchvision's enums by its name, and its place in torch's download cache (TORCH_HOME).

    Raises ConfigError when torchvision has none of this name.
    """
    import torch.hub
    import torchvision.models as zoo

    try:
        weights = zoo.get_weight(name)
    except (ValueError, AttributeError, KeyError) as error:
        what = "train.weights: torchvision has no such weights"
        remedy = "name it as torchvision does: torchvision:ResNet18_Weights.IMAGENET1K_V1"
        raise ConfigError(what, file="params.yaml", value=name, remedy=remedy) from error
    file_name = weights.url.rpartition("/")[2]
    return weights, Path(torch.hub.get_dir()) / "checkpoints" / file_name


def _from_torchvision(name: str) -> tuple[Path, str]:
    """The file, fetched when it is absent, and how its sha256 begins."""
    weights, path = torchvision_weights(name)
    digest = path.stem.rpartition("-")[2]  # resnet18-f37072fd.pth: the first eight digits
    if not path.is_file():
        log.info("fetching %s into %s", path.name, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        _fetch(weights.url, path, digest)
    return path, digest


def _fetch(url: str, path: Path, digest: str) -> None:
    import torch.hub

    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=digest, progress=False)
    except (urllib.error.URLError, OSError) as error:
        remedy = f"check the network, or put {url} there by hand"
        raise SourceMissing("train.weights cannot be fetched", file=path, value=error, remedy=remedy) from error
    except RuntimeError as error:  # torch's word for another digest than the name promises
        raise BadData("what was fetched is damaged", file=path, value=error, remedy="run the stage again") from error


def whiten_and_probe(
    model: Classifier,
    recipe: Recipe,
    *,
    objective: Objective,
    open_still: Callable[[], BatchLoader],
    device: torch.device,
    is_done: bool = False,
) -> Recipe:
    """Whiten and probe where network and recipe ask for it, in place; returns the recipe of what is left to train.

    is_done: the weights come from a checkpoint, and only the recipe is needed. Processes that train together each do
    the same here, without a message to each other; DistributedDataParallel then begins with the weights of rank 0.
    open_still: opens the training images as evaluation sees them. A head that is no linear layer on pooled features
    (SqueezeNet's convolution) is left to the loop, which trains it with the images.
    """
    whitens = any(isinstance(module, Whitening) for module in model.network.modules())
    head = model.network.get_submodule(head_name(model.network))
    probes = recipe.probe_epochs > 0 and isinstance(head, nn.Linear)
    if (whitens or probes) and not is_done:
        with closing(open_still()) as loader:
            whiten(model, loader, device)
            if probes:
                probe_head(model, recipe, objective=objective, loader=loader, device=device)
    return recipe.changed(probe_epochs=0) if probes else recipe


def whiten(model: Classifier, loader: BatchLoader, device: torch.device) -> None:
    """Give a network that begins with whitening its filters, from the first images of `loader`; else do nothing."""
    layers = [module for module in model.network.modules() if isinstance(module, Whitening)]
    if not layers:
        return
    images: list[Tensor] = []
    for batch in loader.epoch(0):
        images.append(model.normalised(batch.images_BHWC.to(device)))
        if sum(map(len, images)) >= WHITENING_IMAGES:
            break
    for layer in layers:
        layer.whiten(torch.cat(images))


def probe_head(
    model: Classifier, recipe: Recipe, *, objective: Objective, loader: BatchLoader, device: torch.device
) -> None:
    """Train the head alone, in place, on the backbone's features of each image as evaluation sees it.

    A linear probe with AdamW; batches are drawn from torch's random state, nothing is augmented.
    """
    head = model.network.get_submodule(head_name(model.network))
    features = _compute_features(model, head, objective, loader, device)
    log.info("a head for %d images with %d features each", *features.inputs_NF.shape)

    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=recipe.weight_decay)
    n_images = len(features.weights_N)
    n_batches = max(1, n_images // recipe.batch_size)
    n_steps = recipe.probe_epochs * n_batches
    loss = torch.zeros(())
    for step in range(n_steps):
        # A new order at the beginning of each epoch.
        if step % n_batches == 0:
            order = torch.randperm(n_images).to(device).chunk(n_batches)
        rows_B = order[step % n_batches]
        rate = learning_rate(step, n_steps, peak=recipe.probe_learning_rate, schedule="cosine")
        for group in optimiser.param_groups:
            group["lr"] = rate

        logits_BK = head(features.inputs_NF[rows_B])
        losses_B = objective.losses(logits_BK, features.targets_N[rows_B])
        loss = (losses_B * features.weights_N[rows_B]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    log.info("the head alone: training loss %.4f after %d steps", float(loss.detach()), n_steps)


@dataclass(frozen=True)
class _Features:
    """The head's inputs, float32 [N, F], with target and weight of each image, on the device."""

    inputs_NF: Tensor
    targets_N: Tensor
    weights_N: Tensor


def _compute_features(
    model: Classifier, head: nn.Module, objective: Objective, loader: BatchLoader, device: torch.device
) -> _Features:
    """Run the backbone once over all images of the loader."""
    inputs: list[Tensor] = []
    labels: list[Tensor] = []
    weights: list[Tensor] = []
    positions: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: inputs.append(given[0].float().clone()))
    try:
        for scored in score(model, loader, device):
            labels.append(scored.batch.labels_B)
            weights.append(scored.batch.weights_B)
            positions.append(scored.batch.positions_B)
    finally:
        hook.remove()
    labels_N = torch.cat(labels).to(device)
    positions_N = torch.cat(positions).to(device)
    return _Features(
        inputs_NF=torch.cat(inputs),
        targets_N=objective.targets(labels_N, positions_N),
        weights_N=torch.cat(weights).to(device),
    )
