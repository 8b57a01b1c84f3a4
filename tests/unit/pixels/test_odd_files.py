"""Files as people have them: read where the image in them is sound, else set aside under the right name."""

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.pixels import PixelRules, decode
from scripts.odd_files import (
    cut_and_saved_again,
    encoded,
    odd_files,
    outcome,
    photo,
    png_with,
    white_icon,
    with_chunk,
)

RULES = PixelRules()
FILES = {file.name: file for file in odd_files()}
SOUND = (
    *(
        "photo.ppm",
        "photo.pgm",
        "deep.pgm",
        "plain.ppm",
        "long_text.png",
        "long_profile.png",
        "bomb.png",
    ),
    *(
        "short_gama.png",
        "short_chrm.png",
        "flipped_gama.png",
        "16_bit.png",
        "12_stated.png",
        "icon.png",
        "x.jpg_large",
    ),
)
TOLD = {
    "photo.mpo": "read, with a remark: `trailing_bytes`",
    "12_in_16.png": "read, with a remark: `low_bits`, `dark`",
    "white_icon.png": "read, with a remark: `on_black`, `low_information`",
    "grey_end.jpg": "read, with a remark: `ends_grey`",
    "float.tif": "set aside: `unsupported_mode` (F)",
    "float_rgb.tif": "set aside: `unsupported_mode` (3 x 32-bit float samples)",
    "short_trns.png": "set aside: `decode_corrupt` (a tRNS chunk of 1 bytes)",
    "long_chunk.png": "set aside: `decode_corrupt` (the chunk at byte 33 would end after the file)",
    "cut.ppm": "set aside: `decode_truncated` (image file is truncated (76 bytes not processed))",
    "photo.dng": "not taken, by its name: `unsupported_format`",
    "x.php?id=7": "not taken, by its bytes: `not_image`",
    "LICENSE": "not taken, by its name: `not_a_picture_name`",
}


@pytest.mark.parametrize("name", SOUND)
def test_a_sound_image_is_read(name: str) -> None:
    assert outcome(FILES[name]) == "read"


@pytest.mark.parametrize("name", TOLD)
def test_what_is_doubtful_is_said_and_what_is_broken_is_called_by_its_name(name: str) -> None:
    assert outcome(FILES[name]) == TOLD[name]


@pytest.mark.parametrize(
    "name", ["photo.ppm", "plain.ppm", "long_text.png", "bomb.png", "short_chrm.png"]
)
def test_its_pixels_are_those_that_were_saved(name: str) -> None:
    assert (decode(FILES[name].data, RULES).pixels_HWC == photo()).all()


def test_the_high_byte_of_a_16_bit_pgm_is_kept() -> None:
    assert (decode(FILES["deep.pgm"].data, RULES).pixels_HWC[..., 0] == photo()[..., 0]).all()


@pytest.mark.parametrize("bits", [9, 10, 12, 14])
def test_samples_that_lie_in_the_low_bits_are_scaled_by_the_bits_that_the_file_states(
    bits: int,
) -> None:
    """8 bits scaled to `bits` as PNG scales them, so that the exact inverse is known."""
    grey = photo()[..., 0].astype(np.uint16)
    low = encoded((grey << (bits - 8)) | (grey >> (16 - bits)), "PNG")

    assert (decode(with_chunk(low, b"sBIT", bytes([bits])), RULES).pixels_HWC[..., 0] == grey).all()
    assert decode(low, RULES).pixels_HWC.max() <= 1 << (
        bits - 8
    )  # without the statement nothing is guessed


def test_a_stated_number_of_bits_changes_no_file_that_keeps_to_the_specification() -> None:
    twelve = (
        np.arange(256, dtype=np.uint16).repeat(2).reshape(16, 32)
    )  # dark: under 2^12 also in the high bits
    for samples in (twelve << 4, (twelve << 4) | (twelve >> 8)):
        plain = encoded(samples, "PNG")

        stated = decode(with_chunk(plain, b"sBIT", bytes([12])), RULES)

        assert (stated.pixels_HWC == decode(plain, RULES).pixels_HWC).all()


@pytest.mark.parametrize("body", [b"", bytes([0]), bytes([17]), bytes([12, 12, 12, 12, 12])])
def test_a_senseless_number_of_bits_is_no_statement(body: bytes) -> None:
    grey = photo()[..., 0].astype(np.uint16)
    low = encoded(grey * 16 + (grey >> 4), "PNG")

    assert (
        decode(with_chunk(low, b"sBIT", body), RULES).pixels_HWC == decode(low, RULES).pixels_HWC
    ).all()


def test_the_checksum_of_what_pixels_depend_on_still_counts() -> None:
    palette_alpha = png_with(b"tRNS", bytes(256), crc_error=1, mode="P")

    with pytest.raises(Exception, match="decode_corrupt: wrong CRC in chunk b'tRNS'"):
        decode(palette_alpha, RULES)


def test_white_shapes_on_transparency_are_seen_and_dark_ones_stay_on_white() -> None:
    ring = np.asarray(white_icon())[..., 3]

    shown = decode(encoded(white_icon(), "PNG"), RULES)
    dark = decode(FILES["icon.png"].data, RULES)

    assert (shown.pixels_HWC == ring[..., None]).all() and shown.on_black
    assert (dark.pixels_HWC[ring == 0] == 255).all() and not dark.on_black


def test_a_transparency_without_a_shape_stays_white() -> None:
    nothing = Image.new("RGBA", (32, 32), (255, 255, 255, 0))

    assert not decode(encoded(nothing, "PNG"), RULES).on_black


def test_only_a_grey_end_is_remarked_and_neither_a_grey_image_nor_a_border() -> None:
    border = photo(side_px=128)
    border[-4:] = 128

    assert decode(cut_and_saved_again(), RULES).ends_grey
    for pixels in (photo(), border, np.full((64, 64, 3), 128, np.uint8)):
        assert not decode(encoded(pixels, "PNG"), RULES).ends_grey
