"""Import FFCV 1.0.2 with its defects kept away from us. The only module that imports ffcv; others import from here.

- Importing it compiles a typed dictionary that nothing compiled uses (3.6 CPU seconds; 0.5 without).
- Importing it, each of its loaders and each epoch set torch's number of threads.
- It compiles each pipeline, which takes seconds before the first batch. Ours is one call into C per thread and runs as
  plain Python; only the stock loader compiles.
- An epoch's thread opens the machine's first GPU, also where nothing computes on one.
- An error in an epoch's thread makes the trainer wait for ever, and leaving an epoch early leaks its thread and memory.
"""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from typing import Any

import numba
import numba.typed
import torch


@contextlib.contextmanager
def _cheap_import() -> Iterator[None]:
    threads, typed_dict = torch.get_num_threads(), numba.typed.Dict
    numba.typed.Dict = dict
    try:
        yield
    finally:
        numba.typed.Dict = typed_dict
        torch.set_num_threads(threads)


with _cheap_import():
    from ffcv.fields import IntField, RGBImageField
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

__all__ = [
    "CenterCropRGBImageDecoder",
    "Graph",
    "GuardedEpoch",
    "IntField",
    "Loader",
    "OSCacheContext",
    "OSCacheManager",
    "Operation",
    "PipelineSpec",
    "RGBImageField",
    "RandomHorizontalFlip",
    "RandomResizedCropRGBImageDecoder",
    "RandomTranslate",
    "Reader",
    "ToTensor",
    "compiling",
]


epoch_iterator.IS_CUDA = False  # its thread does nothing on a GPU for us, and would open the first one in each process


def _leave_torch_alone(cls: Any, n: int) -> None:
    """In place of Compiler.set_num_threads, which sets torch's threads too, and fails beyond numba's."""
    cls.num_threads = min(n, numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    numba.set_num_threads(cls.num_threads)


Compiler.set_num_threads = classmethod(_leave_torch_alone)
Compiler.set_num_threads(1)
Compiler.set_enabled(False)


@contextlib.contextmanager
def compiling(threads: int) -> Iterator[None]:
    """FFCV compiles the pipelines that are made in here, for so many threads, as it does by itself."""
    Compiler.set_num_threads(threads)
    Compiler.set_enabled(True)
    try:
        yield
    finally:
        Compiler.set_enabled(False)
        Compiler.set_num_threads(1)


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
        while self.is_alive():  # it may be waiting for room to say that it has ended
            with contextlib.suppress(queue.Empty):
                self.output_queue.get_nowait()
            self.join(timeout=0.05)
        self.close()
