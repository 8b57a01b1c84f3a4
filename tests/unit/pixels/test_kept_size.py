"""How large images are kept: the two limits, the two squares, and that nothing ever grows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline_lib.pixels import KeptSize, shrink_to
from pipeline_lib.pixels.kept_size import PADDING_GREY
from testing.images import photo

LIMITS = st.none() | st.integers(8, 300)
SHAPES = ("as_is", "square_crop", "square_pad")


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ({}, (400, 300)),
        ({"short_side_px": 100}, (133, 100)),
        ({"long_side_px": 100}, (100, 75)),
        ({"short_side_px": 150, "long_side_px": 160}, (160, 120)),
        ({"shape": "square_crop"}, (300, 300)),
        ({"shape": "square_crop", "long_side_px": 100}, (100, 100)),
        ({"shape": "square_crop", "short_side_px": 320}, (300, 300)),
        ({"shape": "square_pad"}, (400, 400)),
        ({"shape": "square_pad", "short_side_px": 320}, (320, 320)),
        ({"shape": "square_pad", "long_side_px": 100}, (100, 100)),
    ],
)
def test_an_image_of_400_by_300_is_kept_as_asked(
    rules: dict[str, Any], expected: tuple[int, int]
) -> None:
    size = KeptSize(**rules)

    assert size.of(400, 300) == expected
    assert size.of(300, 400) == expected[::-1]
    assert size.apply(photo(width=400, height=300)).shape == (expected[1], expected[0], 3)


@given(LIMITS, LIMITS, st.sampled_from(SHAPES), st.integers(1, 400), st.integers(1, 400))
def test_the_stated_size_is_that_of_the_pixels_and_no_side_grows_but_by_padding(
    short: int | None, long: int | None, shape: Any, width: int, height: int
) -> None:
    size = KeptSize(short_side_px=short, long_side_px=long, shape=shape)

    kept_height, kept_width = size.apply(np.zeros((height, width, 3), np.uint8)).shape[:2]

    assert (kept_width, kept_height) == size.of(width, height)
    assert max(kept_width, kept_height) <= min(max(width, height), long or 400)
    assert min(kept_width, kept_height) <= (short or 400)


def test_without_limits_the_same_array_comes_back() -> None:
    pixels = photo()

    assert KeptSize().apply(pixels) is pixels


def test_a_limit_shrinks_as_thumbnails_are_shrunk_once_and_antialiased() -> None:
    pixels = photo(width=400, height=300)

    assert np.array_equal(
        KeptSize(short_side_px=100).apply(pixels), shrink_to(pixels, short_side_px=100)
    )


def test_a_crop_is_cut_before_it_shrinks() -> None:
    pixels = photo(width=400, height=300)

    expected = Image.fromarray(pixels[:, 50:350]).resize((96, 96), Image.Resampling.BICUBIC)

    assert np.array_equal(
        KeptSize(shape="square_crop", long_side_px=96).apply(pixels), np.asarray(expected)
    )


def test_bars_are_grey_and_the_image_between_them_is_as_it_was() -> None:
    pixels = photo(width=41, height=30)

    padded = KeptSize(shape="square_pad").apply(pixels)

    assert np.array_equal(padded[5:35], pixels)
    assert (padded[:5] == PADDING_GREY).all()
    assert (padded[35:] == PADDING_GREY).all()
