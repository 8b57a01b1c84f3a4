"""JPEG streams: passed on as received where that changes no pixel, else encoded. Metadata never gets through."""

from __future__ import annotations

import io
import re

import numpy as np
import simplejpeg
from PIL import Image

from pipeline_lib.betons.layout import Array

# Markers of ITU-T T.81, table B.1
SOI, EOI, SOS, COM = 0xD8, 0xD9, 0xDA, 0xFE
APPLICATION = range(0xE0, 0xF0)  # EXIF with its position, thumbnails, colour profiles, comments of editors
OTHER_FRAMES = (0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0))
NEXT_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # in compressed data: no stuffed byte, no restart mark


def same_picture(stream: bytes, pixels_HWC: Array) -> bytes | None:
    """The stream without its metadata, if it then decodes, without a warning, to exactly these pixels; else None.

    None for a rotated picture, CMYK, RGB marked as such by Adobe's segment, 12 bits, rare codings, and one that takes
    more bytes than its pixels.
    """
    bare = without_metadata(stream)
    if bare is None or len(bare) > pixels_HWC.nbytes:
        return None
    try:
        decoded = simplejpeg.decode_jpeg(bare, colorspace="RGB", strict=True)
    except ValueError:
        return None
    return bare if np.array_equal(decoded, pixels_HWC) else None


def without_metadata(stream: bytes) -> bytes | None:
    """Leave out all application and comment segments, and what follows the end mark. No coefficient changes.

    None when the marker structure is broken or the coding is none of baseline, extended or progressive Huffman.
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
