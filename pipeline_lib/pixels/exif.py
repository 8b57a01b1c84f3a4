"""Read the two facts that we need from EXIF: orientation, and whether it contains a position.

EXIF is a TIFF header and a list of tags (CIPA DC-008 Exif 2.32, section 4.5). It is read here in a few lines because
the metadata of real images is often broken: a broken block is ignored silently.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

ORIENTATION_TAG = 0x0112
GPS_TAG = 0x8825
SHORT = 3
ENTRY_BYTES = 12


@dataclass(frozen=True)
class Exif:
    """orientation: 1..8 as in Exif 2.32; 1 when absent or out of range."""

    orientation: int = 1
    has_gps: bool = False


def read_exif(block: bytes) -> Exif:
    """Read an EXIF block, with or without its `Exif\\0\\0` prefix. Damage counts as absence."""
    block = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(block[:4])
    if order is None:
        return Exif()
    try:
        (start,) = struct.unpack_from(f"{order}I", block, 4)
        (count,) = struct.unpack_from(f"{order}H", block, start)
        entries = [
            struct.unpack_from(f"{order}HHIH", block, start + 2 + ENTRY_BYTES * number)
            for number in range(count)
        ]
    except struct.error:
        return Exif()
    turns = [
        value
        for tag, kind, n, value in entries
        if tag == ORIENTATION_TAG and kind == SHORT and n == 1
    ]
    orientation = turns[0] if turns and 1 <= turns[0] <= 8 else 1
    return Exif(orientation, any(tag == GPS_TAG for tag, *_ in entries))


def turn_upright(pixels_HWC: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation (1..8): what the file calls its first row becomes the top one. Contiguous."""
    height, width = pixels_HWC.shape[:2]
    # A pixel is moved as one item: half the time of moving its three bytes.
    whole_HW = np.ascontiguousarray(pixels_HWC).view("V3").reshape(height, width)
    mirrored = whole_HW[:, ::-1] if orientation in (2, 4, 5, 7) else whole_HW
    # quarter turns, anticlockwise, after the mirror
    turns = {1: 0, 2: 0, 3: 2, 4: 2, 5: 1, 6: 3, 7: 3, 8: 1}[orientation]
    turned_HW = np.ascontiguousarray(np.rot90(mirrored, turns))
    return turned_HW.view(np.uint8).reshape(*turned_HW.shape, 3)
