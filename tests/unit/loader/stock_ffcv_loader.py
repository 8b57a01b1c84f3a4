"""What FFCV 1.0.2's own Loader does where ours is careful: prints its findings as JSON.

    python -m tests.unit.loader.stock_ffcv_loader FOLDER

It writes two data sets of 50 images of 16 x 16 there, with the fields of our betons: `image` and `row` (0 to 49).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any
from unittest import mock

os.environ["NUMBA_NUM_THREADS"] = (
    "2"  # also where one core is all there is: a loader for two is asked for
)

import numba
import numba.typed
import numpy as np
import torch

torch.set_num_threads(2)
# Numba's layer on TBB waits for ever at the end of a process that has forked and may use one core only.
numba.config.THREADING_LAYER = "workqueue"  # type: ignore[attr-defined] # made at run time
numba.typed.Dict = dict  # ffcv fills one as it is imported: 3 s of compiling

import torch.utils.data.distributed as torch_distributed  # noqa: E402
from ffcv.fields import IntField, RGBImageField  # noqa: E402
from ffcv.fields.decoders import CenterCropRGBImageDecoder, IntDecoder, SimpleRGBImageDecoder  # noqa: E402
from ffcv.loader import Loader, OrderOption  # noqa: E402
from ffcv.pipeline.compiler import Compiler  # noqa: E402
from ffcv.pipeline.operation import Operation  # noqa: E402
from ffcv.reader import Reader  # noqa: E402
from ffcv.transforms import NormalizeImage, Squeeze, ToTensor  # noqa: E402
from ffcv.writer import DatasetWriter  # noqa: E402

THREADS_AFTER_IMPORT = torch.get_num_threads()


def write(path: Path, mode: str) -> Path:
    """50 images of noise."""
    noise = np.random.default_rng(0).integers(0, 256, (50, 16, 16, 3), dtype=np.uint8)
    fields = {"image": RGBImageField(write_mode=mode), "row": IntField()}
    DatasetWriter(str(path), fields, num_workers=1).from_indexed_dataset(
        [(p, row) for row, p in enumerate(noise)]
    )
    return path


def loader(path: Path, **options: Any) -> Loader:
    """FFCV's own, one worker, rows only unless `image` is asked for."""
    defaults: dict[str, Any] = {"batch_size": 2, "num_workers": 1, "pipelines": {"image": None}}
    return Loader(str(path), **(defaults | options))


def rows(batches: Any) -> list[int]:
    """Row numbers, batch by batch, read at once as the batch comes."""
    return [int(row) for batch in batches for row in batch[-1].flatten()]


class Failing(Operation):  # type: ignore[misc]  # ffcv publishes no types
    """A step of a pipeline that raises."""

    def generate_code(self) -> Any:
        def fail(*_: object) -> None:
            raise MemoryError("no more")

        return fail

    def declare_state_and_memory(self, previous_state: Any) -> Any:
        return previous_state, None


def waits_after_an_error(path: Path) -> bool:
    """Whether the epoch thread has ended and left nothing that a waiting trainer could take."""
    epoch = iter(loader(path, pipelines={"image": None, "row": [IntDecoder(), Failing()]}))
    epoch.join()
    return bool(epoch.output_queue.empty())


def threads_after_breaks(path: Path) -> int:
    """How many more threads there are after leaving five epochs at their first batch."""
    before = threading.active_count()
    for _ in range(5):
        for _ in loader(path):
            break
    return threading.active_count() - before


def rows_kept_of_a_list(path: Path) -> int:
    """How many different rows are left in `list(loader)`."""
    return len(set(rows(list(loader(path)))))


def rows_of_two_ranks(path: Path) -> list[int]:
    """What two processes see of 5 images in evaluation order."""
    seen = []
    for rank in (0, 1):
        group = mock.Mock(
            is_available=lambda: True, get_world_size=lambda: 2, get_rank=lambda rank=rank: rank
        )
        with mock.patch.object(torch_distributed, "dist", group):
            seen += rows(loader(path, distributed=True, seed=0, indices=range(5), drop_last=False))
    return sorted(seen)


