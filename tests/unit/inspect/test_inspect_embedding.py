"""Which features describe an image: gradients, the built-in backbone's by its size, or those of a named weight file."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline_lib.backbones import open_builtin
from pipeline_lib.backbones.builtin import EFFICIENTNET_LITE0
from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.inspect import embedding
from pipeline_lib.inspect.feature_choice import choose_features
from pipeline_lib.inspect.params import EMBEDDED_FROM_PX, InspectParams
from pipeline_lib.inspect.torch_features import network_of
from testing.images import encoded, photo
from tests.unit.inspect.made_shards import features_of, inspect, make_source

IMAGES = {f"made/a/{seed}.png": photo(width=250, height=230, seed=seed) for seed in range(3)}


@pytest.fixture(scope="module")
def network() -> Any:
    """A ResNet-18 with random weights."""
    import torch
    import torchvision

    torch.manual_seed(0)
    return torchvision.models.resnet18(weights=None).eval()


@pytest.fixture(scope="module")
def weight_files(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights in both formats."""
    import torch
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp("weights")
    torch.save(network.state_dict(), folder / "weights.pth")
    save_file(network.state_dict(), folder / "weights.safetensors")
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_source(
        tmp_path, {name: encoded(pixels, "PNG") for name, pixels in IMAGES.items()}, per_shard=2
    )
    return tmp_path


def params_for(file: Path, **others: Any) -> InspectParams:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return InspectParams(
        embedding_weights=str(file),
        weights_sha256=digest,
        **{"embedding_network": "resnet18", **others},
    )


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_vectors_are_the_pooled_features_of_torchvisions_network(
    source: Path, weight_files: Path, network: Any, name: str
) -> None:
    import torch

    params = params_for(weight_files / name)

    features = features_of(inspect(source, params))

    view = network_of("resnet18", path=Path()).seen.view
    first = np.stack([view(pixels) for pixels in IMAGES.values()])
    images = torch.from_numpy(first).permute(0, 3, 1, 2) / 255
    images = (images - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).view(3, 1, 1)
    pooled = []
    handle = network.avgpool.register_forward_hook(
        lambda module, inputs, output: pooled.append(output.flatten(1))
    )
    with torch.inference_mode():
        network(images)
    handle.remove()
    assert np.stack(list(features.loc[list(IMAGES), "vector"])) == pytest.approx(
        pooled[0].numpy(), abs=1e-4
    )
    assert params.weights_sha256
    assert set(features["kind"]) == {f"embedding:{params.weights_sha256[:12]}"}


def test_weights_that_are_not_the_pinned_ones_are_refused_with_their_hash(
    source: Path, weight_files: Path
) -> None:
    file = weight_files / "weights.pth"
    params = InspectParams(embedding_weights=str(file), weights_sha256="0" * 64)
    found = hashlib.sha256(file.read_bytes()).hexdigest()

    message = rf"weights\.pth: the weight file is not the one inspect\.weights_sha256 names \(found: {found}\)\. Remedy: r"
    with pytest.raises(ConfigError, match=message):
        inspect(source, params)


def test_an_absent_weight_file_is_named(source: Path) -> None:
    params = InspectParams(embedding_weights="no/such.pth", weights_sha256="0" * 64)

    with pytest.raises(
        ConfigError,
        match=r"no/such\.pth: inspect\.embedding_weights: no such file\. Remedy: put the file there",
    ):
        inspect(source, params)


