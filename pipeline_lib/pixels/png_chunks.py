"""Walk the chunks of a PNG: find its end, and remove the chunks that affect no pixel."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

from pipeline_lib.pixels.budget import refuse_chunks
from pipeline_lib.pixels.rules import Undecodable
from pipeline_lib.reasons import Reason

SIGNATURE_BYTES: Final = 8
LAST_CHUNK: Final = b"\0\0\0\0IEND\xaeB`\x82"
# Colour spaces, texts, sizes in print, dates (PNG specification 11.3, third edition). We ignore what they say, so their
# damage is no damage to the image, and a text or profile that unpacks to gigabytes is never unpacked.
IGNORED: Final = frozenset(
    b"gAMA cHRM sRGB iCCP cICP mDCV cLLI tEXt zTXt iTXt pHYs tIME bKGD hIST sPLT sBIT iDOT".split()
)
TRANSPARENCY_BYTES: Final = {0: (2,), 2: (6,), 3: tuple(range(1, 257))}  # of tRNS, by colour type


@dataclass(frozen=True)
class Png:
    """end: offset after the last chunk. essential: the file without ignored chunks. sample_bits: 1 to 16.

    significant_bits: what sBIT states of the samples, the most of its channels; sample_bits where it states nothing.
    """

    end: int
    essential: bytes
    sample_bits: int
    significant_bits: int


def read_png(data: bytes) -> Png:
    """Check each chunk's CRC (PNG specification 5.3), which Pillow skips for pixel data, but for those ignored.

    Raises Undecodable: decode_truncated when the file stops before its last chunk, too_much_work for more chunks than
    any image needs, decode_corrupt for other damage.
    """
    written = len(
        data.rstrip(b"\0")
    )  # the last chunk never ends in a zero, so zeros at the end are no part of it
    parts, at, ignored = [data[:SIGNATURE_BYTES]], SIGNATURE_BYTES, False
    n_chunks = 0
    sample_bits = data[SIGNATURE_BYTES + 16] if len(data) > SIGNATURE_BYTES + 16 else 0
    significant_bits = sample_bits
    while True:
        n_chunks += 1
        refuse_chunks(n_chunks)
        length, name = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        end = at + 12 + length
        if end > written:
            raise _stops(data, at)
        is_sound = zlib.crc32(data[at + 4 : end - 4]) == int.from_bytes(data[end - 4 : end], "big")
        if (
            name == b"sBIT"
            and is_sound
            and 0 < length <= 4
            and 0 < max(data[at + 8 : end - 4]) <= sample_bits
        ):
            significant_bits = max(data[at + 8 : end - 4])
        if name in IGNORED:
            ignored = True
        elif not is_sound:
            raise Undecodable(Reason.DECODE_CORRUPT, f"wrong CRC in chunk {name!r} at byte {at}")
        elif name != b"tRNS" or _is_transparency(data, length):
            parts.append(data[at:end])
        if name == b"IEND":
            return Png(
                end, b"".join(parts) if ignored else data[:end], sample_bits, significant_bits
            )
        at = end


def _is_transparency(data: bytes, length: int) -> bool:
    """Whether a tRNS chunk has an effect. Raises Undecodable when its length is not that of the colour type."""
    colour_type = data[SIGNATURE_BYTES + 17]
    if colour_type not in TRANSPARENCY_BYTES:  # it has an alpha channel already
        return False
    if length not in TRANSPARENCY_BYTES[colour_type]:
        raise Undecodable(Reason.DECODE_CORRUPT, f"a tRNS chunk of {length} bytes")
    return True


def _stops(data: bytes, at: int) -> Undecodable:
    """Of a file that has its last chunk, a length is wrong; any other ends early."""
    if data.find(LAST_CHUNK, at) >= 0:
        return Undecodable(
            Reason.DECODE_CORRUPT, f"the chunk at byte {at} would end after the file"
        )
    return Undecodable(Reason.DECODE_TRUNCATED, f"the data ends in the chunk at byte {at}")
