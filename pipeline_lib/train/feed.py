"""Batches on their way to a GPU: copied beside the step that computes, from memory that is not used again too early."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

import torch

from pipeline_lib.loader import Batch


def fed(batches: Iterable[Batch], device: torch.device) -> Iterator[Batch]:
    """The same batches with their tensors on the device. On a CPU, the batches as they come.

    A GPU copies on a stream of its own, while it computes on another, and nothing waits for it. So a batch is held
    until its copy is done: loaders fill its pinned memory anew as soon as nobody holds it.
    """
    if device.type != "cuda":
        yield from batches
        return
    computing = torch.cuda.current_stream(device)
    copying = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    held: deque[tuple[torch.cuda.Event, Batch]] = deque()
    try:
        for batch in batches:
            with torch.cuda.stream(copying):
                copied = {name: tensor.to(device, non_blocking=True) for name, tensor in vars(batch).items()}
            held.append((copying.record_event(), batch))
            computing.wait_event(held[-1][0])
            for tensor in copied.values():
                tensor.record_stream(computing)  # or its memory would be taken for a later copy while it is read
            while held[0][0].query() and len(held) > 1:  # type: ignore[no-untyped-call]
                held.popleft()
            yield Batch(**copied)
    finally:
        copying.synchronize()
