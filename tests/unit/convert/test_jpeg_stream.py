"""Which JPEG streams go into a beton as received, and what is taken out of them."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import simplejpeg
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline_lib.betons.layout import Array
from pipeline_lib.convert.jpeg_stream import encode_jpeg, is_sound, passed_on, without_metadata
from pipeline_lib.pixels import PixelRules, decode

Photo = Callable[[int, int, int], Array]
Encoded = Callable[..., bytes]


def exif(tag: int, value: Any) -> bytes:
    block = Image.Exif()
    block[tag] = value
    return block.tobytes()


def pixels_of(stream: bytes) -> Array:
    return decode(stream, PixelRules()).pixels_HWC


def passed(stream: bytes) -> bytes | None:
    height, width = pixels_of(stream).shape[:2]
    return passed_on(stream, width=width, height=height)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"progressive": True},
        {"subsampling": "4:4:4"},
        {"optimize": True},
        {"restart_marker_blocks": 3},
    ],
)
def test_a_sound_jpeg_is_passed_on_with_its_compressed_data_untouched(
    options: dict[str, Any], photo: Photo, encoded: Encoded
) -> None:
    stream = encoded(photo(1, 90, 120), **options)

    bare = passed(stream)

    assert bare is not None
    assert np.array_equal(pixels_of(bare), pixels_of(stream))
    assert stream[-500:] == bare[-500:]


def test_a_grey_jpeg_is_passed_on(photo: Photo, encoded: Encoded) -> None:
    stream = encoded(photo(1, 90, 120)[..., 0])

    assert passed(stream) is not None


def test_position_comments_profiles_and_what_follows_the_image_are_taken_out(
    photo: Photo, encoded: Encoded
) -> None:
    block = Image.Exif()
    block.get_ifd(0x8825)[1] = "N-GPS-MARK"
    block[0x8825] = block.get_ifd(0x8825)
    stream = (
        encoded(
            photo(2, 90, 120),
            exif=block.tobytes(),
            comment=b"COMMENT-MARK",
            icc_profile=b"PROFILE-MARK",
        )
        + b"TAIL"
    )

    bare = passed(stream)

    assert bare is not None
    for mark in (b"GPS-MARK", b"COMMENT-MARK", b"PROFILE-MARK", b"TAIL", b"Exif", b"JFIF"):
        assert mark not in bare


def test_cmyk_is_not_passed_on(photo: Photo) -> None:
    stream = io.BytesIO()
    Image.fromarray(photo(4, 90, 120)).convert("CMYK").save(stream, "JPEG")

    assert passed(stream.getvalue()) is None


def test_a_jpeg_that_holds_rgb_by_adobes_segment_is_not_passed_on_without_it(
    photo: Photo, encoded: Encoded
) -> None:
    """Dropping the segment would turn red, green and blue into luminance and chroma."""
    stream = encoded(photo(5, 90, 120), keep_rgb=True)
    stream = stream.replace(
        b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0"
    )  # ids that say nothing of colours
    stream = stream.replace(b"\3R\0G\0B\0", b"\3\1\0\2\0\3\0")

    assert b"Adobe" in stream
    assert passed(stream) is None


def test_a_jpeg_that_takes_more_bytes_than_its_pixels_is_not_passed_on(encoded: Encoded) -> None:
    stream = encoded(np.zeros((2, 2, 3), np.uint8))

    assert passed(stream) is None


def test_a_jpeg_of_another_size_than_wanted_is_not_passed_on(
    photo: Photo, encoded: Encoded
) -> None:
    assert passed_on(encoded(photo(1, 90, 120)), width=90, height=120) is None


@pytest.mark.parametrize("progressive", [False, True])
def test_a_look_at_an_eighth_of_the_size_sees_every_damage_that_a_full_decode_sees(
    progressive: bool, photo: Photo, encoded: Encoded
) -> None:
    """Flipped bits and zeroed bytes anywhere in the compressed data; a flipped bit is often invisible to both."""
    sound, rng = encoded(photo(7, 120, 160), progressive=progressive), np.random.default_rng(0)
    verdicts = []
    for number in range(200):
        damaged, at = bytearray(sound), int(rng.integers(700, len(sound) - 64))
        damaged[at : at + 64] = (
            bytes(64)
            if number % 2
            else bytes([damaged[at] ^ 1 << number % 8]) + damaged[at + 1 : at + 64]
        )
        verdicts.append((is_sound(bytes(damaged)), decodes_in_full(bytes(damaged))))

    assert all(quick == full for quick, full in verdicts)
    assert {quick for quick, _ in verdicts} == {True, False}


def decodes_in_full(stream: bytes) -> bool:
    try:
        return simplejpeg.decode_jpeg(stream, colorspace="RGB", strict=True) is not None
    except ValueError:
        return False


@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_the_marker_walk_fail(tail: bytes) -> None:
    assert without_metadata(b"\xff\xd8" + tail) is None or tail.count(b"\xff\xd9")


def test_encoding_twice_gives_the_same_bytes(photo: Photo) -> None:
    assert encode_jpeg(photo(6, 70, 70), quality=90) == encode_jpeg(photo(6, 70, 70), quality=90)
