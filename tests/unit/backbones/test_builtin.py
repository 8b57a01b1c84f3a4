"""The built-in backbone gives what timm's network gives with the same weights, without torch."""

from __future__ import annotations

import hashlib
import pickle
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from pipeline_lib.backbones import BUILTIN, builtin_backbone, open_builtin, weight_file
from pipeline_lib.backbones.builtin import BACKBONES, EFFICIENTNET_LITE0
from pipeline_lib.backbones.imagenet import imagenet_classes
from pipeline_lib.backbones.timm_names import timm_names
from pipeline_lib.backbones.torch_file import read_tensors
from pipeline_lib.errors import BadData, DependencyMissing
from pipeline_lib.train.initial_weights import read_weights, start_from
from testing.images import photo

LITE0 = EFFICIENTNET_LITE0
TIMM_NAME = LITE0.network.removeprefix("timm:")
VIEWS = np.stack([LITE0.view(photo(width=250, height=230, seed=seed)) for seed in range(33)])


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    """timm's network with the weights, as training starts from them."""
    network = timm.create_model(TIMM_NAME)
    start_from(network, read_weights(weight_file(LITE0), sha256=LITE0.sha256))
    return network.eval()


def test_features_and_probabilities_are_those_of_timms_network(network: Any) -> None:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (LITE0.mean, LITE0.std))
    images_BCHW = (torch.from_numpy(VIEWS[:4]).permute(0, 3, 1, 2) / 255 - mean) / std

    model = open_builtin(LITE0, threads=1)

    with torch.no_grad():
        features = network.forward_head(
            network.forward_features(images_BCHW), pre_logits=True
        ).numpy()
        probabilities = network(images_BCHW).softmax(1).numpy()
    assert features.shape == (4, LITE0.n_features)
    assert model.features(VIEWS[:4]) == pytest.approx(features, abs=1e-4)
    assert model.probabilities(VIEWS[:4]) == pytest.approx(probabilities, abs=1e-5)


def test_features_have_the_same_bits_in_batches_of_any_size_and_for_any_number_of_threads() -> None:
    one, two = open_builtin(LITE0, threads=1), open_builtin(LITE0, threads=2)

    alone = np.concatenate([one.features(VIEWS[i : i + 1]) for i in range(len(VIEWS))])

    for size in (8, 32):
        batched = np.concatenate(
            [one.features(VIEWS[i : i + size]) for i in range(0, len(VIEWS), size)]
        )
        assert np.array_equal(batched, alone)
    assert np.array_equal(two.features(VIEWS), alone)


def test_what_it_expects_of_an_image_is_what_timms_configuration_says() -> None:
    about = timm.get_pretrained_cfg(TIMM_NAME)
    assert about is not None

    assert (about.mean, about.std, about.crop_pct, about.interpolation) == (
        LITE0.mean,
        LITE0.std,
        LITE0.crop,
        "bicubic",
    )
    assert about.input_size == (3, LITE0.side_px, LITE0.side_px)
    assert about.license == LITE0.licence.lower()


def test_a_view_is_the_centre_of_the_resized_image() -> None:
    """timm resizes the short side to 256 px, then cuts 224 px: here one resize of the part that is cut does both."""
    pixels = photo(width=512, height=1024, seed=1)
    resized = Image.fromarray(pixels).resize((256, 512), Image.Resampling.BICUBIC)
    cut = np.asarray(resized.crop((16, 144, 240, 368)))

    seen = LITE0.view(pixels)

    inside = np.s_[4:-4, 4:-4]  # at the border timm's filter still sees what is cut away
    assert np.abs(seen[inside].astype(int) - cut[inside]).max() <= 1


@pytest.mark.parametrize(("width", "height"), [(1, 1), (8, 3000), (224, 224), (37, 19)])
def test_images_of_any_size_are_seen(width: int, height: int) -> None:
    assert (
        LITE0.view(np.full((height, width, 3), 200, np.uint8)).tolist()
        == np.full((224, 224, 3), 200).tolist()
    )


def test_the_file_is_read_as_torch_reads_it() -> None:
    expected = torch.load(weight_file(LITE0), weights_only=True)

    found = read_tensors(weight_file(LITE0))

    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], tensor.numpy()) for name, tensor in expected.items())


def test_every_tensor_has_a_name_of_timms() -> None:
    expected = timm.create_model(TIMM_NAME).state_dict()

    found = {new: tensor for tensor, new in timm_names(read_tensors(weight_file(LITE0))).items()}

    assert set(found) == set(expected)
    assert timm_names(["conv1.weight"]) == {"conv1.weight": "conv1.weight"}


def test_the_thousand_classes_are_those_that_torchvision_and_timm_know() -> None:
    from timm.data.imagenet_info import ImageNetInfo
    from torchvision.models._meta import _IMAGENET_CATEGORIES

    info: Any = ImageNetInfo("imagenet-1k")
    assert [name for _, name in imagenet_classes()] == _IMAGENET_CATEGORIES
    assert [class_id for class_id, _ in imagenet_classes()] == info.label_names()


# What is not there, or is not the one


def test_a_package_that_is_not_installed_is_named_with_what_installs_it() -> None:
    with pytest.raises(
        DependencyMissing,
        match=r"not installed \(found: no package no_such\)\. Remedy: run `make setup`",
    ):
        weight_file(replace(LITE0, package="no_such"))


def test_weights_that_are_not_the_pinned_ones_are_refused() -> None:
    found = hashlib.sha256(weight_file(LITE0).read_bytes()).hexdigest()

    with pytest.raises(BadData, match=rf"damaged or of another version \(found: {found}\)"):
        weight_file(replace(LITE0, sha256="0" * 64))


def test_a_name_is_built_in_or_refused_with_those_that_are() -> None:
    assert [builtin_backbone(BUILTIN + name) for name in BACKBONES] == list(BACKBONES.values())
    assert builtin_backbone(None) is None and builtin_backbone("weights.pth") is None
    with pytest.raises(
        ValueError, match="no such built-in backbone: name builtin:efficientnet_lite0"
    ):
        builtin_backbone("builtin:resnet")


class _Runs:
    def __reduce__(self) -> tuple[object, ...]:
        return print, ("run",)


@pytest.mark.parametrize(
    "content",
    [b"", b"no pickle", pickle.dumps(1) * 3 + pickle.dumps(_Runs()), pickle.dumps(1) * 5],
)
def test_a_file_of_another_kind_is_refused_and_no_code_in_it_runs(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.pth").write_bytes(content)

    with pytest.raises(BadData, match="not a state dict of torch.save"):
        read_tensors(tmp_path / "x.pth")
    assert capsys.readouterr().out == ""


def test_a_tensor_that_reaches_beyond_its_storage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save(
        OrderedDict(a=torch.arange(6.0).reshape(2, 3).T), path, _use_new_zipfile_serialization=False
    )
    whole = path.read_bytes()
    assert read_tensors(path)["a"].tolist() == [[0, 3], [1, 4], [2, 5]]

    path.write_bytes(whole[:-4])

    with pytest.raises(BadData, match="not a state dict of torch.save"):
        read_tensors(path)
