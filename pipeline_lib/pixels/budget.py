"""Limit the work for one image by its structure, before any pixel is decoded, so that the verdict is reproducible.

All other cases end at a worker's limit of CPU time per image (harness/cpu_clock.py).
"""

from __future__ import annotations

import ctypes
import struct
from functools import cache
from pathlib import Path
from typing import Final

import PIL._imaging  # noqa: F401 - loads libtiff, which is looked for below

from pipeline_lib.pixels.rules import Undecodable
from pipeline_lib.reasons import Reason

MAX_FRAMES: Final = (
    10_000  # only the first is used; an animation or a microscope's stack has hundreds
)
MAX_CHUNKS: Final = 200_000  # of a PNG: 8 KB each, as libpng writes them, hold 1.6 GB
MAX_SCANS: Final = 500  # of a JPEG; libjpeg-turbo's own guard in its fuzzers
# Each scan of a progressive JPEG visits every block again. Camera and web software writes 10 scans, 18 of CMYK.
USUAL_SCANS: Final = 32
MAX_SCANNED_PIXELS: Final = 1_000_000_000


def refuse_frames(n_frames: int) -> None:
    """Raise Undecodable(too_much_work) for more frames than any photograph has."""
    if n_frames > MAX_FRAMES:
        raise Undecodable(Reason.TOO_MUCH_WORK, f"more than {MAX_FRAMES} frames")


def refuse_chunks(n_chunks: int) -> None:
    """Raise Undecodable(too_much_work) for more chunks than any PNG needs."""
    if n_chunks > MAX_CHUNKS:
        raise Undecodable(Reason.TOO_MUCH_WORK, f"more than {MAX_CHUNKS} chunks")


def refuse_scans(n_scans: int, n_pixels: int) -> None:
    """Raise Undecodable(too_much_work) for a progressive JPEG whose scans cost far more than its size explains."""
    if n_scans > MAX_SCANS or (n_scans > USUAL_SCANS and n_scans * n_pixels > MAX_SCANNED_PIXELS):
        raise Undecodable(Reason.TOO_MUCH_WORK, f"{n_scans} scans of {n_pixels} pixels")


def tiff_frames(data: bytes) -> int:
    """Follow the chain of image file directories (TIFF 6.0, section 2; BigTIFF) up to its end or a cycle.

    Pillow's own count compares each directory with all before it. Raises Undecodable(too_much_work).
    """
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:4] in (b"+\0", b"\0+")
    offset, count, entry_bytes = ("Q", "Q", 20) if is_big else ("I", "H", 12)
    seen: set[int] = set()
    try:
        (at,) = struct.unpack_from(order + offset, data, 8 if is_big else 4)
        while at and at not in seen:
            (n_entries,) = struct.unpack_from(order + count, data, at)
            seen.add(at)
            refuse_frames(len(seen))
            (at,) = struct.unpack_from(
                order + offset, data, at + struct.calcsize(count) + n_entries * entry_bytes
            )
    except (
        struct.error,
        OverflowError,
    ):  # the chain leads out of the file: what came before counts
        pass
    return max(1, len(seen))


@cache
def silence_libtiff() -> None:
    """Stop libtiff from writing about broken files to stderr, where no error of ours can name the file.

    Pillow silences its warnings only. The library is found as this process has it loaded; where it is linked in
    otherwise (no /proc, a static build), its lines stay.
    """
    maps = Path("/proc/self/maps")
    lines = (
        maps.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        if maps.exists()
        else []
    )
    for path in {line.split(maxsplit=5)[5] for line in lines if "/libtiff" in line}:
        library = ctypes.CDLL(path)
        for name in ("TIFFSetErrorHandler", "TIFFSetErrorHandlerExt"):
            set_handler = getattr(library, name)
            set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
            set_handler(None)
