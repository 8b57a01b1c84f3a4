"""Find where an image ends in its file, checking the structure on the way there.

Each function gives the offset after the image's last byte. Raises Undecodable: decode_truncated when the file stops
before that, decode_corrupt when the structure is broken.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pipeline_lib.pixels.budget import refuse_frames
from pipeline_lib.pixels.png_chunks import read_png
from pipeline_lib.pixels.rules import Undecodable
from pipeline_lib.reasons import Reason


def end_of_png(data: bytes) -> int:
    """Walk the chunks to the last one, see `read_png`."""
    return read_png(data).end


def end_of_gif(data: bytes) -> int:
    """Walk the blocks to the trailer (GIF89a specification, sections 17 to 27)."""
    at = 13 + _colour_table_bytes(data, 10)
    n_frames = 0
    while True:
        mark = data[at : at + 1]
        if mark == b";":
            return at + 1
        if mark == b"!":
            at = _after_sub_blocks(data, at + 2)
        elif mark == b",":
            n_frames += 1
            refuse_frames(n_frames)
            at = _after_sub_blocks(data, at + 11 + _colour_table_bytes(data, at + 9))
        elif data[at:].strip(b"\0"):
            raise Undecodable(Reason.DECODE_CORRUPT, f"no block begins at byte {at}")
        else:
            raise Undecodable(Reason.DECODE_TRUNCATED, "no trailer")


def end_of_webp(data: bytes) -> int:
    """Read the length in the RIFF header; chunks are padded to even sizes."""
    length = int.from_bytes(data[4:8], "little")
    end = 8 + length + length % 2
    if 8 + length > len(data):
        raise Undecodable(Reason.DECODE_TRUNCATED, f"{len(data)} bytes of {end}")
    return min(end, len(data))


def end_of_avif(data: bytes) -> int:
    """Walk the boxes of the file (ISO/IEC 14496-12, 4.2), up to the first that AVIF (or HEIF) does not know."""
    at = 0
    while data[at + 4 : at + 8] in AVIF_BOXES:
        length = int.from_bytes(data[at : at + 4], "big")
        if length == 1:  # the length follows the name
            length = int.from_bytes(data[at + 8 : at + 16], "big")
        length = length or len(data) - at  # 0: up to the end of the file
        if length < 8:
            raise Undecodable(Reason.DECODE_CORRUPT, f"a box of {length} bytes at byte {at}")
        if at + length > len(data):
            raise Undecodable(Reason.DECODE_TRUNCATED, f"the data ends in the box at byte {at}")
        at += length
    return at


def _whole_file(data: bytes) -> int:
    return len(data)


AVIF_BOXES: Final = frozenset(
    (b"ftyp", b"meta", b"mdat", b"moov", b"moof", b"free", b"skip", b"uuid", b"sidx")
)
END_OF: Final[dict[str, Callable[[bytes], int]]] = {
    "png": end_of_png,
    "gif": end_of_gif,
    "webp": end_of_webp,
    "avif": end_of_avif,
    "bmp": _whole_file,
    "tiff": _whole_file,
    "netpbm": _whole_file,
    "heic": end_of_avif,  # the same boxes
}


def _colour_table_bytes(data: bytes, flags_at: int) -> int:
    flags = data[flags_at] if flags_at < len(data) else 0
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0


def _after_sub_blocks(data: bytes, at: int) -> int:
    while at < len(data):
        if data[at] == 0:
            return at + 1
        at += 1 + data[at]
    raise Undecodable(Reason.DECODE_TRUNCATED, "the data ends in a block")
