"""JPEG streams: kept as received if that changes no pixel, else encoded, in both cases without metadata."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import simplejpeg
from PIL import Image

if TYPE_CHECKING:
    from pipeline_lib.betons.layout import Array

# Markers of ITU-T T.81, table B.1
SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APPLICATION = range(
    0xE0, 0xF0
)  # EXIF with its position, thumbnails, colour profiles, comments of editors
OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
NEXT_MARKER = re.compile(
    rb"\xff[\x01-\xcf\xd8-\xfe]"
)  # in compressed data: no stuffed byte, no restart mark


def passed_on(data: bytes, *, width: int, height: int) -> bytes | None:
    """Return the stream without metadata if it shows the same image as `data`, upright and of this size, else None.

    None for CMYK, RGB marked as such by Adobe's segment, 12 bits, rare codings and samplings, damage, and a stream that
    takes more bytes than the pixels.
    """
    bare = same_without_metadata(data, width=width, height=height)
    return bare if bare is not None and is_sound(bare) else None


def same_without_metadata(data: bytes, *, width: int, height: int) -> bytes | None:
    """Like `passed_on`, of a stream that is known to be sound.

    That the colours stay the same is checked with libjpeg on both headers: of the removed segments it only interprets
    JFIF's and Adobe's, which give the colour space.
    """
    bare = without_metadata(data)
    if bare is None or len(bare) > 3 * width * height:
        return None
    try:
        before, after = simplejpeg.decode_jpeg_header(data), simplejpeg.decode_jpeg_header(bare)
    except ValueError:
        return None
    same = before == after and after[:3] in ((height, width, "YCbCr"), (height, width, "Gray"))
    return bare if same else None


def is_sound(stream: bytes) -> bool:
    """Whether libjpeg decodes all of a stream without a warning.

    Every bit of the compressed data is decoded, so it finds all damage that a full decode finds (a test compares both).
    The unused pixels are computed at an eighth of the size, luminance only, which saves a third of the work.
    """
    try:
        simplejpeg.decode_jpeg(stream, colorspace="GRAY", min_height=1, min_width=1, strict=True)
    except ValueError:
        return False
    return True


def without_metadata(stream: bytes) -> bytes | None:
    """Remove all application and comment segments, and bytes after the end mark. No coefficient changes.

    None if the marker structure is broken or the coding is not baseline, extended or progressive Huffman.
    """
    kept, at = [stream[:2]], 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker, end = stream[at + 1], at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        if marker in OTHER_FRAMES:
            return None
        if marker == SOS:
            next_marker = NEXT_MARKER.search(stream, end)
            if next_marker is None:
                return None
            end = next_marker.start()
        if marker not in APPLICATION and marker != COM:
            kept.append(stream[at:end])
        at = end
        if stream[at : at + 2] == bytes((0xFF, EOI)):
            return b"".join([*kept, bytes((0xFF, EOI))])
        while stream[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
    return None


def encode_jpeg(pixels_HWC: Array, *, quality: int) -> bytes:
    """Encode uint8 RGB pixels with libjpeg-turbo through Pillow, 4:2:0; the same bytes every time."""
    stream = io.BytesIO()
    Image.fromarray(pixels_HWC).save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return stream.getvalue()
