"""Out of memory while training: say which batch size fits, found by trying, not by a formula."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator

import torch
from torch import distributed

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Batch

# Where torch raises a plain RuntimeError: its CPU allocator, CUDA itself, cuDNN, cuBLAS.
MESSAGES = (
    "not enough memory",
    "can't allocate memory",
    "CUDA error: out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUBLAS_STATUS_ALLOC_FAILED",
)
IN_PARTS = "which takes the step in smaller parts"


def with_remedy(update: Callable[[Batch], torch.Tensor], batch: Batch) -> torch.Tensor:
    """Take one step on a batch. Raises ConfigError naming a batch size that fits when memory runs out."""
    try:
        return update(batch)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).splitlines()[0]
    # Leave the except block first: the traceback keeps the failed step's tensors alive.
    raise ConfigError(
        "out of memory",
        file="params.yaml",
        value=f"{len(batch.labels_B)} images in a step: {said}",
        remedy=f"{_advice(update, batch)}; or lower train.side_px, or choose a smaller train.network",
    )


@contextlib.contextmanager
def named_in_validation() -> Iterator[None]:
    """Raises ConfigError when memory runs out in validation: whole batches in float32, without gradients."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        said = str(error).splitlines()[0]
        raise ConfigError(
            "out of memory while validating",
            file="params.yaml",
            value=said,
            remedy="lower train.batch_size, which validation takes whole, or train.side_px",
        ) from error


def _advice(update: Callable[[Batch], torch.Tensor], batch: Batch) -> str:
    # Other processes wait for this one in their own step, so nothing can be tried.
    if distributed.is_available() and distributed.is_initialized():
        return f"double train.micro_batches, {IN_PARTS}, or halve train.batch_size"
    n_fit = largest_that_fits(update, batch)
    if not n_fit:
        return "not even two images fit"
    n_parts = math.ceil(len(batch.labels_B) / n_fit)
    return f"set train.batch_size to {n_fit}, which fits, or train.micro_batches {n_parts} times as high, {IN_PARTS}"


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
    """Whether one of torch's allocators gave up."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        message in str(error) for message in MESSAGES
    )


def _first(batch: Batch, size: int) -> Batch:
    return Batch(
        images_BHWC=batch.images_BHWC[:size],
        labels_B=batch.labels_B[:size],
        weights_B=batch.weights_B[:size],
        positions_B=batch.positions_B[:size],
    )
