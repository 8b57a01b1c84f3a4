"""Sizes are changed with antialiasing, always the same way."""

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.pixels import centre_square, shrink_to, view
from pipeline_lib.pixels.resize import reduce_whole
from testing.images import photo


@pytest.mark.parametrize(
    ("size", "expected"),
    [((400, 300), (133, 100)), ((300, 401), (100, 134)), ((1000, 100), (1000, 100))],
)
def test_the_short_side_is_as_asked_and_the_aspect_is_kept(
    size: tuple[int, int], expected: tuple[int, int]
) -> None:
    width, height = size

    shrunk = shrink_to(photo(width=width, height=height), short_side_px=100)

    assert (shrunk.shape[1], shrunk.shape[0]) == expected


def test_a_small_image_is_never_enlarged_by_shrinking() -> None:
    pixels = photo(width=60, height=50)

    assert np.array_equal(shrink_to(pixels, short_side_px=100), pixels)


def test_the_centre_square_of_a_large_image_is_its_middle() -> None:
    pixels = np.zeros((100, 300, 3), np.uint8)
    pixels[:, 100:200] = 200

    assert np.array_equal(centre_square(pixels, side_px=50), np.full((50, 50, 3), 200))


def test_a_centre_square_of_the_same_size_changes_no_pixel() -> None:
    pixels = photo(width=64, height=64)

    assert np.array_equal(centre_square(pixels, side_px=64), pixels)


def test_a_small_image_is_enlarged_to_the_square() -> None:
    assert centre_square(photo(width=9, height=8), side_px=32).shape == (32, 32, 3)


def test_one_pixel_stripes_shrink_to_an_even_grey_and_not_to_stripes() -> None:
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255

    shrunk = shrink_to(stripes, short_side_px=50).astype(int)

    assert np.abs(shrunk[5:-5, 5:-5] - 127.5).max() <= 3


def test_resizing_is_pillows_antialiased_bicubic() -> None:
    pixels = photo(width=400, height=300)

    expected = np.asarray(Image.fromarray(pixels).resize((200, 150), Image.Resampling.BICUBIC))

    assert np.array_equal(shrink_to(pixels, short_side_px=150), expected)


def test_what_a_network_sees_is_pillows_antialiased_bilinear_columns_first() -> None:
    pixels = photo(width=400, height=300)

    columns = Image.fromarray(pixels[:, 50:350]).resize((64, 300), Image.Resampling.BILINEAR)
    expected = np.asarray(columns.resize((64, 64), Image.Resampling.BILINEAR))

    assert np.array_equal(centre_square(pixels, side_px=64), expected)


def test_what_a_network_sees_is_pillows_own_resize_but_for_rounding() -> None:
    pixels = photo(width=300, height=400)

    expected = np.asarray(
        Image.fromarray(pixels).resize((100, 100), Image.Resampling.BILINEAR)
    ).astype(int)

    assert np.abs(view(pixels, side_px=100) - expected).max() <= 1


@pytest.mark.parametrize(
    ("width", "height", "factor"), [(1201, 1003, 3), (2000, 611, 1), (640, 2049, 2)]
)
def test_large_images_are_reduced_in_bands_to_what_pillow_makes_of_them_at_once(
    width: int, height: int, factor: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)

    reduced = reduce_whole(pixels, short_side_px=320)

    assert np.array_equal(reduced, np.asarray(Image.fromarray(pixels).reduce(factor)))
    assert min(reduced.shape[:2]) >= 320
