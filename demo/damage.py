"""Files as they come back from a broken disk, a broken download or a hostile sender."""

from __future__ import annotations

import struct
import zlib

PAGE_BYTES = 4096
HTML = b"<!DOCTYPE html>\n<html><head><title>403</title></head><body><h1>Please sign in</h1><p>case %d</p></body></html>\n"


def truncated(data: bytes, *, keep: float) -> bytes:
    """The first part of a file; `keep` is the share that arrived, 0..1."""
    return data[: int(len(data) * keep)]


def zeroed_page(data: bytes, *, page: int) -> bytes:
    """One 4 KB page of the file came back as zeros. Its head and its end are sound, so most decoders say nothing."""
    start, end = page * PAGE_BYTES, (page + 1) * PAGE_BYTES
    if page < 1 or end >= len(data):
        raise ValueError(f"page {page} is not inside a file of {len(data)} bytes")
    return data[:start] + bytes(PAGE_BYTES) + data[end:]


def spliced(first: bytes, second: bytes) -> bytes:
    """The front half of one JPEG with the back half of another."""
    return first[: len(first) // 2] + second[len(second) // 2 :]


def html(number: int) -> bytes:
    """A sign-in page that a download saved under an image's name."""
    return HTML % number


def png_bomb(side_px: int) -> bytes:
    """A black 1-bit PNG of side_px x side_px: a few kB that decode to far more."""
    row = bytes(1 + (side_px + 7) // 8)
    packer = zlib.compressobj(9)
    body = b"".join(packer.compress(row) for _ in range(side_px)) + packer.flush()
    header = struct.pack(">IIBBBBB", side_px, side_px, 1, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", body)
        + _chunk(b"IEND", b"")
    )


def jpeg_bomb(data: bytes, *, side_px: int) -> bytes:
    """A small baseline JPEG whose frame header claims side_px x side_px."""
    at = data.index(b"\xff\xc0") + 5  # FFC0, length (2), precision (1), then height and width
    return data[:at] + struct.pack(">HH", side_px, side_px) + data[at + 4 :]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
