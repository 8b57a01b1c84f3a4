"""Out of memory while training: say which batch size fits, found by trying, not by a formula."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import distributed

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch

WORDS = (  # where torch raises a plain RuntimeError: its CPU allocator, CUDA itself, cuDNN, cuBLAS
    *("not enough memory", "can't allocate memory", "CUDA error: out of memory"),
    *("CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"),
)
IN_PARTS = "which takes the step in smaller parts"


def with_remedy(update: Callable[[Batch], torch.Tensor], batch: Batch) -> torch.Tensor:
    """Take one step on a batch. Raises ConfigError naming a batch size that fits when the memory does not suffice."""
    try:
        return update(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).splitlines()[0]
    # Only out here is the traceback gone, and with it every tensor of the step that failed.
    value = f"{len(batch.labels_B)} pictures in a step: {said}"
    remedy = f"{_advice(update, batch)}; or lower train.side_px, or choose a smaller train.network"
    raise ConfigError("out of memory", file="params.yaml", value=value, remedy=remedy)


@contextlib.contextmanager
def named_in_validation() -> Iterator[None]:
    """Raises ConfigError when the memory does not suffice to validate: whole batches in float32, without gradients."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).splitlines()[0]
        remedy = "lower train.batch_size, which validation takes whole, or train.side_px"
        raise ConfigError("out of memory while validating", file="params.yaml", value=said, remedy=remedy) from error


def _advice(update: Callable[[Batch], torch.Tensor], batch: Batch) -> str:
    if distributed.is_available() and distributed.is_initialized():  # the others wait for us in their own step
        return f"double train.micro_batches, {IN_PARTS}, or halve train.batch_size"
    fits = largest_that_fits(update, batch)
    if not fits:
        return "not even two pictures fit"
    times = math.ceil(len(batch.labels_B) / fits)
    return f"set train.batch_size to {fits}, which fits, or train.micro_batches {times} times as high, {IN_PARTS}"


def largest_that_fits(update: Callable[[Batch], torch.Tensor], batch: Batch) -> int:
    """Half of the batch, or a quarter and so on: the first with which a step succeeds; 0 when none does.

    The steps change the model, which nobody will use any more.
    """
    size = len(batch.labels_B) // 2
    while size >= 2:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            update(_first(batch, size))
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        else:
            return size
        size //= 2
    return 0


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether an allocator of torch gave up."""
    return isinstance(error, torch.OutOfMemoryError) or any(words in str(error) for words in WORDS)


def _first(batch: Batch, size: int) -> Batch:
    return Batch(batch.images_BHWC[:size], batch.labels_B[:size], batch.weights_B[:size], batch.positions_B[:size])
