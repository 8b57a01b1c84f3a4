"""FFCV 1.0.2's own Loader over our betons: its decoders, resize and augmentations (`train.views: ffcv`).

Order, ranks and batches are ours. Views are drawn by FFCV, which cannot be seeded, so a run cannot be repeated; and
they are resized by area, as FFCV does, where all other loaders resize as `pixels.view` does.

The only module that imports ffcv. It prevents these defects (docs/ffcv.md lists all of them):

- FFCV knows one file only, and looks bytes up by an offset in it: see SelectionReader.
- Importing it compiles a typed dictionary that nothing compiled uses (3.6 CPU seconds; 0.5 without).
- Importing it, each of its loaders and each epoch set torch's number of threads.
- An epoch's thread opens the machine's first GPU, also where nothing computes on one.
- An error in an epoch's thread makes the trainer wait forever, and leaving an epoch early leaks its thread and memory.
- It shows another image's pixels in the place of a damaged one.
"""

from __future__ import annotations

import contextlib
import ctypes
import queue
from collections.abc import Iterator, Sequence
from typing import Any

import numba
import numba.typed
import numpy as np
import torch

from pipeline_lib.betons.layout import Array
from pipeline_lib.errors import ConfigError
from pipeline_lib.loader.augmentation import Augmentation
from pipeline_lib.loader.batches import Batch
from pipeline_lib.loader.epoch_plan import Plan
from pipeline_lib.loader.find_images import Images
from pipeline_lib.loader.view_params import IN_FFCV


@contextlib.contextmanager
def _cheap_import() -> Iterator[None]:
    """Import ffcv without what it compiles at import, and keep torch's number of threads."""
    threads = torch.get_num_threads()
    typed_dict = numba.typed.Dict
    numba.typed.Dict = dict
    try:
        yield
    finally:
        numba.typed.Dict = typed_dict
        torch.set_num_threads(threads)


with _cheap_import():
    from ffcv.fields.rgb_image import CenterCropRGBImageDecoder, RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, epoch_iterator
    from ffcv.loader.epoch_iterator import EpochIterator
    from ffcv.memory_managers.os_cache import OSCacheContext, OSCacheManager
    from ffcv.pipeline.compiler import Compiler
    from ffcv.pipeline.graph import Graph
    from ffcv.pipeline.operation import Operation
    from ffcv.pipeline.pipeline_spec import PipelineSpec
    from ffcv.reader import Reader
    from ffcv.transforms import RandomHorizontalFlip, RandomTranslate, ToTensor

BATCHES_AHEAD = 3

# Its epoch thread does nothing on a GPU for us, and would open the first one in each process.
epoch_iterator.IS_CUDA = False


