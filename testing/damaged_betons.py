"""Betons whose images or tables are overwritten, as a bad disk or a bad hand would."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipeline_lib.betons.layout import ALLOCATION, HEADER, SAMPLE, SAMPLES_AT, Array
from pipeline_lib.betons.read import open_beton

SIDE_PX = 64


def smooth(seed: int, height: int = SIDE_PX, width: int = SIDE_PX) -> Array:
    """An image that takes few bytes as a JPEG, uint8 RGB."""
    y, x = np.mgrid[0:height, 0:width] / 9
    return (
        np.stack([np.sin(x + seed), np.cos(y * 0.7 + seed), np.sin(x + y)], axis=-1) * 110 + 127
    ).astype(np.uint8)


def noise(seed: int) -> Array:
    """An image that takes many bytes, so that other streams find room in its place."""
    return np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)


def encoded(pixels: Array | Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    """The file that Pillow writes."""
    stream = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(stream, kind, **options)
    return stream.getvalue()


def put_stream(path: Path, row: int, stream: bytes) -> None:
    """Store other bytes in the place of an image; there are at most as many."""
    beton = open_beton(path)
    start, room = int(beton.samples_N["image"]["data_ptr"][row]), int(beton.sizes_N[row])
    assert 0 < len(stream) <= room, (len(stream), room)
    table = int(beton.content[: HEADER.itemsize].view(HEADER)["alloc_table_ptr"][0])
    overwrite(path, start, stream)
    overwrite(path, table + row * ALLOCATION.itemsize + 16, len(stream).to_bytes(8, "little"))


def put_size(path: Path, row: int, *, height: int, width: int) -> None:
    """Record another size of an image."""
    sides = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    overwrite(path, SAMPLES_AT + row * SAMPLE.itemsize + 1, sides)


def overwrite(path: Path, offset: int, content: bytes) -> None:
    """Change bytes in the middle of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)
