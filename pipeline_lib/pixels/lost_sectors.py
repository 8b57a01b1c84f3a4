"""Detect what a decoder cannot: compressed data that a disk or a broken download replaced by zeros.

Zeros are valid Huffman codes, and the decoder finds back into step after them. If it made as many blocks of them as
were lost, nothing else is wrong with the stream, and a grey stripe is taken for the image. But the zeros fill whole
sectors of the file, and compressed data hardly ever holds as many; where it does (a large area of one colour), it
neither begins nor ends at a multiple of 512.
"""

from __future__ import annotations

from typing import Final

from pipeline_lib.pixels.rules import Undecodable
from pipeline_lib.reasons import Reason

SECTOR_BYTES: Final = 512
SLACK_BYTES: Final = 2  # zeros of the image's own beside the lost ones
ZEROS: Final = bytes(SECTOR_BYTES)


def refuse_lost_sectors(data: bytes, *, start: int, end: int) -> None:
    """Raise Undecodable (decode_corrupt) when zeros fill whole sectors of data[start:end], compressed data."""
    at = data.find(ZEROS, start, end)
    while at >= 0:
        stop = end - len(data[at:end].lstrip(b"\0"))
        first, last = -(-at // SECTOR_BYTES) * SECTOR_BYTES, stop // SECTOR_BYTES * SECTOR_BYTES
        if first < last and first - at <= SLACK_BYTES and stop - last <= SLACK_BYTES:
            raise Undecodable(Reason.DECODE_CORRUPT, f"zeros in place of bytes {first} to {last}")
        at = data.find(ZEROS, stop, end)
