"""Weights that a training could start from: named on the command line, installed by set-up, or in torch's cache."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline_lib.backbones import BUILTIN, Backbone, builtin_backbone, weight_file
from pipeline_lib.backbones.builtin import EFFICIENTNET_LITE0
from pipeline_lib.errors import ConfigError, PipelineError, SourceMissing
from pipeline_lib.harness.memo import digest
from pipeline_lib.networks.model_file import MODEL_FILE, read_model_file
from pipeline_lib.networks.timm_store import TIMM, cached_in_hub, timm_weights
from pipeline_lib.networks.torchvision_store import TORCHVISION
from pipeline_lib.settings import Settings
from pipeline_lib.train.params import REGISTERED
from pipeline_lib.train.recipes import RECIPES

FINETUNE = RECIPES["finetune"]
TO_FETCH = "torchvision:ResNet18_Weights.IMAGENET1K_V1"
NAMED_BY_DIGEST = re.compile(
    r"(?P<network>\w+)-(?P<digest>[0-9a-f]{8})"
)  # as torch.hub names what it fetches
# Of the built-in network: top-1 on ImageNet as its authors publish it (tensorflow/tpu, models/official/efficientnet/lite),
# in per cent; multiplications and additions for an image of 224 px, in 10^9, as torchvision counts for its own networks.
BUILTIN_TOP_1, BUILTIN_OPERATIONS = 75.1, 0.407
# How many times these operations cached weights may cost before a person has to name them: without and with a GPU.
MOST_OPERATIONS, MOST_OPERATIONS_GPU = 2.0, 40.0
OTHERS_SHOWN = 3


@dataclass(frozen=True)
class Weights:
    """What training could start from.

    name: as train.weights spells it. sha256: hex; "" where the name pins the file. network: "" when neither name nor
    file tell. side_px: of the images it was trained on. where: for people. top_1: published accuracy on ImageNet, per
    cent; operations: of one image, in 10^9; both 0 where nobody publishes them for this file.
    """

    name: str
    sha256: str
    network: str
    side_px: int
    where: str
    top_1: float = 0.0
    operations: float = 0.0


@dataclass(frozen=True)
class WeightChoice:
    """weights: the ones to start from, None without any. notes: a sentence on each that was not chosen, with the reason."""

    weights: Weights | None
    notes: tuple[str, ...] = ()


def named_weights(name: str, settings: Settings, *, root: Path, n_classes: int) -> WeightChoice:
    """The weights that a person names, as in train.weights, or `builtin`. Nothing is fetched.

    root: the project. Raises SourceMissing when a file is not there, UsageError for a version that is not, ConfigError
    for a name that neither set-up nor torchvision knows or a file of another network, BadData for a file that is none.
    """
    try:
        ref = EFFICIENTNET_LITE0.ref if name == BUILTIN.removesuffix(":") else name
        backbone = builtin_backbone(ref)
    except ValueError as error:
        raise ConfigError(
            "--weights cannot be used", file="--weights", value=name, remedy=str(error)
        ) from error
    if backbone:
        weight_file(backbone)
        return WeightChoice(_of_set_up(backbone))
    if name.startswith(TORCHVISION):
        return WeightChoice(_of_torchvision(name.removeprefix(TORCHVISION), n_classes))
    if name.startswith(TIMM):
        about = timm_weights(name.removeprefix(TIMM), named_in="--weights")
        side_px = about.input_size[-1]
        return WeightChoice(
            Weights(name, "", name, side_px, "timm's, fetched once, before training")
        )
    if name.startswith(REGISTERED):
        from pipeline_lib.registry import load_registry

        registry = load_registry(settings, root)
        version = registry.version(name.removeprefix(REGISTERED))
        file = registry.export_folder(version) / "model.safetensors"
        return WeightChoice(
            _of_a_file(
                file, f"{REGISTERED}{version.number}", f"version {version.number} of the registry"
            )
        )
    if not (root / name).is_file():
        remedy = f"name a .safetensors or .pth file that exists, builtin, {TO_FETCH}, timm:NAME or registered:VERSION"
        raise SourceMissing("no such weight file", file=name, remedy=remedy)
    found = _of_a_file(root / name, name, name)
    try:
        _check(replace(found, network=found.network or FINETUNE.network), root / name, n_classes)
    except ConfigError:
        if found.network:
            raise
        what = f"{name} does not say which network it is of: set train.network in params.yaml before you train."
        return WeightChoice(found, (what,))
    return WeightChoice(replace(found, network=found.network or FINETUNE.network))


def choose_weights(settings: Settings, n_classes: int) -> WeightChoice:
    """The best weights that are on this machine and cost little: the built-in ones, or better ones in a cache.

    Better is what torchvision publishes a higher accuracy for. Other weights in torch's cache or the hub's, which come
    without figures, are taken only where there are no others. Nothing is fetched.
    """
    notes: list[str] = []
    usable: list[tuple[Weights, Path | None]] = []
    try:
        weight_file(EFFICIENTNET_LITE0)
        usable.append((_of_set_up(EFFICIENTNET_LITE0), None))
    except PipelineError as error:
        notes.append(f"not used: {error}.")
    cached = [*_cached_by_torch(), *_cached_by_timm()]
    bound = _most_operations(settings) if cached else 0.0
    usable += [(one, path) for one, path in cached if one.operations <= bound]
    usable.sort(
        key=lambda one: (-one[0].top_1, one[0].operations, one[0].network != FINETUNE.network)
    )
    others = [one for one, _ in cached]
    chosen = None
    for weights, path in usable:
        try:
            if path:
                weights = replace(weights, sha256=digest(path))
                _check(weights, path, n_classes)
        except PipelineError as error:
            notes.append(f"not used: {error}.")
            others = [one for one in others if one.where != weights.where]
        else:
            chosen = weights
            break
    others = [one for one in others if chosen is None or one.where != chosen.where]
    return WeightChoice(chosen, (*notes, *_on_others(others, chosen)))


def _most_operations(settings: Settings) -> float:
    """In 10^9, of one image of 224 px."""
    import torch

    has_gpu = settings.device != "cpu" and torch.cuda.is_available()
    return BUILTIN_OPERATIONS * (MOST_OPERATIONS_GPU if has_gpu else MOST_OPERATIONS)


def _on_others(others: list[Weights], chosen: Weights | None) -> Iterator[str]:
    """A sentence for each of the best other weights in the cache, none for published ones that are worse."""
    least = chosen.top_1 if chosen else 0.0
    better = [one for one in others if not one.top_1 or one.top_1 > least]
    for one in sorted(better, key=lambda one: -one.top_1)[:OTHERS_SHOWN]:
        times = one.operations / BUILTIN_OPERATIONS
        known = (
            f"{one.top_1:g} % on ImageNet, {times:.1f} times the operations of the built-in network"
        )
        what = known if one.top_1 else "no accuracy is published with them"
        yield f"not chosen: {one.where} ({what}); `--weights {one.name}` takes them."


def _of_set_up(backbone: Backbone) -> Weights:
    return Weights(
        backbone.ref,
        "",
        backbone.network,
        backbone.side_px,
        "which set-up installed",
        BUILTIN_TOP_1,
        BUILTIN_OPERATIONS,
    )


def _cached_by_timm() -> Iterator[tuple[Weights, Path]]:
    """Weights of timm's classifiers in the cache of the Hugging Face hub (HF_HOME), with their files."""
    for name, path in cached_in_hub():
        about = timm_weights(name, named_in="--weights")
        ref = f"{TIMM}{name}"
        yield Weights(ref, "", ref, about.input_size[-1], f"{ref} in the hub's cache"), path


