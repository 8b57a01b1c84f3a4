"""Different photographs in one pose are no copies; altered copies are."""

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps
from sklearn.datasets import load_sample_images

from pipeline_lib.curate.closer_look import likeness, view_pixels
from pipeline_lib.curate.linkage import complete_groups
from pipeline_lib.inspect.small_view import small_view

FLOWER = Image.fromarray(load_sample_images().images[1])


def seen(picture):
    return view_pixels(small_view(np.asarray(picture)))


def cropped(picture, share):
    width, height = picture.size
    left, top = round(width * share / 2), round(height * share / 2)
    return picture.crop((left, top, width - left, height - top))


def shirt(colour, seed):
    """The same silhouette on white, with folds of its own."""
    yy, xx = np.mgrid[:300, :240]
    folds = np.random.default_rng(seed).normal(0, 1, (15, 12))
    folds = np.asarray(Image.fromarray(folds.astype(np.float32)).resize((240, 300), Image.Resampling.BICUBIC))
    body = (np.abs(xx - 120) < 60) & (yy > 60) & (yy < 260) | (np.abs(yy - 100) < 30) & (np.abs(xx - 120) < 100)
    picture = np.full((300, 240, 3), 250.0)
    picture[body] = (np.array(colour) + 50 * folds[..., None])[body]
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "copy",
    [
        cropped(FLOWER, 0.05),
        cropped(FLOWER, 0.10),
        ImageOps.expand(FLOWER, 34, "white"),
        ImageOps.mirror(FLOWER),
        FLOWER.transpose(Image.Transpose.ROTATE_90),
        ImageEnhance.Brightness(FLOWER).enhance(1.2),
        ImageOps.grayscale(FLOWER).convert("RGB"),
    ],
    ids=["crop 5 %", "crop 10 %", "border", "mirror", "turned", "brighter", "grey"],
)
def test_an_altered_photograph_is_a_copy(copy):
    assert likeness(seen(FLOWER), seen(copy), turned=True).is_copy


def test_one_silhouette_in_another_colour_or_with_other_folds_is_no_copy():
    red = shirt((180, 40, 50), seed=0)

    assert likeness(seen(red), seen(red), turned=True).is_copy
    assert not likeness(seen(red), seen(shirt((40, 160, 170), seed=0)), turned=True).is_copy
    assert not likeness(seen(red), seen(shirt((180, 40, 50), seed=1)), turned=True).is_copy


def test_a_chain_of_pairs_is_no_group_and_the_likeliest_pair_is():
    near = np.array([[0, 1], [1, 2], [2, 3], [4, 5]])

    groups = complete_groups(
        7,
        equal=np.array([[5, 6]]),
        near=near,
        score=np.array([0.8, 0.9, 0.8, 0.8]),
        agree=lambda a, b: False,
    )

    assert [groups[0] == groups[1], groups[1] == groups[2], groups[2] == groups[3]] == [False, True, False]
    assert groups[4] == groups[5] == groups[6]


def test_a_group_whose_every_pair_agrees_is_joined_whole():
    asked = []

    groups = complete_groups(
        4,
        equal=np.empty((0, 2), np.int64),
        near=np.array([[0, 1], [1, 2], [2, 3]]),
        score=np.array([0.9, 0.9, 0.9]),
        agree=lambda a, b: asked.append((a, b)) or True,
    )

    assert len(set(groups)) == 1
    assert sorted(asked) == [(0, 2), (0, 3), (1, 3)]
