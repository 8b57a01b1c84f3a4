"""Where the evidence for a class lies: equal to the class activation map where that is known, and found in all families."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.class_map import (
    MOST_BEFORE,
    NoCells,
    NoSuchLayer,
    Shown,
    class_map,
    rank_correlations,
)

SIDE_PX = 32


def image(side_px: int = SIDE_PX) -> torch.Tensor:
    return torch.randn(1, 3, side_px, side_px, generator=torch.Generator().manual_seed(0))


def test_behind_a_mean_and_one_linear_layer_it_is_the_class_activation_map() -> None:
    """Zhou et al. 2016, arXiv 1512.04150: the weights of the class, here less the mean of all, over the channels."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(3, 6, 4, stride=4), nn.ReLU())
    head = nn.Linear(6, 3)
    network = nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), head).eval()

    found = class_map(network, image(), 2)

    weights_C = head.weight[2] - head.weight.mean(0)
    oracle_hw = torch.einsum("c,chw->hw", weights_C, layers(image())[0]).clamp(min=0)
    np.testing.assert_allclose(found.evidence_hw, (oracle_hw / oracle_hw.sum()).detach(), atol=1e-6)
    assert found.layer == "0"


def test_the_evidence_lies_where_the_class_is() -> None:
    """Two classes, red and blue, by the mean of these colours, and an image with a red corner."""
    colours = nn.Conv2d(3, 2, 1, bias=False)
    with torch.no_grad():
        colours.weight[:] = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]])[..., None, None]
    network = nn.Sequential(nn.AvgPool2d(4), colours, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.zeros(1, 3, SIDE_PX, SIDE_PX)
    images[0, 0, :8, :8] = 1

    red, blue = (class_map(network.eval(), images, label).evidence_hw for label in (0, 1))

    assert red.shape == (8, 8) and red[:2, :2].sum() == pytest.approx(1)
    assert not blue.any()  # nothing speaks for it


@pytest.mark.parametrize(
    ("make", "layer", "cells"),
    [
        (lambda: build_network("mini_resnet", n_classes=3, side_px=SIDE_PX), "block3", 8),
        (lambda: build_network("timm:test_efficientnet", n_classes=3, side_px=64), "bn2", 2),
        (
            lambda: VisionTransformer(
                img_size=SIDE_PX, patch_size=8, embed_dim=24, depth=2, num_heads=2, num_classes=3
            ),
            "blocks.1.norm1",
            4,
        ),
        (
            lambda: SwinTransformer(
                img_size=SIDE_PX,
                patch_size=4,
                window_size=4,
                embed_dim=12,
                depths=(1, 1),
                num_heads=(2, 2),
                num_classes=3,
            ),
            "layers.1.downsample",
            4,
        ),
        (lambda: build_network("swin_t", n_classes=3, side_px=SIDE_PX), "features.2", 4),
    ],
    ids=["ResNet", "EfficientNet", "ViT", "Swin", "Swin of torchvision"],
)
def test_each_family_is_read_at_its_last_cells_and_says_what_its_layers_saw(
    make: Callable[[], nn.Module], layer: str, cells: int
) -> None:
    torch.manual_seed(0)

    found = class_map(make().eval(), image(64 if layer == "bn2" else SIDE_PX), 1)

    assert (found.layer, found.evidence_hw.shape) == (layer, (cells, cells))
    assert found.evidence_hw.min() >= 0 and found.evidence_hw.sum() == pytest.approx(1, abs=1e-5)
    assert found.features[-1].layer == layer
    for one in found.features:
        assert len(one.maps_Chw) == len(one.channels)
        assert one.maps_Chw.min() >= 0 and one.maps_Chw.max() <= 1


def test_a_network_without_cells_is_refused() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE_PX * SIDE_PX, 3)).eval()

    with pytest.raises(NoCells, match="no layer with cells of an image"):
        class_map(network, image(), 0)
    assert MOST_BEFORE < SIDE_PX  # a batch of features is no row of tokens


def test_a_map_that_ignores_the_weights_is_found_out() -> None:
    """Compared with networks that were trained by nobody, and with itself."""

    def fresh() -> nn.Module:
        return build_network("mini_resnet", n_classes=3, side_px=SIDE_PX)

    def the_same() -> nn.Module:
        torch.manual_seed(99)
        return fresh()

    learnt = class_map(the_same().eval(), image(), 1).evidence_hw
    asked = [Shown(image(), 1, learnt), Shown(image(), 1, np.zeros_like(learnt))]

    assert rank_correlations(the_same, asked[:1]) == [pytest.approx(1)]
    before = torch.random.get_rng_state()
    with_fresh, of_nothing = rank_correlations(fresh, asked)
    assert abs(with_fresh) < 0.9
    assert of_nothing == 0
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_feature_maps_of_chosen_layers_are_shown_in_the_order_asked_for() -> None:
    torch.manual_seed(0)
    network = build_network("mini_resnet", n_classes=3, side_px=SIDE_PX).eval()

    found = class_map(network, image(), 1, layers=["block3", "block1"])

    assert [one.layer for one in found.features] == ["block3", "block1"]
    assert found.layer == "block3"
    with pytest.raises(NoSuchLayer, match="block9") as caught:
        class_map(network, image(), 1, layers=["block9"])
    assert {"block1", "block3"} <= set(caught.value.known)
