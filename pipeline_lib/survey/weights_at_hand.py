"""Weights that a training could start from: named on the command line, or lying in torch's download cache."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline_lib.backbones import builtin_backbone
from pipeline_lib.errors import ConfigError, PipelineError, SourceMissing
from pipeline_lib.harness.memo import digest
from pipeline_lib.networks.model_file import MODEL_FILE, read_model_file
from pipeline_lib.settings import Settings
from pipeline_lib.train.params import REGISTERED, TORCHVISION
from pipeline_lib.train.recipes import RECIPES

FINETUNE = RECIPES["finetune"]
TO_FETCH = "torchvision:ResNet18_Weights.IMAGENET1K_V1"
NAMED_BY_DIGEST = re.compile(
    r"(?P<network>\w+)-(?P<digest>[0-9a-f]{8})"
)  # as torch.hub names what it fetches


@dataclass(frozen=True)
class Weights:
    """What training could start from.

    name: as train.weights spells it. sha256: hex; "" where torchvision's file name pins what is still to be fetched.
    network: "" when neither name nor file tell. side_px: of the images it was trained on. where: for people.
    """

    name: str
    sha256: str
    network: str
    side_px: int
    where: str


@dataclass(frozen=True)
class AtHand:
    """The weights to choose, None without any; and a sentence for each file that cannot be used."""

    weights: Weights | None
    refused: tuple[str, ...] = ()


def named_weights(name: str, settings: Settings, *, root: Path, n_classes: int) -> AtHand:
    """The weights that a person names, as in train.weights. Nothing is fetched.

    root: the project. Raises SourceMissing when a file is not there, UsageError for a version that is not, ConfigError
    for a name that neither set-up nor torchvision knows or a file of another network, BadData for a file that is none.
    """
    try:
        backbone = builtin_backbone(name)
    except ValueError as error:
        raise ConfigError(
            "--weights cannot be used", file="--weights", value=name, remedy=str(error)
        ) from error
    if backbone:
        return AtHand(
            Weights(
                backbone.ref, "", backbone.network, backbone.side_px, "those that set-up installed"
            )
        )
    if name.startswith(TORCHVISION):
        return AtHand(_of_torchvision(name.removeprefix(TORCHVISION), n_classes))
    if name.startswith(REGISTERED):
        from pipeline_lib.registry import load_registry

        registry = load_registry(settings, root)
        version = registry.version(name.removeprefix(REGISTERED))
        file = registry.export_folder(version) / "model.safetensors"
        return AtHand(
            _of_a_file(
                file, f"{REGISTERED}{version.number}", f"version {version.number} of the registry"
            )
        )
    if not (root / name).is_file():
        remedy = f"name a .safetensors or .pth file that exists, {TO_FETCH} or registered:VERSION"
        raise SourceMissing("no such weight file", file=name, remedy=remedy)
    found = _of_a_file(root / name, name, name)
    try:
        _check(replace(found, network=found.network or FINETUNE.network), root / name, n_classes)
    except ConfigError:
        if found.network:
            raise
        what = f"{name} does not say which network it is of: set train.network in params.yaml before you train."
        return AtHand(found, (what,))
    return AtHand(replace(found, network=found.network or FINETUNE.network))


def cached_weights(n_classes: int) -> AtHand:
    """A torchvision classifier's weights in torch's cache (TORCH_HOME): of the recipe's network, else the smallest."""
    import torch.hub

    files = sorted((Path(torch.hub.get_dir()) / "checkpoints").glob("*.pth"), key=_choice)
    found = [(path, weights) for path in files if (weights := _by_its_name(path))]
    refused: list[str] = []
    for path, weights in found:
        try:
            _check(weights, path, n_classes)
        except PipelineError as error:
            refused.append(f"not used: {error}")
        else:
            return AtHand(weights, tuple(refused))
    return AtHand(None, tuple(refused))


def _choice(path: Path) -> tuple[bool, int, str]:
    return not path.name.startswith(f"{FINETUNE.network}-"), path.stat().st_size, path.name


def _by_its_name(path: Path) -> Weights | None:
    """The weights that torch fetched into its cache under this name; None for those of no classifier."""
    enum = {one.url.rpartition("/")[2]: (network, one) for network, one in _enums()}.get(path.name)
    if enum:
        network, one = enum
        return Weights(
            f"{TORCHVISION}{one}",
            digest(path),
            network,
            _side_px(one),
            f"{path.name} in torch's cache",
        )
    named = NAMED_BY_DIGEST.fullmatch(path.stem)
    if not named or named["network"] not in {network for network, _ in _enums()}:
        return None
    return Weights(
        str(path), digest(path), named["network"], FINETUNE.side_px, f"{path.name} in torch's cache"
    )


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
    from pipeline_lib.train.initial_weights import torchvision_weights

    enum, path = torchvision_weights(name)
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
