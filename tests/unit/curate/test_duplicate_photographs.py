"""Different photographs in one pose are no copies; altered copies are."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_sample_images

from pipeline_lib.curate.duplicate_photographs import likeness, view_pixels
from pipeline_lib.curate.duplicates import complete_groups
from pipeline_lib.inspect.small_view import small_view

FLOWER = Image.fromarray(load_sample_images().images[1])


def seen(image: Image.Image) -> np.ndarray:
    view = small_view(np.asarray(image))
    assert view is not None
    return view_pixels(view)


def cropped(image: Image.Image, share: float) -> Image.Image:
    width, height = image.size
    left, top = round(width * share / 2), round(height * share / 2)
    return image.crop((left, top, width - left, height - top))


def shirt(colour: tuple[int, int, int], seed: int) -> Image.Image:
    """The same silhouette on white, with folds of its own."""
    yy, xx = np.mgrid[:300, :240]
    folds = np.random.default_rng(seed).normal(0, 1, (15, 12))
    folds = np.asarray(
        Image.fromarray(folds.astype(np.float32)).resize((240, 300), Image.Resampling.BICUBIC)
    )
    body = (np.abs(xx - 120) < 60) & (yy > 60) & (yy < 260) | (np.abs(yy - 100) < 30) & (
        np.abs(xx - 120) < 100
    )
    image = np.full((300, 240, 3), 250.0)
    image[body] = (np.array(colour) + 50 * folds[..., None])[body]
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


def captioned(image: Image.Image) -> Image.Image:
    """A strip of a tenth of the height over the lower edge."""
    copy = image.copy()
    copy.paste("white", (0, round(0.9 * copy.height), copy.width, copy.height))
    return copy


@pytest.mark.parametrize(
    "copy",
    [
        cropped(FLOWER, 0.05),
        cropped(FLOWER, 0.10),
        ImageOps.expand(FLOWER, 34, "white"),
        ImageOps.mirror(FLOWER),
        FLOWER.transpose(Image.Transpose.ROTATE_90),
        ImageEnhance.Brightness(FLOWER).enhance(1.3),
        ImageEnhance.Contrast(FLOWER).enhance(1.4),
        ImageOps.grayscale(FLOWER).convert("RGB"),
        captioned(FLOWER),
    ],
    ids=[
        "crop 5 %",
        "crop 10 %",
        "frame",
        "mirror",
        "turned",
        "brighter",
        "contrast",
        "grey",
        "caption",
    ],
)
def test_an_altered_photograph_is_a_copy(copy: Image.Image) -> None:
    assert likeness(seen(FLOWER), seen(copy), turned=True).is_copy


def test_a_frame_wider_one_way_than_the_other_is_seen_through() -> None:
    """The same pixels on each side are more of the height than of the width: no search over one scale fits."""
    temple = Image.fromarray(load_sample_images().images[0]).crop((0, 0, 640, 240))

    assert likeness(seen(temple), seen(ImageOps.expand(temple, 20, "white")), turned=True).is_copy


def test_one_silhouette_in_another_colour_or_with_other_folds_is_no_copy() -> None:
    red = shirt((180, 40, 50), seed=0)

    assert likeness(seen(red), seen(red), turned=True).is_copy
    assert not likeness(seen(red), seen(shirt((40, 160, 170), seed=0)), turned=True).is_copy
    assert not likeness(seen(red), seen(shirt((180, 40, 50), seed=1)), turned=True).is_copy


@pytest.mark.parametrize("share", [0.12, 0.16, 0.2])
def test_two_prints_on_one_blank_are_no_copies(share: float) -> None:
    """Nearly all of the two is equal to the pixel: what differs is one part."""
    blank, side = shirt((180, 160, 150), seed=0), round(240 * share)
    printed = []
    for left in (100, 420):
        motif = FLOWER.crop((left, 150, left + 120, 270)).resize((side, side))
        page = blank.copy()
        page.paste(motif, (120 - side // 2, 130 - side // 2))
        printed.append(seen(page))

    found = likeness(*printed, turned=True)

    assert found.texture > 0.75
    assert found.light > 0.95
    assert not found.is_copy
    assert found.is_question


def test_a_clipped_brightening_is_no_other_hue_and_another_hue_is_no_brightening() -> None:
    grey = np.asarray(ImageOps.grayscale(FLOWER), np.float64)
    tinted = [
        Image.fromarray((grey[..., None] * tint).clip(0, 255).astype(np.uint8))
        for tint in ((1, 0.6, 0.5), (0.5, 0.8, 0.9))
    ]
    brighter = ImageEnhance.Brightness(tinted[0]).enhance(1.6)

    assert (np.asarray(brighter)[..., 0] == 255).mean() > 0.05
    assert likeness(seen(tinted[0]), seen(brighter), turned=True).hue < 4
    assert likeness(seen(tinted[0]), seen(tinted[1]), turned=True).hue > 16


def test_a_chain_of_pairs_is_no_group_and_the_likeliest_pair_is() -> None:
    near = np.array([[0, 1], [1, 2], [2, 3], [4, 5]])

    groups = complete_groups(
        7,
        equal=np.array([[5, 6]]),
        near=near,
        score=np.array([0.8, 0.9, 0.8, 0.8]),
        agree=lambda a, b: False,
    )

    assert [groups[0] == groups[1], groups[1] == groups[2], groups[2] == groups[3]] == [
        False,
        True,
        False,
    ]
    assert groups[4] == groups[5] == groups[6]


def test_a_group_whose_every_pair_agrees_is_joined_whole() -> None:
    asked: list[tuple[int, int]] = []

    def agree(a: int, b: int) -> bool:
        asked.append((a, b))
        return True

    groups = complete_groups(
        4,
        equal=np.empty((0, 2), np.int64),
        near=np.array([[0, 1], [1, 2], [2, 3]]),
        score=np.array([0.9, 0.9, 0.9]),
        agree=agree,
    )

    assert len(set(groups)) == 1
    assert sorted(asked) == [(0, 2), (0, 3), (1, 3)]
