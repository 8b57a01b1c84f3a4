"""PNG, WebP, AVIF, GIF, BMP and TIFF through Pillow, with the checks that Pillow leaves out."""

from __future__ import annotations

import io
import logging
import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from pipeline_lib.pixels.budget import refuse_frames, silence_libtiff, tiff_frames
from pipeline_lib.pixels.end_marks import END_OF
from pipeline_lib.pixels.exif import read_exif
from pipeline_lib.pixels.lost_sectors import refuse_lost_sectors
from pipeline_lib.pixels.raster import Raster, memory_ran_out, refuse_bomb
from pipeline_lib.pixels.rules import Undecodable
from pipeline_lib.reasons import Reason

# Broken metadata is no news, and a worker's console is no place for it. A filter, not a `catch_warnings` block around
# each file: that one swaps global state and is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
silence_libtiff()

MODES: Final = frozenset({"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"})
SIXTEEN_BIT: Final = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2"}
WITHOUT_CHECKSUM: Final = ("webp", "avif")  # GIF and BMP too, but whole sectors of black are nothing odd there
ENDS_EARLY: Final = (
    "truncated",
    "unexpected end",
    "not enough image data",
    "buffer is not large enough",
    "unexpected eof",
)


def decode_other(data: bytes, kind: str, max_pixels: int) -> Raster:
    """Decode the first frame of a PNG, WebP, AVIF, GIF, BMP or TIFF. Raises Undecodable, MemoryError.

    Truncated means that the format's end mark is missing (PNG, GIF, WebP, AVIF) or that Pillow says so (BMP, TIFF).
    Lossy WebP, AVIF, GIF and BMP carry no checksum: of damage inside the first two only lost sectors are seen, and of
    that inside the others nothing; a checksum of the source tells.
    """
    if kind == "webp":  # Pillow would make room for the pixels before it tells their number
        refuse_bomb(*_webp_size(data), max_pixels)
    try:
        with Image.open(io.BytesIO(data), formats=[kind.upper()]) as picture:
            refuse_bomb(*picture.size, max_pixels)
            end = END_OF[kind](data)
            if kind in WITHOUT_CHECKSUM:
                refuse_lost_sectors(data, start=0, end=end)
            return _raster(picture, data, trailing_bytes=len(data) - end)
    except (Undecodable, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise Undecodable(Reason.TOO_MANY_PIXELS, str(error)) from error
    except Exception as error:  # hostile bytes raise anything in a decoder: a verdict on the file
        if memory_ran_out(error):
            raise MemoryError(str(error)) from error
        raise _damage(data, kind, error) from error


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def _raster(picture: Image.Image, data: bytes, *, trailing_bytes: int) -> Raster:
    n_frames = tiff_frames(data) if picture.format == "TIFF" else int(getattr(picture, "n_frames", 1))
    refuse_frames(n_frames)
    mode = picture.mode
    if mode not in MODES and mode not in SIXTEEN_BIT:
        raise Undecodable(Reason.UNSUPPORTED_MODE, mode)
    picture.load()
    exif = read_exif(data) if picture.format == "TIFF" else read_exif(picture.info.get("exif", b""))
    return Raster(_to_rgb(picture), mode, exif, n_frames, trailing_bytes)


def _to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    if picture.mode in SIXTEEN_BIT:
        high = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat(high[..., None], 3, axis=2)
    if picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        paper.alpha_composite(picture.convert("RGBA"))
        return np.asarray(paper.convert("RGB"))
    return np.asarray(picture.convert("RGB"))


def _damage(data: bytes, kind: str, error: Exception) -> Undecodable:
    """Which kind of damage: a file that stops before its end mark is truncated, whatever Pillow said of it."""
    try:
        END_OF[kind](data)
    except Undecodable as verdict:
        return verdict
    # Pillow's own sentence for an unreadable header ends in a memory address, which would differ from run to run
    said = "broken header" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
    early = isinstance(error, EOFError) or any(words in said.lower() for words in ENDS_EARLY)
    return Undecodable(Reason.DECODE_TRUNCATED if early else Reason.DECODE_CORRUPT, said)
