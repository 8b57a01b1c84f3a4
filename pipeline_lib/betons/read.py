"""Read a beton with numpy alone, after checking that every pointer in it stays inside it.

FFCV itself checks nothing: a truncated file gives wrong images, negative dimensions or a segmentation fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline_lib.betons.layout import (
    ALLOCATION,
    HEADER,
    RAW,
    SAMPLE,
    SAMPLES_AT,
    VERSION,
    Array,
    checksum,
    descriptors,
)
from pipeline_lib.errors import OutputDamaged


@dataclass(frozen=True)
class Beton:
    """An open beton of N images. The file is mapped, not read: images come from the page cache."""

    path: Path
    samples_N: Array  # SAMPLE
    sizes_N: Array  # uint64: bytes of each image
    content: Array  # uint8: the whole file, read-only

    def stored(self, row: int) -> Array:
        """The bytes of an image as stored, uint8 [size]: a JPEG stream, or raw RGB in row-major order."""
        start = int(self.samples_N["image"]["data_ptr"][row])
        return self.content[start : start + int(self.sizes_N[row])]

    def checksum(self, row: int) -> int:
        """The checksum of an image as it is now."""
        image = self.samples_N["image"][row]
        stored = self.stored(row).data
        return checksum(
            stored, mode=int(image["mode"]), height=int(image["height"]), width=int(image["width"])
        )


def open_beton(path: Path) -> Beton:
    """Open a beton and check its structure. Raises OutputDamaged when it is not a whole, consistent file of ours."""
    if not path.exists() or path.stat().st_size < SAMPLES_AT:
        raise _damaged(path, "a beton is absent or ends early")
    content = np.asarray(np.memmap(path, np.uint8, mode="r"))

    # The header: what file this is, and whether it is as long as it says.
    header = content[: HEADER.itemsize].view(HEADER)[0]
    count = int(header["num_samples"])
    end = int(header["alloc_table_ptr"])
    if (
        header["version"] != VERSION
        or content[HEADER.itemsize : SAMPLES_AT].tobytes() != descriptors().tobytes()
    ):
        raise _damaged(path, "not a beton of this pipeline")
    if (
        not end
        or len(content) != end + count * ALLOCATION.itemsize
        or SAMPLES_AT + count * SAMPLE.itemsize > end
    ):
        raise _damaged(path, "a beton is unfinished or ends early")

    # The two tables: what images there are, and where their bytes lie.
    samples_N = content[SAMPLES_AT : SAMPLES_AT + count * SAMPLE.itemsize].view(SAMPLE)
    allocations = content[end:].view(ALLOCATION)
    if not _consistent(samples_N, allocations, end, int(header["page_size"])):
        raise _damaged(path, "pointers in a beton do not fit together")
    return Beton(path, samples_N, allocations["size"], content)


def _consistent(samples_N: Array, allocations: Array, end: int, page_size: int) -> bool:
    """Whether each image lies in one page, where both tables say, and a raw one has the size of its pixels."""
    image = samples_N["image"]
    start = allocations["ptr"]
    size = allocations["size"]

    # In 64 bits: width and height are stored in 16.
    n_values = image["width"].astype(np.uint64) * image["height"] * 3
    last = start + size - np.uint64(1)
    return bool(
        (samples_N["row"] == np.arange(len(samples_N))).all()
        and (allocations["sample_id"] == np.arange(len(samples_N))).all()
        and (image["data_ptr"] == start).all()
        and (size > 0).all()
        and (last < end).all()
        and (start // page_size == last // page_size).all()
        and (n_values > 0).all()
        and (size == n_values)[image["mode"] == RAW].all()
    )


def _damaged(path: Path, what: str) -> OutputDamaged:
    return OutputDamaged(
        what, file=path, remedy="remove it and run `dvc repro`, or `dvc checkout` to restore it"
    )
