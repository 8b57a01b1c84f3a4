"""Read a beton back, row by row, and compare with what was meant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import simplejpeg

from pipeline_lib.betons.layout import JPG, RAW, Array
from pipeline_lib.betons.read import Beton, open_beton
from pipeline_lib.errors import OutputDamaged


@dataclass(frozen=True)
class Written:
    """What a row must hold. digest: blake2b-128 of its bytes."""

    image_id: str
    mode: int
    height: int
    width: int
    digest: bytes

    @classmethod
    def of(cls, image_id: str, pixels_HWC: Array, stream: bytes | None) -> Self:
        """From what is handed to the writer; stream is None for raw pixels."""
        height, width = pixels_HWC.shape[:2]
        digest = _digest(pixels_HWC.tobytes() if stream is None else stream)
        return cls(image_id, RAW if stream is None else JPG, height, width, digest)


def check_written(path: Path, written: list[Written]) -> None:
    """Compare mode, size and bytes of every row, decode every JPEG. Raises OutputDamaged naming the first bad one."""
    beton = open_beton(path)
    bad = [meant.image_id for row, meant in enumerate(written) if not _holds(beton, row, meant)]
    if bad or len(beton.samples_N) != len(written):
        remedy = "run `dvc repro` again; if it happens twice, test the disk and the memory of this machine"
        value = f"{len(bad)} of {len(written)} rows, the first is {bad[0]}" if bad else f"{len(beton.samples_N)} rows"
        raise OutputDamaged("a beton does not read back as it was written", file=path, value=value, remedy=remedy)


def _holds(beton: Beton, row: int, meant: Written) -> bool:
    image, stored = beton.samples_N["image"][row], beton.stored(row).tobytes()
    if (image["mode"], image["height"], image["width"]) != (meant.mode, meant.height, meant.width):
        return False
    if _digest(stored) != meant.digest:
        return False
    return meant.mode == RAW or _decodes(stored, (meant.height, meant.width, 3))


def _decodes(stream: bytes, shape: tuple[int, int, int]) -> bool:
    try:
        return bool(simplejpeg.decode_jpeg(stream, colorspace="RGB", strict=True).shape == shape)
    except ValueError:
        return False


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
