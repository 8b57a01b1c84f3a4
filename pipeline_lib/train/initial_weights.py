"""Where a network's starting weights come from: a file, torchvision's store, or a registered version."""

from __future__ import annotations

import hashlib
import logging
import urllib.error
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.loader import BatchLoader
from pipeline_lib.networks.build import auxiliary_heads, head_name
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.saved_weights import NAME, put_weights
from pipeline_lib.networks.speed_net import Whitening
from pipeline_lib.registry import open_registry
from pipeline_lib.stage import StageRun
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.params import REGISTERED, TORCHVISION, TrainParams
from pipeline_lib.train.recipes import Recipe
from pipeline_lib.train.schedule import learning_rate
from pipeline_lib.weight_files import read_weight_file

log = logging.getLogger(__name__)


def give_starting_weights(network: nn.Module, job: StageRun) -> dict[str, str] | None:
    """Give `network` the weights that train.weights names; returns them with their digest, for model.json.

    Raises SourceMissing when they cannot be had, ConfigError when they are others than weights_sha256 says or of
    another network, BadData when they are damaged.
    """
    params: TrainParams = job.params
    name = params.weights
    if name is None:
        return None
    if name.startswith(TORCHVISION):
        path, digest = _from_torchvision(name.removeprefix(TORCHVISION))
    elif name.startswith(REGISTERED):
        registry = open_registry(job.settings, job.checkout)
        path, digest = registry.export_folder(registry.version(name.removeprefix(REGISTERED))) / NAME, ""
    else:
        path, digest = job.settings.origin(job.checkout) / name, ""
    found = start_from(network, path, sha256=params.weights_sha256 or digest)
    where = {"weights": name} if name.startswith((TORCHVISION, REGISTERED)) else {}  # a path is a machine's own
    return {**where, "weights_sha256": found}


def torchvision_weights(name: str) -> tuple[Any, Path]:
    """A member of torchvision's enums by its name, and its place in torch's download cache (TORCH_HOME).

    Raises ConfigError when torchvision has none of this name.
    """
    import torch.hub
    import torchvision.models as zoo

    try:
        weights = zoo.get_weight(name)
    except (ValueError, AttributeError, KeyError) as error:
        remedy = "name it as torchvision does: torchvision:ResNet18_Weights.IMAGENET1K_V1"
        raise ConfigError(
            "train.weights: torchvision has no such weights", file="params.yaml", value=name, remedy=remedy
        ) from error
    return weights, Path(torch.hub.get_dir()) / "checkpoints" / weights.url.rpartition("/")[2]


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


log = logging.getLogger(__name__)
WHITENING_PICTURES = 5000


def prepare(
    model: Classifier,
    recipe: Recipe,
    *,
    objective: Objective,
    open_still: Callable[[], BatchLoader],
    device: torch.device,
    is_done: bool = False,
) -> Recipe:
    """Whiten and probe where network and recipe ask for it, in place; returns the recipe of what is left to train.

    is_done: the weights come from a checkpoint, and only the recipe is asked for. Processes that train together each
    do the same here, without a word to each other; DistributedDataParallel then begins with the weights of rank 0.
    open_still: opens the training pictures as evaluation sees them. A head that is no linear layer on pooled features
    (SqueezeNet's convolution) is left to the loop, which trains it with the pictures.
    """
    whitens = any(isinstance(module, Whitening) for module in model.network.modules())
    is_linear = isinstance(model.network.get_submodule(head_name(model.network)), nn.Linear)
    probes = bool(recipe.probe_epochs) and is_linear
    if (whitens or probes) and not is_done:
        with closing(open_still()) as loader:
            whiten(model, loader, device)
            if probes:
                train_head(model, recipe, objective=objective, loader=loader, device=device)
    return replace(recipe, probe_epochs=0) if probes else recipe


def train_head(
    model: Classifier, recipe: Recipe, *, objective: Objective, loader: BatchLoader, device: torch.device
) -> None:
    """Train the head alone, in place, on what the backbone says of each picture as evaluation sees it.

    A linear probe with AdamW; batches are drawn from torch's random state, nothing is augmented.
    """
    head = model.network.get_submodule(head_name(model.network))
    features_NF, targets_N, weights_N = _features(model, head, objective, loader, device)
    log.info("a head for %d pictures with %d features each", *features_NF.shape)
    optimiser = torch.optim.AdamW(head.parameters(), weight_decay=recipe.weight_decay)
    n_batches = max(1, len(targets_N) // recipe.batch_size)
    n_steps, loss = recipe.probe_epochs * n_batches, torch.zeros(())
    for step in range(n_steps):
        if step % n_batches == 0:
            order = torch.randperm(len(targets_N)).to(device).chunk(n_batches)
        rows_B = order[step % n_batches]
        rate = learning_rate(step, n_steps, peak=recipe.probe_learning_rate, schedule="cosine")
        for group in optimiser.param_groups:
            group["lr"] = rate
        losses_B = objective.losses(head(features_NF[rows_B]), targets_N[rows_B])
        loss = (losses_B * weights_N[rows_B]).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    log.info("the head alone: training loss %.4f after %d steps", float(loss.detach()), n_steps)


def _features(
    model: Classifier, head: nn.Module, objective: Objective, loader: BatchLoader, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """What enters the head, float32 [N, F], with target and weight of each picture, on the device."""
    seen: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().clone()))
    try:
        batches = (scored.batch for scored in score(model, loader, device))
        about = [(batch.labels_B, batch.weights_B, batch.positions_B) for batch in batches]  # without the pictures
    finally:
        hook.remove()
    labels_N, weights_N, positions_N = (torch.cat(parts).to(device) for parts in zip(*about, strict=True))
    return torch.cat(seen), objective.targets(labels_N, positions_N), weights_N


def whiten(model: Classifier, loader: BatchLoader, device: torch.device) -> None:
    """Give a network that begins with whitening its filters, from the first pictures of `loader`; else do nothing."""
    layers = [module for module in model.network.modules() if isinstance(module, Whitening)]
    pictures: list[Tensor] = []
    for batch in loader.epoch(0) if layers else ():
        pictures.append(model.normalised(batch.images_BHWC.to(device)))
        if sum(map(len, pictures)) >= WHITENING_PICTURES:
            break
    for layer in layers:
        layer.whiten(torch.cat(pictures))


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
