"""Every network takes images of the recipe's size and ends in a head of the right width."""

import sys

import pytest
import torch

from pipeline_lib.errors import ConfigError, DependencyMissing
from pipeline_lib.networks.build import OURS, build_network, head_name
from pipeline_lib.networks.classifier import Calibrated, Classifier


def _count(name: str) -> int:
    return sum(
        weight.numel() for weight in build_network(name, n_classes=10, side_px=32).parameters()
    )


def test_mini_resnet_has_the_78_thousand_parameters_of_its_docstring() -> None:
    assert _count("mini_resnet") == 78_042


def test_lenet_has_the_layers_of_1998_with_three_colours() -> None:
    """conv 5x5 3->6 and 6->16, then 400-120-84-10: 456 + 2416 + 48120 + 10164 + 850."""
    assert _count("lenet") == 62_006


def test_small_cnn_ends_in_4096_features() -> None:
    network = build_network("small_cnn", n_classes=10, side_px=32)

    assert network.get_submodule(head_name(network)).in_features == 4096


@pytest.mark.parametrize(
    "name", [*OURS, "resnet18", "squeezenet1_1", "shufflenet_v2_x0_5", "mobilenet_v3_small"]
)
def test_the_head_is_the_only_layer_that_depends_on_the_number_of_classes(name: str) -> None:
    seven, nine = (build_network(name, n_classes=n, side_px=64).state_dict() for n in (7, 9))

    differing = {key.rpartition(".")[0] for key in seven if seven[key].shape != nine[key].shape}

    assert differing == {head_name(build_network(name, n_classes=7, side_px=64))}


def test_blurring_before_striding_adds_no_weights_and_softens_shifts() -> None:
    """Zhang's claim: an image moved by one pixel changes the answer less."""
    torch.manual_seed(0)
    plain = build_network("resnet18", n_classes=3, side_px=64).eval()
    blurred = build_network("resnet18+blur", n_classes=3, side_px=64).eval()
    blurred.load_state_dict(plain.state_dict())
    x_BCHW = torch.randn(8, 3, 64, 64)

    def change(network: torch.nn.Module) -> float:
        with torch.no_grad():
            logits_BK, moved_BK = network(x_BCHW), network(x_BCHW.roll(1, dims=3))
        return float((moved_BK - logits_BK).norm() / logits_BK.std(0).norm())

    assert change(blurred) < 0.7 * change(plain)


def test_an_unknown_network_of_timm_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(
        ConfigError, match="no such network .found: timm:resnet81.*nearest: timm:resnet"
    ):
        build_network("timm:resnet81", n_classes=3, side_px=32)


def test_without_timm_its_networks_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)

    with pytest.raises(
        DependencyMissing, match=r"timm is not installed .found: timm:resnet18.*make setup"
    ):
        build_network("timm:resnet18", n_classes=3, side_px=32)


def test_a_side_that_is_no_whole_number_of_patches_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="vit_s_16 cannot take images of 40 px.*choose another train.side_px"
    ):
        build_network("vit_s_16", n_classes=3, side_px=40)


def test_an_unknown_network_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(
        ConfigError,
        match=r"params.yaml: train.network: no such network \(found: resnet81\).*resnet18",
    ):
        build_network("resnet81", n_classes=3, side_px=32)


def test_a_network_that_cannot_take_so_small_an_image_says_so_before_training() -> None:
    with pytest.raises(
        ConfigError, match="squeezenet1_1 cannot take images of 16 px.*raise train.side_px"
    ):
        build_network("squeezenet1_1", n_classes=3, side_px=16)


def test_the_classifier_normalises_raw_pixels_as_torchvision_does() -> None:
    """Oracle: torchvision's to_tensor order and Normalize, on a network that hands its input back."""
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    images_BHWC = torch.randint(0, 256, (2, 5, 5, 3), dtype=torch.uint8)

    found = Classifier(torch.nn.Identity(), mean=mean, std=std)(images_BHWC)

    from torchvision.transforms.v2.functional import normalize, to_dtype

    expected = normalize(
        to_dtype(images_BHWC.permute(0, 3, 1, 2), torch.float32, scale=True), list(mean), list(std)
    )
    torch.testing.assert_close(found, expected)


def test_calibrated_probabilities_are_the_softmax_of_the_logits_over_the_temperature() -> None:
    classifier = Classifier(
        build_network("lenet", n_classes=3, side_px=32), mean=(0.5,) * 3, std=(0.5,) * 3
    ).eval()
    images_BHWC = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)

    found = Calibrated(classifier, temperature=2.0)(images_BHWC)

    torch.testing.assert_close(found, torch.softmax(classifier(images_BHWC) / 2, 1))