def rows_shown_for_a_damaged_one(path: Path) -> list[int]:
    """Overwrite the JPEG of row 30 by zeros; which rows' pixels are then shown for it."""
    sound = {
        int(row): images.numpy().copy() for images, row in loader(path, pipelines={}, batch_size=1)
    }
    _, pointer, size = Reader(str(path)).alloc_table[30]
    with path.open("r+b") as file:
        file.seek(int(pointer))
        file.write(bytes(int(size)))
    shown = {
        int(row): images.numpy().copy() for images, row in loader(path, pipelines={}, batch_size=1)
    }
    return [row for row, pixels in sound.items() if np.array_equal(pixels, shown[30])]


def type_after_normalizing(path: Path) -> str:
    """The type of what NormalizeImage(float16) gives without a ToTorchImage behind it."""
    normalize = NormalizeImage(np.zeros(3), np.ones(3), np.float16)
    pipelines = {"image": [SimpleRGBImageDecoder(), normalize, ToTensor()]}
    return str(next(iter(loader(path, pipelines=pipelines)))[0].dtype)


def error_of(action: Any) -> str:
    """The kind of exception that an action raises, or ""."""
    try:
        action()
    except Exception as error:
        return type(error).__name__
    return ""


def scratch_bytes(path: Path) -> int:
    """The memory that decoding with a crop keeps for one epoch of batches of 2."""
    decoder = CenterCropRGBImageDecoder((4, 4), 1.0)
    found = loader(path, pipelines={"image": [decoder]}).graph.allocate_memory(2, 5)
    return sum(
        array.nbytes
        for both in found["operation"].values()
        if isinstance(both, tuple)
        for array in both[1:]
    )


def last_of_three(path: Path) -> torch.Tensor:
    """The rows of the last batch of three images in batches of two, after Squeeze."""
    pipelines = {"image": None, "row": [IntDecoder(), ToTensor(), Squeeze()]}
    last: tuple[torch.Tensor, ...] = list(
        loader(path, indices=range(3), drop_last=False, pipelines=pipelines)
    )[-1]
    return last[0]


def order(path: Path, seed: int, epoch: int, count: int = 50) -> list[int]:
    """FFCV's random order of the first `count` rows."""
    found = loader(path, order=OrderOption.RANDOM, seed=seed, indices=range(count))
    return [int(row) for row in found.traversal_order.sample_order(epoch)]


def main(folder: Path) -> None:
    """Command line."""
    Compiler.set_enabled(False)  # the same Python, without 8 s of compiling
    raw, jpg = write(folder / "raw.beton", "raw"), write(folder / "jpg.beton", "jpg")
    two = loader(raw, num_workers=2)
    loader(raw, num_workers=1)
    cut = folder / "cut.beton"
    cut.write_bytes(raw.read_bytes()[: -10 * 24])
    some = loader(raw, indices=np.arange(10, 20))
    found = {
        "torch threads after import": THREADS_AFTER_IMPORT,
        "seed 0 epoch 1 is seed 1 epoch 0": order(raw, 0, 1) == order(raw, 1, 0),
        "one image more keeps the order": [row for row in order(raw, 0, 0) if row != 49]
        == order(raw, 0, 0, 49),
        "waits after an error": waits_after_an_error(raw),
        "threads after five breaks": threads_after_breaks(raw),
        "rows kept of 50 in a list": rows_kept_of_a_list(raw),
        "rows seen of 5 in batches of 2": len(rows(loader(raw, indices=range(5)))),
        "rows of 5 in two ranks": rows_of_two_ranks(raw),
        "length of a mask of row 7": len(loader(raw, indices=np.arange(50) == 7).indices),
        "rows 15 to 19 of 10 to 19": some.filter("row", lambda row: row >= 15).indices.tolist(),
        "threads of a loader for two": [two.num_workers, Compiler.num_threads],
        "error of 10000 workers": error_of(lambda: loader(raw, num_workers=10_000)),
        "shape of a last batch of one": list(last_of_three(raw).shape),
        "rows shown for row 30": rows_shown_for_a_damaged_one(jpg),
        "error of opening a cut table": error_of(lambda: Reader(str(cut))),
        "type after NormalizeImage(float16)": type_after_normalizing(raw),
        "scratch for 2 images of 768 bytes": scratch_bytes(raw),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
