"""Read a beton back, row by row, and compare with what was meant."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline_lib.betons.read import Beton, open_beton
from pipeline_lib.convert.stored import Stored
from pipeline_lib.errors import OutputDamaged


@dataclass(frozen=True)
class Written:
    """What a row must hold. digest: sha256 of its bytes (the fastest digest where the processor has instructions)."""

    image_id: str
    mode: int
    height: int
    width: int
    digest: bytes

    @classmethod
    def of(cls, image_id: str, stored: Stored) -> Self:
        """From what is handed to the writer."""
        return cls(image_id, stored.mode, stored.height, stored.width, _digest(stored.content))


def check_written(path: Path, written: list[Written]) -> None:
    """Compare mode, size and bytes of every row with what was meant. Raises OutputDamaged naming the first bad one.

    A JPEG whose bytes are those that `is_sound` decoded needs no second decode.
    """
    beton = open_beton(path)
    bad = [meant.image_id for row, meant in enumerate(written) if not _holds(beton, row, meant)]
    if bad or len(beton.samples_N) != len(written):
        remedy = "run `dvc repro` again; if it happens twice, test the disk and the memory of this machine"
        value = f"{len(bad)} of {len(written)} rows, the first is {bad[0]}" if bad else f"{len(beton.samples_N)} rows"
        raise OutputDamaged("a beton does not read back as it was written", file=path, value=value, remedy=remedy)


def _holds(beton: Beton, row: int, meant: Written) -> bool:
    image = beton.samples_N["image"][row]
    size_and_mode = (image["mode"], image["height"], image["width"])
    return size_and_mode == (meant.mode, meant.height, meant.width) and _digest(beton.stored(row).data) == meant.digest


def _digest(data: bytes | memoryview) -> bytes:
    return hashlib.sha256(data).digest()
