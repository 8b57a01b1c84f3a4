"""What processes that train together tell each other, over torch.distributed. Alone, nothing is sent.

Each of `world` processes takes its share of every batch; gradients are averaged (DistributedDataParallel), so all have
the same weights after each step. Tensors on the CPU go over gloo, those on GPUs over NCCL. B images, C channels.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch._C._distributed_c10d import PrefixStore, TCPStore  # torch.distributed does not say that it exports them
from torch.nn.parallel import DistributedDataParallel

LONGEST_WAIT = timedelta(minutes=5)  # for each other; then all begin again from the checkpoint


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Meet the other processes, as torchrun's environment says, and leave them at the end, if all went well."""
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    host, port, run = (os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID"))
    store = TCPStore(host, int(port), is_master=False, wait_for_workers=False, timeout=LONGEST_WAIT)
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(f"{run}/processes", store),  # an earlier attempt left addresses of the dead
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=LONGEST_WAIT,
    )
    yield
    highest(0)  # rank 0 writes last: with it, all have come to the end
    distributed.destroy_process_group()


def rank() -> int:
    """The number of this process, 0 .. world() - 1. Rank 0 writes and talks."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def on_this_machine() -> int:
    """How many of them are on this machine, as torchrun's environment says."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if distributed.is_initialized() else 1


def together(model: nn.Module) -> nn.Module:
    """What to call instead of `model`, so that backward averages the gradients over the processes.

    Buffers stay each process's own until `average_buffers`: those of batch normalisation see different pictures.
    """
    return DistributedDataParallel(model, forward_sync_buffers=False) if world() > 1 else model


def averaging(forward: nn.Module, *, now: bool) -> contextlib.AbstractContextManager[object]:
    """Within it, backward averages the gradients over the processes, or leaves them to a later one that does."""
    return forward.no_sync() if isinstance(forward, DistributedDataParallel) and not now else contextlib.nullcontext()


def average_buffers(model: nn.Module) -> None:
    """Give every process the mean of the floating point buffers: running means and variances of batch normalisation."""
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    if world() == 1 or not buffers:
        return
    flat = torch.cat([buffer.flatten() for buffer in buffers])
    distributed.all_reduce(flat)
    means = torch.split(flat / world(), [buffer.numel() for buffer in buffers])
    for buffer, mean in zip(buffers, means, strict=True):
        buffer.copy_(mean.view_as(buffer))


def sums(values: Sequence[float]) -> list[float]:
    """The sum over all processes of each value."""
    if world() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(total)
    return [float(value) for value in total.tolist()]


def of_rank_0(value: float) -> float:
    """What rank 0 says, in all processes."""
    if world() == 1:
        return value
    said = torch.tensor(value, dtype=torch.float64)
    distributed.broadcast(said, 0)
    return float(said)


def given_by_rank_0(own: Any) -> Any:
    """What rank 0 has computed, a picklable object, in all processes: no GPU's last bit makes them differ."""
    if world() == 1:
        return own
    said = [own]
    distributed.broadcast_object_list(said, 0)
    return said[0]


def highest(value: float) -> float:
    """The highest value of all processes, in all processes."""
    if world() == 1:
        return value
    found = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return float(found)


def gathered(own: Any) -> list[Any]:
    """What each process gives, by rank, in rank 0; [] in the others."""
    if world() == 1:
        return [own]
    found: list[Any] = [None] * world() if rank() == 0 else []
    distributed.gather_object(own, found if rank() == 0 else None)
    return found