def test_weights_of_another_network_are_refused(source: Path, weight_files: Path) -> None:
    params = params_for(weight_files / "weights.pth", embedding_network="resnet34")

    with pytest.raises(
        ConfigError,
        match=r"weights\.pth: not weights of resnet34 \(found: .*\)\. Remedy: set inspect\.embedding_network",
    ):
        inspect(source, params)


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_a_file_that_holds_no_weights_is_refused_and_never_executed(
    source: Path, tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_bytes(b"\x80\x04cos\nsystem\n(S'exit 1'\ntR.")

    with pytest.raises(
        BadData,
        match=rf"{name}: not a weight file that can be read safely \(found: .*Remedy: name a \.safe",
    ):
        inspect(source, params_for(tmp_path / name))


# The built-in backbone

BUILTIN = {"embedding_weights": EFFICIENTNET_LITE0.ref}
BUILTIN_KIND = f"embedding:{EFFICIENTNET_LITE0.sha256[:12]}"
NOT_INSTALLED = replace(EFFICIENTNET_LITE0, package="no_such")


def test_by_default_the_backbone_describes_large_images_and_gradients_small_ones(
    tmp_path: Path,
) -> None:
    limit = EMBEDDED_FROM_PX
    sizes = {
        "small": (limit - 1, 300),
        "large": (limit, 300),
        "tiny": (32, 32),
        "photo": (400, 300),
    }
    files = {
        f"made/a/{name}.png": encoded(photo(width=width, height=height), "PNG")
        for name, (width, height) in sizes.items()
    }
    make_source(tmp_path, files)

    kinds = features_of(inspect(tmp_path))["kind"]
    all_embedded = features_of(inspect(tmp_path, InspectParams(**BUILTIN), out="named"))["kind"]

    assert kinds.to_dict() == {
        "made/a/small.png": "hog",
        "made/a/large.png": BUILTIN_KIND,
        "made/a/tiny.png": "hog",
        "made/a/photo.png": BUILTIN_KIND,
    }
    assert set(all_embedded) == {BUILTIN_KIND}


def test_without_the_package_all_images_are_described_by_gradients_which_a_line_says_and_no_memo_keeps(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(embedding, "EFFICIENTNET_LITE0", NOT_INSTALLED)
        without = features_of(inspect(source, out="without"))
    with_it = features_of(inspect(source, out="with"))

    assert set(without["kind"]) == {"hog"}
    assert [record.message for record in caplog.records if "features:" in record.message] == [
        "features: gradients for all images, since the package no-such is not installed; photographs would gain from "
        "it: `make setup`, then `dvc repro --force inspect`"
    ]
    assert set(with_it["kind"]) == {BUILTIN_KIND}


@pytest.mark.parametrize(
    ("short_side_px", "chosen", "said"),
    [
        (
            400,
            EFFICIENTNET_LITE0.ref,
            "embedding by builtin:efficientnet_lite0, as the median short side is 400 px",
        ),
        (EMBEDDED_FROM_PX, EFFICIENTNET_LITE0.ref, "embedding by "),
        (
            EMBEDDED_FROM_PX - 1,
            None,
            "gradients, as the median short side is 47 px; for small photographs set builtin:eff",
        ),
        (None, "by_size", "by the size of each image, as none could"),
    ],
)
def test_the_features_of_a_whole_set_are_chosen_by_its_median_size(
    short_side_px: int | None, chosen: str | None, said: str
) -> None:
    choice = choose_features(short_side_px)

    assert choice.embedding_weights == chosen
    assert f"{choice.meaning}, as {choice.why}".startswith(said)


def test_the_built_in_backbone_describes_images_without_torch_and_the_table_says_which_weights_did(
    source: Path,
) -> None:
    params = InspectParams(**BUILTIN)

    features = features_of(inspect(source, params))

    views = np.stack([EFFICIENTNET_LITE0.view(pixels) for pixels in IMAGES.values()])
    expected = open_builtin(EFFICIENTNET_LITE0, threads=1).features(views)
    assert np.array_equal(np.stack(list(features.loc[list(IMAGES), "vector"])), expected)
    assert set(features["kind"]) == {BUILTIN_KIND}


def test_what_is_remembered_of_a_shard_is_told_apart_by_what_describes_its_images(
    source: Path, weight_files: Path
) -> None:
    """One state folder for all: nothing of one setting is brought back for another."""
    settings: dict[str, Callable[[], InspectParams]] = {
        "gradients": lambda: InspectParams(embedding_weights=None),
        "builtin": lambda: InspectParams(**BUILTIN),
        "file": lambda: params_for(weight_files / "weights.pth"),
    }

    kinds = {
        name: set(features_of(inspect(source, params(), out=name))["kind"])
        for name, params in settings.items()
    }

    assert len({frozenset(kind) for kind in kinds.values()}) == 3, kinds


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({**BUILTIN, "weights_sha256": "0" * 64}, "weights_sha256 is for a file: leave it out"),
        (
            {"embedding_weights": "builtin:resnet"},
            "no such built-in backbone: name builtin:efficientnet_lite0",
        ),
        (
            {"embedding_weights": "builtn:efficientnet_lite0"},
            "go together: .*by_size, null, builtin:efficientnet_lite0, torchvision:ENUM and timm:NAME need none",
        ),
    ],
)
def test_a_built_in_name_is_pinned_by_itself_and_must_be_one(
    wrong: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        InspectParams(**wrong)
