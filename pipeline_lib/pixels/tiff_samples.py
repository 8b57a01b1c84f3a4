"""Describe TIFF samples for which Pillow has no mode: floats, complex numbers, three channels of 32 bits."""

from __future__ import annotations

import struct
from typing import Final

BITS_PER_SAMPLE, SAMPLES_PER_PIXEL, SAMPLE_FORMAT = 258, 277, 339  # TIFF 6.0, sections 8 and 19
ENTRY_BYTES, INLINE_BYTES, SHORT_BYTES = 12, 4, 2
KINDS: Final = {1: "unsigned", 2: "signed", 3: "float", 5: "complex", 6: "complex float"}


def tiff_samples(data: bytes) -> str:
    """`3 x 32-bit float samples`, from the first directory; "" where it cannot be read, or is a BigTIFF's."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None:
        return ""
    try:
        (start,) = struct.unpack_from(f"{order}I", data, 4)
        (count,) = struct.unpack_from(f"{order}H", data, start)
        entries = (start + SHORT_BYTES + ENTRY_BYTES * number for number in range(count))
        short = dict(_first_short(data, entry, order) for entry in entries)
    except struct.error:
        return ""
    kind = KINDS.get(short.get(SAMPLE_FORMAT, 1), "undefined")
    return f"{short.get(SAMPLES_PER_PIXEL, 1)} x {short.get(BITS_PER_SAMPLE, 1)}-bit {kind} samples"


def _first_short(data: bytes, entry: int, order: str) -> tuple[int, int]:
    """Tag of a directory entry, and its first value as a 16-bit number, which all tags asked for here are."""
    tag, _, count = struct.unpack_from(f"{order}HHI", data, entry)
    at = entry + ENTRY_BYTES - INLINE_BYTES
    if count * SHORT_BYTES > INLINE_BYTES:
        (at,) = struct.unpack_from(f"{order}I", data, at)
    value = struct.unpack_from(f"{order}H", data, at)[0] if at + SHORT_BYTES <= len(data) else 0
    return tag, value