def _cached_by_torch() -> Iterator[tuple[Weights, Path]]:
    """Weights of torchvision's classifiers in torch's cache (TORCH_HOME), with their files, the smallest first."""
    import torch.hub

    files = list((Path(torch.hub.get_dir()) / "checkpoints").glob("*.pth"))
    if not files:
        return
    published = {one.url.rpartition("/")[2]: (network, one) for network, one in _enums()}
    networks = {network for network, _ in published.values()}
    for path in sorted(files, key=lambda path: (path.stat().st_size, path.name)):
        where = f"{path.name} in torch's cache"
        named = NAMED_BY_DIGEST.fullmatch(path.stem)
        if path.name in published:
            network, enum = published[path.name]
            top_1 = enum.meta["_metrics"]["ImageNet-1K"]["acc@1"]
            operations = enum.meta["_ops"]
            name = f"{TORCHVISION}{enum}"
            yield Weights(name, "", network, _side_px(enum), where, top_1, operations), path
        elif named and named["network"] in networks:
            yield Weights(str(path), "", named["network"], FINETUNE.side_px, where), path


def _enums() -> list[tuple[str, Any]]:
    """(network, weights) for all that torchvision publishes, as far as they see colours as the recipe does."""
    import torchvision.models as zoo

    every = [
        (network, one)
        for network in zoo.list_models(module=zoo)
        for one in zoo.get_model_weights(network)
    ]
    return [
        (network, one) for network, one in every if tuple(one.transforms().mean) == FINETUNE.mean
    ]


def _side_px(enum: Any) -> int:
    return int(enum.transforms().crop_size[0])


def _of_torchvision(name: str, n_classes: int) -> Weights:
    from pipeline_lib.networks.torchvision_store import torchvision_weights

    enum, path = torchvision_weights(name, named_in="--weights")
    network = next((network for network, one in _enums() if one == enum), "")
    if not network:
        remedy = f"name others, such as {TO_FETCH}"
        what = "these weights see colours in another way than recipe finetune"
        raise ConfigError(what, file="--weights", value=name, remedy=remedy)
    if not path.is_file():
        return Weights(
            f"{TORCHVISION}{enum}",
            "",
            network,
            _side_px(enum),
            f"{path.name}, fetched when training starts",
        )
    found = Weights(
        f"{TORCHVISION}{enum}",
        digest(path),
        network,
        _side_px(enum),
        f"{path.name} in torch's cache",
    )
    _check(found, path, n_classes)
    return found


def _of_a_file(path: Path, name: str, where: str) -> Weights:
    """By model.json beside it, else by its name, as far as that begins with a network's (`resnet50.safetensors`)."""
    if (path.parent / MODEL_FILE).is_file():
        about = read_model_file(path.parent)
        return Weights(name, digest(path), about.network, about.side_px, where)
    networks = sorted({network for network, _ in _enums()}, key=len, reverse=True)
    network = next((one for one in networks if re.match(rf"{one}(?![a-z0-9])", path.name)), "")
    return Weights(name, digest(path), network, FINETUNE.side_px, where)


def _check(weights: Weights, path: Path, n_classes: int) -> None:
    """Load them once, so that what is damaged or of another network is told now and not after the data's work.

    Raises ConfigError, BadData.
    """
    from pipeline_lib.networks.build import build_network
    from pipeline_lib.train.initial_weights import read_weights, start_from

    named = NAMED_BY_DIGEST.fullmatch(path.stem)
    if named and not weights.sha256.startswith(named["digest"]):
        what, remedy = "the file is not the one that its name promises", "remove or rename it"
        raise ConfigError(what, file=path, value=f"sha256 {weights.sha256[:8]}...", remedy=remedy)
    network = build_network(
        weights.network, n_classes=max(2, n_classes), side_px=weights.side_px, auxiliary=True
    )
    start_from(network, read_weights(path, sha256=weights.sha256))
