"""Write a beton in a single process, with the same bytes every time.

FFCV's own writer hangs when a worker fails or the disk is full, and with two workers each run gives other bytes. This
writer gives the same bytes as FFCV's with a single worker.
"""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from pipeline_lib.betons.layout import (
    ALLOCATION,
    HEADER,
    MAX_PAGE_BYTES,
    MIN_PAGE_BYTES,
    SAMPLE,
    SAMPLES_AT,
    VERSION,
    descriptors,
)
from pipeline_lib.convert.stored import StoredForm
from pipeline_lib.errors import BadData
from pipeline_lib.pixels.raster import MAX_SIDE_PX


def page_bytes(largest_image_bytes: int) -> int:
    """Return the smallest page size that FFCV accepts and that holds the largest image."""
    return max(MIN_PAGE_BYTES, 1 << (largest_image_bytes - 1).bit_length())


class BetonWriter:
    """Append images to an open file, which is a beton once `finish` has returned.

    n_max: maximum number of images, which fixes the start of the data. page_size: bytes, see `page_bytes`.
    Raises BadData naming an image that takes more than a page.
    """

    def __init__(self, file: BinaryIO, *, n_max: int, page_size: int) -> None:
        assert MIN_PAGE_BYTES <= page_size <= MAX_PAGE_BYTES and page_size.bit_count() == 1, (
            page_size
        )
        self.page_size, self.count = page_size, 0
        self._file, self._position = (
            file,
            _next_multiple(SAMPLES_AT + n_max * SAMPLE.itemsize, page_size),
        )
        self._samples, self._allocations = np.zeros(n_max, SAMPLE), np.zeros(n_max, ALLOCATION)

    def add(self, stored: StoredForm, *, name: str) -> None:
        """Append an image. name: its image_id, for messages."""
        data, sides = stored.content, (stored.width, stored.height)
        assert (
            self.count < len(self._samples) and data and 0 < min(sides) <= max(sides) <= MAX_SIDE_PX
        ), (sides, name)
        if len(data) > self.page_size:
            remedy = "set convert.long_side_px, which shrinks images, and run `dvc repro`"
            what = f"more bytes than a page of {self.page_size}"
            raise BadData(what, file=name, value=f"{len(data)} bytes", remedy=remedy)
        if (
            self._position % self.page_size + len(data) > self.page_size
        ):  # an image never crosses a page
            self._position = _next_multiple(self._position, self.page_size)
        self._file.seek(self._position)
        self._file.write(data)
        self._samples[self.count] = ((stored.mode, *sides, self._position), self.count)
        self._allocations[self.count] = (self.count, self._position, len(data))
        self._position += len(data)
        self.count += 1

    def finish(self) -> None:
        """Write the tables and the header, and flush."""
        end = _next_multiple(self._position, self.page_size)
        header = np.array([(VERSION, 2, self.page_size, self.count, end)], HEADER)
        self._file.seek(end)
        self._file.write(self._allocations[: self.count].tobytes())
        self._file.seek(0)
        self._file.write(
            header.tobytes() + descriptors().tobytes() + self._samples[: self.count].tobytes()
        )
        self._file.flush()


def _next_multiple(position: int, step: int) -> int:
    return -(-position // step) * step
