"""What is done to a finished view: torchvision as the oracle, arithmetic by hand where it has no such thing."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader import Augmentation
from pipeline_lib.loader.augmentation import Views, centre_views, draw_views
from pipeline_lib.loader.render import CUTOUT_GREY, apply_effects

SIDE = 48
UNCHANGED = centre_views(np.array([SIDE]), np.array([SIDE]))
NOISE = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
PHOTO = cv2.normalize(cv2.GaussianBlur(NOISE, (0, 0), 1.5), None, 0, 255, cv2.NORM_MINMAX)  # type: ignore[call-overload]
PHOTO_CHW = torch.from_numpy(PHOTO).permute(2, 0, 1).contiguous()


def changed(views: Views, image: Array = PHOTO) -> Array:
    image = image.copy()
    apply_effects(views, 0, image)
    return image


def hwc(image_CHW: torch.Tensor) -> Array:
    return image_CHW.permute(1, 2, 0).numpy().astype(int)


def warp(degrees: float, zoom: float, shear: float) -> dict[str, Any]:
    """These columns of Views, of one image."""
    return {
        "rotations_N": np.array([degrees]),
        "zooms_N": np.array([zoom]),
        "shears_N": np.array([shear]),
    }


WARPS = [
    (0, 0, 30, 1, 0),
    (0, 0, 0, 1.3, 0),
    (0, 0, 0, 0.7, 0),
    (0, 0, 0, 1, 20),
    (2, -3, -15, 1.2, -10),
]


@pytest.mark.parametrize(("down", "right", "degrees", "zoom", "shear"), WARPS)
def test_shift_rotation_zoom_and_shear_are_torchvisions_affine(
    down: int, right: int, degrees: float, zoom: float, shear: float
) -> None:
    """Inside: torchvision paints what comes in at the border, we repeat the edge."""
    options: dict[str, Any] = {
        "angle": degrees,
        "translate": [right, down],
        "scale": zoom,
        "shear": [shear, 0.0],
    }
    options |= {"interpolation": InterpolationMode.BILINEAR, "fill": [0.0]}
    expected = hwc(functional.affine(PHOTO_CHW, **options))
    inside = hwc(functional.affine(torch.full_like(PHOTO_CHW, 255), **options)) == 255

    views = replace(UNCHANGED, shifts_N2=np.array([[down, right]]), **warp(degrees, zoom, shear))

    difference = np.abs(changed(views) - expected)[inside]
    assert inside.mean() > 0.4
    assert difference.max() <= 2
    assert difference.mean() < 0.1


def test_what_a_warp_brings_in_at_the_border_repeats_the_edge() -> None:
    columns = np.repeat(np.arange(SIDE, dtype=np.uint8)[None, :, None], SIDE, axis=0).repeat(
        3, axis=2
    )

    smaller = changed(replace(UNCHANGED, **warp(0.0, 0.5, 0.0)), columns)

    assert (smaller[:, : SIDE // 4] == 0).all()
    assert (smaller[:, -SIDE // 4 :] == SIDE - 1).all()


def test_a_shift_alone_interpolates_nothing() -> None:
    padded = np.pad(NOISE, ((5, 5), (5, 5), (0, 0)), mode="edge")

    for down, right in np.ndindex(11, 11):
        moved = changed(replace(UNCHANGED, shifts_N2=np.array([[down - 5, right - 5]])), NOISE)
        assert np.array_equal(
            moved, padded[10 - down : 10 - down + SIDE, 10 - right : 10 - right + SIDE]
        )


def test_a_shift_beyond_the_view_leaves_its_corner() -> None:
    moved = changed(replace(UNCHANGED, shifts_N2=np.array([[-SIDE - 7, SIDE]])), NOISE)

    assert (moved == NOISE[-1, 0]).all()


@pytest.mark.parametrize("factor", [0.0, 0.5, 0.9, 1.4, 2.0])
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
def test_each_colour_is_torchvisions_but_for_rounding(name: str, factor: float) -> None:
    """torchvision rounds down, luma too, where we round to the nearest."""
    expected = hwc(getattr(functional, f"adjust_{name}")(PHOTO_CHW, factor))

    difference = np.abs(
        changed(replace(UNCHANGED, **dict[str, Any]({f"{name}_N": np.array([factor])}))) - expected
    )

    assert difference.max() <= 2
    assert difference.mean() <= 1


def test_colours_change_in_the_order_brightness_contrast_saturation() -> None:
    expected = functional.adjust_brightness(PHOTO_CHW, 1.6)
    expected = functional.adjust_saturation(functional.adjust_contrast(expected, 0.5), 1.4)

    factors: dict[str, Any] = {
        "brightness_N": np.array([1.6]),
        "contrast_N": np.array([0.5]),
        "saturation_N": np.array([1.4]),
    }
    difference = np.abs(changed(replace(UNCHANGED, **factors)) - hwc(expected))

    assert difference.max() <= 4
    assert difference.mean() < 2


def test_a_cutout_of_every_centre_hides_a_grey_square_that_may_lie_half_outside() -> None:
    """Exact: 8 x 8 centres of a 3 px square on 8 px; a corner is hidden by 4 of them, the middle by 9."""
    hidden = np.zeros((8, 8), int)
    for y, x in np.ndindex(8, 8):
        views = replace(
            UNCHANGED, cutouts_N2=np.array([[(y + 0.5) / 8, (x + 0.5) / 8]]), cutout_px=3
        )
        image = changed(views, np.zeros((8, 8, 3), np.uint8))
        assert set(np.unique(image)) == {0, CUTOUT_GREY}
        hidden += image[..., 0] == CUTOUT_GREY

    across = np.array([2, 3, 3, 3, 3, 3, 3, 2])
    assert (hidden == across[:, None] * across).all()


@pytest.mark.parametrize(
    "augmentation", [None, Augmentation(), Augmentation(scale_min=0.5, flip=True)]
)
def test_views_that_are_only_cut_and_mirrored_have_no_effects(
    augmentation: Augmentation | None,
) -> None:
    keys = np.arange(9, dtype=np.uint64)

    views = draw_views(augmentation, keys, np.full(9, SIDE), np.full(9, SIDE), seed=0, epoch=0)

    assert not views.has_effects
    assert np.array_equal(changed(views), PHOTO)


ONE_EFFECT: list[dict[str, Any]] = [
    {"shift_px": 1},
    {"rotation_deg": 5},
    {"zoom": 0.1},
    {"shear_deg": 5},
]
ONE_EFFECT += [{"brightness": 0.1}, {"contrast": 0.1}, {"saturation": 0.1}, {"cutout_px": 4}]


@pytest.mark.parametrize("only", ONE_EFFECT)
def test_each_effect_alone_is_noticed(only: dict[str, Any]) -> None:
    views = draw_views(
        Augmentation(**only),
        np.arange(9, dtype=np.uint64),
        np.full(9, SIDE),
        np.full(9, SIDE),
        seed=0,
        epoch=0,
    )

    assert views.has_effects
    assert not np.array_equal(changed(views), PHOTO)


def test_opencv_starts_no_threads_of_its_own_beside_ours() -> None:
    assert cv2.getNumThreads() == 1
