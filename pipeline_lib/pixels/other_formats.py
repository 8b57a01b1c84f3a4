"""Decode PNG, WebP, AVIF, GIF, BMP, TIFF, Netpbm and HEIC with Pillow, and with checks that Pillow leaves out."""

from __future__ import annotations

import functools
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
from pipeline_lib.pixels.noticed import LOW_LEVELS, is_low_justified, on_paper
from pipeline_lib.pixels.png_chunks import read_png
from pipeline_lib.pixels.raster import Raster, memory_ran_out, refuse_bomb
from pipeline_lib.pixels.rules import Undecodable
from pipeline_lib.pixels.tiff_samples import tiff_samples
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.sniff import DECODABLE

# Broken metadata is no news, and a worker's console is no place for it. A filter, not a `catch_warnings` block around
# each file: that one swaps global state and is not safe in threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
logging.getLogger("PIL").setLevel(logging.CRITICAL)
silence_libtiff()

MODES: Final = frozenset(
    {"1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"}
)
SIXTEEN_BIT: Final = {"I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2", "I;16N": "=u2"}
PILLOW_NAME: Final = {kind: kind.upper() for kind in DECODABLE} | {"netpbm": "PPM", "heic": "HEIF"}
HEIC_LIBRARY: Final = "pi-heif"
READ_HEIC: Final = "`make setup WITH=heic` reads it"
WITHOUT_CHECKSUM: Final = (
    "webp",
    "avif",
    "heic",
)  # GIF and BMP too, but whole sectors of black are nothing odd there
ENDS_EARLY: Final = (
    "truncated",
    "unexpected end",
    "not enough image data",
    "buffer is not large enough",
    "unexpected eof",
)


def decode_other(data: bytes, kind: str, max_pixels: int) -> Raster:
    """Decode the first frame of an image that is not a JPEG. Raises Undecodable, MemoryError.

    Truncated means that the format's end mark is missing (PNG, GIF, WebP, AVIF) or that Pillow says so (BMP, TIFF,
    Netpbm).
    Lossy WebP, AVIF, GIF and BMP carry no checksum: of damage inside the first two only lost sectors are seen, and of
    that inside the others nothing; a checksum of the source tells.
    """
    if kind == "webp":  # Pillow would make room for the pixels before it tells their number
        refuse_bomb(*_webp_size(data), max_pixels)
    if kind == "heic" and not reads_heic():
        raise Undecodable(Reason.UNSUPPORTED_FORMAT, f"heic; {READ_HEIC}")
    try:
        png = read_png(data) if kind == "png" else None
        end = png.end if png else END_OF[kind](data)
        with Image.open(
            io.BytesIO(png.essential if png else data), formats=[PILLOW_NAME[kind]]
        ) as image:
            refuse_bomb(*image.size, max_pixels)
            if kind in WITHOUT_CHECKSUM:
                refuse_lost_sectors(data, start=0, end=end)
            is_deep, stated_bits = (
                bool(png and png.sample_bits == 16),
                png.significant_bits if png else 0,
            )
            return _raster(
                image,
                data,
                trailing_bytes=len(data) - end,
                is_deep=is_deep,
                stated_bits=stated_bits,
            )
    except (Undecodable, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise Undecodable(Reason.TOO_MANY_PIXELS, str(error)) from error
    except Exception as error:  # hostile bytes raise anything in a decoder: a verdict on the file
        if memory_ran_out(error):
            raise MemoryError(str(error)) from error
        raise _damage(data, kind, error) from error


@functools.cache
def reads_heic() -> bool:
    """Whether the extra `heic` is installed: pi-heif, libheif's decoder as a plug-in of Pillow."""
    try:
        from pi_heif import register_heif_opener
    except ImportError:
        return False
    register_heif_opener(thumbnails=False)
    return True


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height in the header of the first chunk (RFC 9649, sections 2.5 to 2.7)."""
    if data[12:16] == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(
        data[28:30], "little"
    ) & 0x3FFF


def _raster(
    image: Image.Image, data: bytes, *, trailing_bytes: int, is_deep: bool, stated_bits: int
) -> Raster:
    """is_deep: the samples have 16 bits, also where Pillow's mode has 8. stated_bits: those that the file says."""
    n_frames = tiff_frames(data) if image.format == "TIFF" else int(getattr(image, "n_frames", 1))
    refuse_frames(n_frames)
    mode = image.mode
    is_deep |= mode in SIXTEEN_BIT or (mode == "I" and image.format == "PPM")
    if mode not in MODES and not is_deep:
        raise Undecodable(Reason.UNSUPPORTED_MODE, mode)
    image.load()
    exif = read_exif(data) if image.format == "TIFF" else read_exif(image.info.get("exif", b""))
    pixels_HWC, on_black = _to_rgb(image, stated_bits=stated_bits)
    low_bits = is_deep and 0 < int(pixels_HWC.max()) < LOW_LEVELS
    return Raster(pixels_HWC, mode, exif, n_frames, trailing_bytes, on_black, low_bits)


def _to_rgb(image: Image.Image, *, stated_bits: int) -> tuple[NDArray[np.uint8], bool]:
    """uint8 RGB, and whether it lies on black."""
    if image.mode in SIXTEEN_BIT or image.mode == "I":
        samples_HW = np.asarray(image)
        shift = (
            stated_bits - 8
            if 8 < stated_bits < 16 and is_low_justified(samples_HW, stated_bits)
            else 8
        )
        high = (samples_HW >> shift).astype(np.uint8)
        return np.repeat(high[..., None], 3, axis=2), False
    if image.has_transparency_data:
        return on_paper(image)
    return np.asarray(image.convert("RGB")), False


def _damage(data: bytes, kind: str, error: Exception) -> Undecodable:
    """Tell the kind of damage: a file that stops before its end mark is truncated, whatever Pillow's error says."""
    try:
        END_OF[kind](data)
    except Undecodable as verdict:
        return verdict
    if (
        kind == "tiff"
        and isinstance(error, UnidentifiedImageError)
        and (samples := tiff_samples(data))
    ):
        return Undecodable(Reason.UNSUPPORTED_MODE, samples)
    # Pillow's own sentence for an unreadable header ends in a memory address, which would differ from run to run
    said = (
        "broken header"
        if isinstance(error, UnidentifiedImageError)
        else str(error) or type(error).__name__
    )
    early = isinstance(error, EOFError) or any(words in said.lower() for words in ENDS_EARLY)
    return Undecodable(Reason.DECODE_TRUNCATED if early else Reason.DECODE_CORRUPT, said)
