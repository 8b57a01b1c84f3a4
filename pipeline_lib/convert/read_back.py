"""Read a beton back, row by row, and compare it with the intended content."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline_lib.betons.layout import checksum
from pipeline_lib.betons.read import open_beton
from pipeline_lib.convert.stored import StoredForm
from pipeline_lib.errors import OutputDamaged


@dataclass(frozen=True)
class Written:
    """The expected content of a row."""

    image_id: str
    checksum: int

    @classmethod
    def of(cls, image_id: str, stored: StoredForm) -> Self:
        """Build from the arguments of the writer."""
        return cls(
            image_id,
            checksum(stored.content, mode=stored.mode, height=stored.height, width=stored.width),
        )


def check_written(path: Path, written: list[Written]) -> None:
    """Compare mode, size and bytes of every row. Raises OutputDamaged naming the first wrong row.

    A JPEG whose bytes `is_sound` has decoded needs no second decode.
    """
    beton = open_beton(path)
    bad = [
        meant.image_id for row, meant in enumerate(written) if beton.checksum(row) != meant.checksum
    ]
    if bad or len(beton.samples_N) != len(written):
        remedy = "run `dvc repro` again; if it happens twice, test the disk and the memory of this machine"
        value = (
            f"{len(bad)} of {len(written)} rows, the first is {bad[0]}"
            if bad
            else f"{len(beton.samples_N)} rows"
        )
        raise OutputDamaged(
            "a beton does not read back as it was written", file=path, value=value, remedy=remedy
        )
