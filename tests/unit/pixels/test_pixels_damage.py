"""Damage inside a file is seen, where Pillow and OpenCV show grey; sound files raise no alarm."""

import itertools
import re

import pytest
from PIL import Image

from pipeline_lib.pixels import Undecodable, decode
from testing.images import (
    PAGE_BYTES,
    RULES,
    encoded,
    photo,
    pillow_pixels,
    refusal,
    with_zeroed_page,
)

LARGE = encoded(photo(width=500, height=375), "JPEG", quality=92)


def test_no_false_alarm_on_200_sound_jpegs() -> None:
    options = itertools.product(
        (10, 50, 75, 95, 100), (0, 1, 2), (False, True), ({}, {"restart_marker_rows": 1}), range(4)
    )
    files = [
        encoded(
            photo(width=90 + 7 * seed, height=61, seed=seed),
            "JPEG",
            quality=quality,
            subsampling=subsampling,
            progressive=progressive,
            **restarts,
        )
        for quality, subsampling, progressive, restarts, seed in options
    ]

    assert len(files) >= 200
    assert [refusal(data) for data in files] == [""] * len(files)


@pytest.mark.parametrize("kept", [3, 20, 200, 0.3, 0.5, 0.9])
def test_a_jpeg_that_stops_early_is_truncated(kept: float) -> None:
    length = kept if isinstance(kept, int) else int(len(LARGE) * kept)

    assert refusal(LARGE[:length]) == "decode_truncated"


def test_a_jpeg_without_its_end_mark_is_truncated() -> None:
    with pytest.raises(Undecodable, match="^decode_truncated: Premature end of JPEG file$"):
        decode(LARGE[:-2], RULES)


def test_a_jpeg_whose_last_third_is_zeros_is_truncated() -> None:
    kept = len(LARGE) * 2 // 3

    assert refusal(LARGE[:kept] + bytes(len(LARGE) - kept)) == "decode_truncated"


def test_a_zeroed_page_is_seen_in_97_of_100_jpegs_and_pillow_sees_none() -> None:
    found = []
    for seed in range(100):
        data = encoded(photo(width=320, height=240, seed=seed), "JPEG", quality=95)
        damaged = with_zeroed_page(
            data, start=PAGE_BYTES * (1 + seed % (len(data) // PAGE_BYTES - 2))
        )
        pillow_pixels(damaged)  # raises nothing
        found.append(refusal(damaged))

    assert found.count("decode_corrupt") >= 97


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "AVIF"])
@pytest.mark.parametrize("lost", [512, 4096])
def test_a_sector_or_page_of_zeros_is_always_seen_where_it_lies_as_on_a_disk(
    kind: str, lost: int
) -> None:
    sound = encoded(photo(width=500, height=375, seed=3), kind, quality=95)

    for start in range(2048, len(sound) - lost, 512):
        damaged = sound[:start] + bytes(lost) + sound[start + lost :]
        assert refusal(damaged) == "decode_corrupt", start


def test_zeros_that_the_decoder_takes_for_blocks_are_named() -> None:
    sound = encoded(photo(width=200, height=150, seed=3), "JPEG", quality=95)
    damaged = with_zeroed_page(sound, start=PAGE_BYTES)
    pillow_pixels(damaged)  # raises nothing, and as many blocks are made of the zeros as were lost

    with pytest.raises(Undecodable, match="^decode_corrupt: zeros in place of bytes 4096 to 8192$"):
        decode(damaged, RULES)


def test_a_white_sheet_may_hold_kilobytes_of_zeros() -> None:
    for side in range(3000, 3400, 100):
        sheet = encoded(Image.new("L", (side, side), 255), "JPEG", optimize=True)

        assert bytes(1000) in sheet
        assert refusal(sheet) == ""


def test_the_front_of_one_jpeg_with_the_back_of_another_is_corrupt() -> None:
    other = encoded(photo(width=400, height=300, seed=5), "JPEG", quality=92)

    with pytest.raises(Undecodable, match="^decode_corrupt: Corrupt JPEG data"):
        decode(LARGE[: len(LARGE) // 2] + other[len(other) // 2 :], RULES)


def test_a_jpeg_without_a_frame_is_corrupt() -> None:
    with pytest.raises(Undecodable, match="^decode_corrupt: no frame header$"):
        decode(b"\xff\xd8\xff\xd9", RULES)


@pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF"])
@pytest.mark.parametrize("lost", [2, 1000])
def test_other_formats_that_stop_early_are_truncated(kind: str, lost: int) -> None:
    assert refusal(encoded(photo(), kind)[:-lost]) == "decode_truncated"


def test_a_png_whose_rest_is_zeros_is_truncated() -> None:
    data = encoded(photo(), "PNG")

    with pytest.raises(
        Undecodable, match=r"^decode_truncated: the data ends in the chunk at byte \d+$"
    ):
        decode(data[:2000] + bytes(len(data) - 2000), RULES)


def test_a_gif_whose_rest_is_zeros_is_truncated() -> None:
    data = encoded(photo(), "GIF")

    with pytest.raises(Undecodable, match="^decode_truncated: no trailer$"):
        decode(data[:-1] + bytes(50), RULES)


def test_one_flipped_bit_in_a_png_is_corrupt_wherever_it_is() -> None:
    data = encoded(photo(width=24, height=24), "PNG")

    found = {
        refusal(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]) for at in range(8, len(data))
    }

    assert found <= {"decode_corrupt", "decode_truncated", "too_many_pixels"}


def test_a_wrong_crc_names_the_chunk() -> None:
    data = bytearray(encoded(photo(), "PNG"))
    data[60] ^= 1

    with pytest.raises(
        Undecodable, match=re.escape("decode_corrupt: wrong CRC in chunk b'IDAT' at byte 33")
    ):
        decode(bytes(data), RULES)


def test_a_broken_header_has_a_detail_that_is_the_same_in_every_run() -> None:
    with pytest.raises(Undecodable, match="^decode_corrupt: broken header$"):
        decode(b"II*\0" + bytes([255] * 40), RULES)


def test_a_webp_shorter_than_its_header_says_is_truncated() -> None:
    data = encoded(photo(), "WEBP")

    with pytest.raises(
        Undecodable, match=rf"^decode_truncated: {len(data) - 10} bytes of {len(data)}$"
    ):
        decode(data[:-10], RULES)


def test_a_gif_with_a_hole_between_blocks_is_corrupt() -> None:
    data = encoded(photo(), "GIF")

    with pytest.raises(Undecodable, match=r"^decode_corrupt: no block begins at byte \d+$"):
        decode(data[:-1] + b"\x11;", RULES)


def test_a_gif_cut_inside_a_block_says_so() -> None:
    with pytest.raises(Undecodable, match="^decode_truncated: the data ends in a block$"):
        decode(encoded(photo(), "GIF")[:-300], RULES)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "AVIF"])
def test_bytes_after_the_end_are_counted_and_cost_nothing(kind: str) -> None:
    sound = encoded(photo(), kind)

    decoded = decode(sound + b"PK\3\4 a zip behind an image", RULES)

    assert decode(sound, RULES).trailing_bytes == 0
    assert decoded.trailing_bytes == len(b"PK\3\4 a zip behind an image")
    assert (decoded.pixels_HWC == decode(sound, RULES).pixels_HWC).all()
