"""What FFCV 1.0.2's own DatasetWriter does where ours is careful: prints its findings as JSON.

    python -m tests.unit.convert.stock_ffcv_writer FOLDER

A program of its own, since the findings are dead workers and a writer that waits for them.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numba
import numba.typed
import numpy as np
from PIL import Image

# Numba's layer on TBB waits for ever at the end of a process that has forked and may use one core only.
numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined] # made at run time
numba.typed.Dict = dict  # ffcv fills one as it is imported: 3 s of compiling

import ffcv.writer  # noqa: E402
from ffcv.fields import IntField, RGBImageField  # noqa: E402
from ffcv.fields.rgb_image import resizer  # noqa: E402
from ffcv.reader import Reader  # noqa: E402

PAGE = 2**21
SOUND = np.zeros((8, 8, 3), np.uint8)
GREY = Image.new("L", (8, 8))


class Raising:
    """A data set whose only sample cannot be read."""

    def __len__(self) -> int:
        return 1

    def __getitem__(self, number: int) -> Any:
        raise OSError("cannot be read")


class Ending(Raising):
    """A data set that ends its worker, as the kernel does when memory runs out."""

    def __getitem__(self, number: int) -> Any:
        os._exit(9)


# Each of these ends the worker that meets it.
KILLING: dict[str, Any] = {
    "a sample that cannot be read": Raising(),
    "a worker that is killed": Ending(),
    "a float image": [(SOUND.astype(np.float32), 0)],
    **{
        f"an image of mode {mode}": [(GREY.convert(mode), 0)]
        for mode in ("L", "P", "RGBA", "LA", "CMYK", "I;16")
    },
    "a label that is a word": [(SOUND, "cat")],
    "no label": [(SOUND, None)],
    "a label of 2^63": [(SOUND, 2**63)],
    "an image 70000 px wide": [(np.zeros((1, 70_000, 3), np.uint8), 0)],
    "an image larger than a page": [(np.zeros((1000, 1000, 3), np.uint8), 0)],
}


class WaitsForTheDeadError(Exception):
    """The writer goes on waiting although no worker is left."""


def write(path: Path, samples: Any, fields: dict[str, Any] | None = None) -> Reader:
    """FFCV's own writer, one worker. Raises WaitsForTheDeadError where it would wait for ever.

    The writer's loop ends when a counter that only its workers raise reaches the number of samples. Once each worker
    has been reaped, the counter is final: below that number, the loop has no end. No time is part of this proof.
    """
    workers: list[multiprocessing.Process] = []
    counters: list[Any] = []

    class Seen(multiprocessing.Process):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            workers.append(self)

    def counter(*args: Any) -> Any:
        counters.append(multiprocessing.Value(*args))
        return counters[-1]

    def look(_: float) -> None:
        time.sleep(0.01)
        # In this order: a counter read before the last worker's death could still have changed.
        all_dead = all(worker.exitcode is not None for worker in workers)
        if all_dead and counters[-1].value < len(samples):
            raise WaitsForTheDeadError

    ffcv.writer.Process, ffcv.writer.Value, ffcv.writer.sleep = Seen, counter, look
    fields = fields or {"image": RGBImageField(write_mode="raw"), "label": IntField()}
    ffcv.writer.DatasetWriter(
        str(path), fields, page_size=PAGE, num_workers=1
    ).from_indexed_dataset(samples)
    assert len(counters) == 1, "the writer has another counter: find out which one its loop reads"
    return Reader(str(path))


def after_killing(path: Path, samples: Any) -> dict[str, Any]:
    """A worker has died: whether the writer waits, and what lies under the final name, where an old file was."""
    path.write_bytes(b"the old file")
    try:
        write(path, samples)
        waits = False
    except WaitsForTheDeadError:
        waits = True
    content = path.read_bytes()
    allocations_at = struct.unpack("<HHIQQ", content[:24])[4]
    return {
        "waits": waits,
        "allocations_at": allocations_at,
        "old_file": content == b"the old file",
    }


def interrupted_at_the_end(path: Path) -> int:
    """Ctrl-C while the allocation table is made; the number of its rows in the file that comes out."""

    class Interrupted(list[Any]):
        def __iter__(self) -> Iterator[Any]:
            raise KeyboardInterrupt

    finalize = ffcv.writer.DatasetWriter.finalize
    ffcv.writer.DatasetWriter.finalize = lambda self, rows: finalize(self, Interrupted(rows))
    rows = len(write(path, [(SOUND, 0)]).alloc_table)
    ffcv.writer.DatasetWriter.finalize = finalize
    return rows


def fields_of_two_long_names(path: Path) -> list[str]:
    """What a reader sees of two fields whose names begin with the same 16 letters."""
    fields = {f"annotator_number_{number}": IntField() for number in (1, 2)}
    return sorted(write(path, [(1, 2)], fields).handlers)


def size_written(path: Path, **options: Any) -> int:
    """The bytes that an image of 100 x 100 takes: 30,000 when raw."""
    fields = {"image": RGBImageField(**options), "label": IntField()}
    return int(write(path, [(np.zeros((100, 100, 3), np.uint8), 0)], fields).alloc_table["size"][0])


def error_of_shrinking(height: int, width: int, longest_px: int) -> str:
    """The kind of error of `max_resolution`, or ""."""
    try:
        resizer(np.zeros((height, width, 3), np.uint8), longest_px)
    except Exception as error:
        return type(error).__name__
    return ""


def main(folder: Path) -> None:
    """Command line."""
    found = {
        "killing": {
            name: after_killing(folder / "killing", samples) for name, samples in KILLING.items()
        },
        "rows after Ctrl-C": interrupted_at_the_end(folder / "interrupted"),
        "label 1.7": int(write(folder / "label", [(SOUND, 1.7)]).metadata["f1"][0]),
        "rows of an image 0 px high": len(write(folder / "flat", [(SOUND[:0], 0)]).metadata),
        "fields of two long names": fields_of_two_long_names(folder / "names"),
        "bytes, smart without threshold": size_written(folder / "smart", write_mode="smart"),
        "bytes, smart with threshold 0.5": size_written(
            folder / "smart", write_mode="smart", smart_threshold=0.5
        ),
        "error of shrinking 1 x 5000 px to 500": error_of_shrinking(1, 5000, 500),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