def _leave_torch_alone(cls: Any, n: int) -> None:
    """In place of Compiler.set_num_threads, which sets torch's threads too, and fails beyond numba's."""
    cls.num_threads = min(n, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    numba.set_num_threads(cls.num_threads)


Compiler.set_num_threads = classmethod(_leave_torch_alone)

_kept: list[
    _Pipeline
] = []  # to the end of the process: numba prints errors when compiled functions are dropped


class FfcvLoader:
    """See BatchLoader; but views are not reproducible, and a shift leaves black at the border."""

    kind = "ffcv"

    def __init__(self, plan: Plan, *, workers: int) -> None:
        self._plan = plan
        self.image_ids: Sequence[str] = plan.images.image_ids
        # FFCV compares no checksums while it reads.
        for position in range(len(plan.images)):
            plan.images.check(position)
        operations = operations_of(plan.augmentation, plan.side_px)
        self._pipeline = _Pipeline(
            plan.images, operations, batch_size=plan.batch_size, workers=workers
        )
        _kept.append(self._pipeline)

    def __len__(self) -> int:
        return len(self._plan)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        order = self._plan.positions(self._plan.order(epoch, start))
        batches = GuardedEpoch(self._pipeline, order)
        try:
            for visits_B, (images_BHWC,) in zip(
                self._plan.batches(epoch, start), batches, strict=True
            ):
                # FFCV fills its buffers again while a batch may still be held.
                yield self._plan.batch(visits_B, images_BHWC.clone())
        finally:
            batches.stop()

    def close(self) -> None:
        """Nothing to do: the betons are maps, which go with the process."""


def operations_of(augmentation: Augmentation | None, side_px: int) -> list[Operation]:
    """FFCV's decoder and transforms for an augmentation. Raises ConfigError for what FFCV does not have."""
    size = (side_px, side_px)
    if augmentation is None:
        return [CenterCropRGBImageDecoder(size, ratio=1)]
    unknown = [name for name in augmentation.varied() if name not in IN_FFCV]
    if unknown:
        remedy = "set train.views to keyed, or these keys of train to 0"
        raise ConfigError(
            "FFCV has no such augmentation",
            file="params.yaml",
            value=", ".join(unknown),
            remedy=remedy,
        )

    # A decoder, which crops and resizes, then its transforms.
    operations: list[Operation] = [CenterCropRGBImageDecoder(size, ratio=1)]
    if augmentation.scale_min < 1:
        scale = (augmentation.scale_min, 1.0)
        ratio = (1 / augmentation.ratio_max, augmentation.ratio_max)
        operations = [RandomResizedCropRGBImageDecoder(size, scale, ratio)]
    if augmentation.flip:
        operations.append(RandomHorizontalFlip())
    if augmentation.shift_px:
        operations.append(RandomTranslate(augmentation.shift_px))
    return operations


class _Pipeline(Loader):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's Loader, whose own constructor takes one file and one order, over the images of a selection."""

    def __init__(
        self, images: Images, operations: Sequence[Operation], *, batch_size: int, workers: int
    ) -> None:
        """operations: a decoder, then transforms."""
        self.batch_size = batch_size
        self.batches_ahead = BATCHES_AHEAD
        self.num_workers = workers
        self.traversal_order = None
        self.reader = SelectionReader(images)
        self.memory_manager = _Memory(self.reader)

        # What is compiled depends on the number of threads, which FFCV keeps in a global variable.
        Compiler.set_num_threads(workers)
        decoder, *transforms = operations
        specs = {
            "image": PipelineSpec("image", decoder=decoder, transforms=[*transforms, ToTensor()])
        }
        numbers = {name: number for number, name in enumerate(self.reader.handlers)}
        read = self.memory_manager.compile_reader()
        self.graph = Graph(specs, self.reader.handlers, numbers, self.reader.metadata, read)
        self.generate_code()


class SelectionReader(Reader):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's reader over the images of a selection, whichever beton they are in; its sample numbers are positions.

    So no number is out of range, which in FFCV is a segmentation fault.

    memory: uint8, the stretch of this process's memory that all betons are mapped in, and gaps that nobody reads.
    pointers_N, sizes_N: where in it images begin, rising, and their bytes.
    """

    def __init__(self, images: Images) -> None:
        # Names and types of the fields are the same in all our betons.
        super().__init__(str(images.betons[0].path))
        self.images = images  # whose maps `memory` looks into

        bases = [beton.content.ctypes.data for beton in images.betons]
        start = min(bases)
        end = max(
            base + len(beton.content) for base, beton in zip(bases, images.betons, strict=True)
        )
        stretch = (ctypes.c_uint8 * (end - start)).from_address(start)
        self.memory = np.frombuffer(memoryview(stretch).toreadonly(), np.uint8)

        # FFCV's table of samples, in the order of the selection, with pointers into `memory`.
        offsets_N = images.addresses_N - np.uint64(start)
        self.num_samples = len(images)
        table_N: Array = np.zeros(len(images), self.metadata_type)
        table_N["f0"] = images.stored_N
        table_N["f0"]["data_ptr"] = offsets_N
        table_N["f1"] = images.row_N
        self.metadata = table_N

        # FFCV finds the size of an image by a search among rising pointers.
        rising = np.argsort(offsets_N)
        self.pointers_N = offsets_N[rising]
        self.sizes_N = np.ascontiguousarray(images.sizes_N[rising])


class _Memory(OSCacheManager):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's way to the bytes of an image: the page cache, through the maps of all betons.

    Its own constructor also builds a Python set per page and an entry per image, which only its other way reads.
    """

    def __init__(self, reader: SelectionReader) -> None:
        # What the epoch thread and the compiled decoder ask for, and no more.
        self.reader = reader
        self.ptrs = reader.pointers_N
        self.sizes = reader.sizes_N
        self.context = OSCacheContext(self)
        self.context.mmap = reader.memory


class GuardedEpoch(EpochIterator):  # type: ignore[misc]  # ffcv publishes no types
    """FFCV's epoch thread, whose errors reach the caller and which ends when told to."""

    error: BaseException | None = None

    def run(self) -> None:
        """Prepare batches until the end, an error or `stop`."""
        try:
            super().run()
        except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the thread that waits for the batch
            self.error = error
            self.output_queue.put(None)

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except StopIteration:
            if self.error is not None:
                raise self.error from None
            raise

    def stop(self) -> None:
        """End the thread, also in the middle of the epoch, and free its buffers."""
        self.terminate_event.set()
        while self.is_alive():
            # It may be waiting for room in the queue to say that it has ended.
            with contextlib.suppress(queue.Empty):
                self.output_queue.get_nowait()
            self.join(timeout=0.05)
        self.close()
