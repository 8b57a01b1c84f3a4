"""train.weights: torchvision's store with its cache, and a registered version; files are in tests/unit/networks."""

import hashlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision.models as zoo
from safetensors.torch import save_file

from pipeline_lib.backbones import weight_file
from pipeline_lib.backbones.builtin import EFFICIENTNET_LITE0
from pipeline_lib.backbones.torch_file import read_tensors
from pipeline_lib.errors import BadData, ConfigError, SourceMissing
from pipeline_lib.networks import weight_store
from pipeline_lib.networks.build import build_network, normalisation
from pipeline_lib.train.initial_weights import read_starting_weights, start_from
from pipeline_lib.train.params import TrainParams
from testing.small_line import SmallLine

NAME = "torchvision:SqueezeNet1_1_Weights.IMAGENET1K_V1"


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A download of torchvision's, served from a file, into an empty cache."""
    torch.manual_seed(1)
    path = tmp_path / "w.pth"
    torch.save(build_network("squeezenet1_1", n_classes=1000, side_px=32).state_dict(), path)
    served = path.rename(tmp_path / f"squeezenet1_1-{_sha256(path)[:8]}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(zoo.SqueezeNet1_1_Weights.IMAGENET1K_V1.value, "url", served.as_uri())
    return served


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_torchvisions_weights_are_fetched_once_and_named_with_their_digest(
    small_line: SmallLine, store: Path
) -> None:
    network = build_network("squeezenet1_1", n_classes=3, side_px=32)
    job, digest = small_line.train(small_line.folder, weights=NAME), _sha256(store)

    first = read_starting_weights(job)
    store.unlink()
    second = read_starting_weights(job)

    assert first is not None and second is not None
    start_from(network, second)
    assert first.as_record() == second.as_record() == {"weights": NAME, "weights_sha256": digest}


def test_a_cached_file_that_is_not_what_its_name_says_is_refused(
    small_line: SmallLine, store: Path, tmp_path: Path
) -> None:
    cached = tmp_path / "home/hub/checkpoints" / store.name
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"torn")

    with pytest.raises(ConfigError, match="train.weights_sha256 is of another file"):
        read_starting_weights(small_line.train(tmp_path, weights=NAME))


def test_a_damaged_download_is_refused(small_line: SmallLine, store: Path) -> None:
    store.write_bytes(b"torn")

    with pytest.raises(BadData, match="what was fetched is damaged .*Remedy: run it again"):
        read_starting_weights(small_line.train(store.parent, weights=NAME))


def test_without_a_network_the_address_and_the_place_are_named(
    small_line: SmallLine, store: Path
) -> None:
    store.unlink()

    with pytest.raises(
        SourceMissing,
        match=r"home/hub/checkpoints/\S+: train.weights cannot be fetched .*or put file:",
    ):
        read_starting_weights(small_line.train(store.parent, weights=NAME))


@pytest.mark.parametrize("name", ["ResNet18", "ResNet18_Weights.V9", "Res.V1"])
def test_a_name_that_torchvision_does_not_know_is_refused(
    small_line: SmallLine, tmp_path: Path, name: str
) -> None:
    with pytest.raises(
        ConfigError, match="torchvision has no such weights .*ResNet18_Weights.IMAGENET1K_V1"
    ):
        read_starting_weights(small_line.train(tmp_path, weights=f"torchvision:{name}"))


def test_timms_weights_bring_their_network_and_licence_along(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How they are fetched: tests/unit/inspect/test_published_backbones.py."""
    name, file = "timm:test_vit.r160_in1k", tmp_path / "model.safetensors"
    save_file(build_network(name, n_classes=1000, side_px=160).state_dict(), file)
    monkeypatch.setattr(weight_store, "fetched_from_hub", lambda about, ref: file)
    params = TrainParams(recipe="finetune", weights=name, side_px=160)
    network = build_network(params.network, n_classes=3, side_px=params.side_px)

    weights = read_starting_weights(small_line.train(tmp_path, weights=name, recipe="finetune"))

    assert params.network == name
    assert weights is not None
    start_from(network, weights)
    assert weights.as_record() == {
        "weights": name,
        "weights_sha256": _sha256(file),
        "licence": "apache-2.0",
        "origin": "timm/test_vit.r160_in1k",
    }


def test_a_registered_version_is_built_upon(
    small_line: SmallLine, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry itself has tests of its own; here it only says where version 3 lies."""

    class OneVersion:
        def version(self, ref: str) -> str:
            return {"3": "third"}[ref]

        def export_folder(self, version: str) -> Path:
            return shutil.copytree(trained / "weights", tmp_path / version, dirs_exist_ok=True)

    monkeypatch.setattr(
        "pipeline_lib.train.initial_weights.load_registry", lambda settings, checkout: OneVersion()
    )
    network = build_network("mini_resnet", n_classes=3, side_px=32)
    digest = _sha256(trained / "weights/model.safetensors")
    job = small_line.train(tmp_path, weights="registered:3", weights_sha256=digest)

    weights = read_starting_weights(job)

    assert weights is not None
    start_from(network, weights)
    assert weights.as_record() == {"weights": "registered:3", "weights_sha256": digest}


def test_a_network_from_scratch_has_no_parent(small_line: SmallLine, tmp_path: Path) -> None:
    assert read_starting_weights(small_line.train(tmp_path)) is None


def test_the_built_in_weights_are_named_with_digest_and_licence_and_only_the_head_is_fresh(
    small_line: SmallLine,
) -> None:
    params: dict[str, Any] = {"recipe": "finetune", "weights": EFFICIENTNET_LITE0.ref}
    job = small_line.train(small_line.folder, **params)
    network: Any = build_network(job.params.network, n_classes=3, side_px=32)

    weights = read_starting_weights(job)

    assert weights is not None and weights.as_record() == {
        "weights": "builtin:efficientnet_lite0",
        "weights_sha256": EFFICIENTNET_LITE0.sha256,
        "licence": "Apache-2.0",
        "origin": EFFICIENTNET_LITE0.origin,
    }
    start_from(network, weights)
    stem = read_tensors(weight_file(EFFICIENTNET_LITE0))["_conv_stem.weight"]
    assert np.array_equal(network.conv_stem.weight.detach(), stem)
    assert not network.classifier.weight.any()
    assert normalisation(network) == (EFFICIENTNET_LITE0.mean, EFFICIENTNET_LITE0.std)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"network": "resnet18"},
            "goes with network timm:tf_efficientnet_lite0: leave network out",
        ),
        (
            {"weights_sha256": "0" * 64},
            "weights_sha256 is for a file: leave it out beside builtin:efficientnet_lite0",
        ),
        (
            {"weights": "builtin:resnet"},
            "no such built-in backbone: name builtin:efficientnet_lite0",
        ),
    ],
)
def test_built_in_weights_bring_network_and_digest_along(wrong: dict[str, str], said: str) -> None:
    assert TrainParams(weights=EFFICIENTNET_LITE0.ref).network == EFFICIENTNET_LITE0.network
    with pytest.raises(ValueError, match=said):
        TrainParams(**{"weights": EFFICIENTNET_LITE0.ref, **wrong})
