"""Which JPEG streams go into a beton as received, and what is taken out of them."""

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pipeline_lib.betons.layout import Array
from pipeline_lib.convert.jpeg_stream import encode_jpeg, same_picture, without_metadata
from pipeline_lib.pixels import PixelRules, decode

Photo = Callable[[int, int, int], Array]
Encoded = Callable[..., bytes]


def exif(tag: int, value: Any) -> bytes:
    block = Image.Exif()
    block[tag] = value
    return block.tobytes()


def pixels_of(stream: bytes) -> Array:
    return decode(stream, PixelRules()).pixels_HWC


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": "4:4:4"}, {"optimize": True}, {"restart_marker_blocks": 3}]
)
def test_a_sound_jpeg_is_passed_on_with_its_compressed_data_untouched(
    options: dict[str, Any], photo: Photo, encoded: Encoded
) -> None:
    stream = encoded(photo(1, 90, 120), **options)

    bare = same_picture(stream, pixels_of(stream))

    assert bare is not None
    assert np.array_equal(pixels_of(bare), pixels_of(stream))
    assert stream[-500:] == bare[-500:]


def test_a_grey_jpeg_is_passed_on(photo: Photo, encoded: Encoded) -> None:
    stream = encoded(photo(1, 90, 120)[..., 0])

    assert same_picture(stream, pixels_of(stream)) is not None


def test_position_comments_profiles_and_what_follows_the_picture_are_taken_out(photo: Photo, encoded: Encoded) -> None:
    block = Image.Exif()
    block.get_ifd(0x8825)[1] = "N-GPS-MARK"
    block[0x8825] = block.get_ifd(0x8825)
    stream = (
        encoded(photo(2, 90, 120), exif=block.tobytes(), comment=b"COMMENT-MARK", icc_profile=b"PROFILE-MARK") + b"TAIL"
    )

    bare = same_picture(stream, pixels_of(stream))

    assert bare is not None
    for mark in (b"GPS-MARK", b"COMMENT-MARK", b"PROFILE-MARK", b"TAIL", b"Exif", b"JFIF"):
        assert mark not in bare


def test_a_rotated_jpeg_is_not_passed_on(photo: Photo, encoded: Encoded) -> None:
    stream = encoded(photo(3, 90, 120), exif=exif(0x0112, 6))

    assert pixels_of(stream).shape == (120, 90, 3)
    assert same_picture(stream, pixels_of(stream)) is None


def test_cmyk_is_not_passed_on(photo: Photo) -> None:
    stream = io.BytesIO()
    Image.fromarray(photo(4, 90, 120)).convert("CMYK").save(stream, "JPEG")

    assert same_picture(stream.getvalue(), pixels_of(stream.getvalue())) is None


def test_a_jpeg_that_holds_rgb_by_adobes_segment_is_not_passed_on_without_it(photo: Photo, encoded: Encoded) -> None:
    """Dropping the segment would turn red, green and blue into luminance and chroma."""
    stream = encoded(photo(5, 90, 120), keep_rgb=True)
    stream = stream.replace(b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0")  # ids that say nothing of colours
    stream = stream.replace(b"\3R\0G\0B\0", b"\3\1\0\2\0\3\0")

    assert b"Adobe" in stream
    assert same_picture(stream, pixels_of(stream)) is None


def test_a_jpeg_that_takes_more_bytes_than_its_pixels_is_not_passed_on(encoded: Encoded) -> None:
    stream = encoded(np.zeros((2, 2, 3), np.uint8))

    assert same_picture(stream, pixels_of(stream)) is None


@given(st.binary(max_size=200))
def test_no_bytes_whatever_make_the_marker_walk_fail(tail: bytes) -> None:
    assert without_metadata(b"\xff\xd8" + tail) is None or tail.count(b"\xff\xd9")


def test_encoding_twice_gives_the_same_bytes(photo: Photo) -> None:
    assert encode_jpeg(photo(6, 70, 70), quality=90) == encode_jpeg(photo(6, 70, 70), quality=90)
