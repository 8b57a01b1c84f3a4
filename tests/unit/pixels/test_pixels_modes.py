"""Every colour mode becomes RGB by a fixed rule; the oracle is numpy arithmetic or Pillow."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.pixels import decode
from testing.images import RULES, encoded, grey_jpeg_with_sampling, photo, pillow_pixels


def test_lossless_rgb_comes_back_as_it_went_in() -> None:
    pixels = photo()

    for kind in ("PNG", "BMP", "TIFF"):
        assert np.array_equal(decode(encoded(pixels, kind), RULES).pixels_HWC, pixels)
    assert np.array_equal(decode(encoded(pixels, "WEBP", lossless=True), RULES).pixels_HWC, pixels)


def test_grey_becomes_three_equal_channels() -> None:
    grey = photo()[..., 0]

    decoded = decode(encoded(grey, "PNG"), RULES)

    assert decoded.mode == "L"
    assert np.array_equal(decoded.pixels_HWC, np.repeat(grey[..., None], 3, axis=2))


def test_one_bit_becomes_black_and_white() -> None:
    dots = photo()[..., 0] > 128

    decoded = decode(encoded(Image.fromarray(dots), "PNG"), RULES)

    assert decoded.mode == "1"
    assert np.array_equal(decoded.pixels_HWC[..., 1], dots * 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_16_bit_grey_keeps_its_brightness_where_pillow_saturates_to_white(kind: str) -> None:
    wide = photo()[..., 0].astype(np.uint16) * 257 - 100 * (photo()[..., 0] > 0)

    decoded = decode(encoded(Image.fromarray(wide.astype(np.uint16)), kind), RULES)

    assert decoded.mode == "I;16"
    assert abs(decoded.pixels_HWC.mean() - wide.mean() / 257) <= 1


def test_8_bits_scaled_by_257_come_back_exactly() -> None:
    grey = photo()[..., 0]

    decoded = decode(encoded(Image.fromarray(grey.astype(np.uint16) * 257), "PNG"), RULES)

    assert np.array_equal(decoded.pixels_HWC[..., 0], grey)


def test_alpha_is_laid_over_white() -> None:
    colour, alpha = photo().astype(int), photo(seed=1)[..., :1].astype(int)
    expected = (colour * alpha + 255 * (255 - alpha)) / 255

    decoded = decode(
        encoded(np.concatenate([colour, alpha], axis=2).astype(np.uint8), "PNG"), RULES
    )

    assert decoded.mode == "RGBA"
    assert np.abs(decoded.pixels_HWC - expected).max() <= 1


def test_grey_with_alpha_is_laid_over_white() -> None:
    data = encoded(Image.new("LA", (16, 16), (0, 0)), "PNG")

    assert np.array_equal(decode(data, RULES).pixels_HWC, np.full((16, 16, 3), 255))


def test_a_transparent_palette_entry_is_white_and_the_others_keep_their_colour() -> None:
    image = Image.new("P", (16, 8), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (8, 0, 16, 8))

    pixels = decode(encoded(image, "PNG", transparency=0), RULES).pixels_HWC

    assert (pixels[:, :8] == 255).all()
    assert (pixels[:, 8:] == (200, 100, 50)).all()


def test_cmyk_is_ink_on_white_paper() -> None:
    inks = Image.fromarray(photo()).convert("CMYK")

    decoded = decode(encoded(inks, "TIFF"), RULES)

    c, m, y, k = (np.asarray(inks).astype(int)[..., channel] for channel in range(4))
    expected = np.stack([(255 - ink) * (255 - k) / 255 for ink in (c, m, y)], axis=2)
    assert decoded.mode == "CMYK"
    assert np.abs(decoded.pixels_HWC - expected).max() <= 1


def test_cmyk_jpeg_agrees_with_pillow() -> None:
    data = encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG", quality=90)

    decoded = decode(data, RULES)

    assert decoded.mode == "CMYK"
    assert np.abs(decoded.pixels_HWC - pillow_pixels(data)).max() <= 1


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}]
)
def test_jpeg_agrees_with_pillow(options: dict[str, Any]) -> None:
    data = encoded(photo(), "JPEG", quality=92, **options)

    difference = np.abs(decode(data, RULES).pixels_HWC - pillow_pixels(data))

    assert difference.mean() < 0.5
    assert difference.max() <= 8


def test_a_jpeg_with_rare_sampling_factors_is_decoded_and_not_called_damaged() -> None:
    data = grey_jpeg_with_sampling(((2, 2), (1, 1), (2, 2)))

    assert np.array_equal(decode(data, RULES).pixels_HWC, np.full((32, 32, 3), 128))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_is_taken_and_the_others_are_counted(kind: str) -> None:
    first, second = (Image.new("RGB", (20, 10), colour) for colour in ("red", "blue"))

    decoded = decode(
        encoded(first, kind, save_all=True, append_images=[second, second.rotate(180)]), RULES
    )

    assert decoded.n_frames >= 2
    assert (np.abs(decoded.pixels_HWC.astype(int) - (255, 0, 0)) <= 3).all()


def test_a_camera_file_of_two_jpegs_is_its_first_one_and_the_second_is_counted_as_trailing_bytes() -> (
    None
):
    first, second = (Image.fromarray(photo(seed=seed)) for seed in (0, 1))
    data = encoded(first, "MPO", save_all=True, append_images=[second])

    decoded = decode(data, RULES)

    assert decoded.format == "jpeg"
    assert decoded.trailing_bytes > len(data) // 3
    assert np.abs(decoded.pixels_HWC - pillow_pixels(data)).mean() < 0.5


def test_the_format_is_that_of_the_bytes() -> None:
    kinds = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF")

    assert [decode(encoded(photo(), kind), RULES).format for kind in kinds] == [
        kind.lower() for kind in kinds
    ]


def test_pixels_are_contiguous_rgb_bytes_of_the_stated_size() -> None:
    decoded = decode(encoded(photo(width=50, height=30), "JPEG"), RULES)

    assert decoded.pixels_HWC.shape == (30, 50, 3) == (decoded.height_px, decoded.width_px, 3)
    assert decoded.pixels_HWC.dtype == np.uint8
    assert decoded.pixels_HWC.flags.c_contiguous
