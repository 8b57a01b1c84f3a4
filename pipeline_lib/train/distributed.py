"""Several processes of one training: what they tell each other, and how a node starts its own.

Each of `world` processes takes its share of every batch; gradients are averaged (DistributedDataParallel), so all have
the same weights after each step. Tensors on the CPU travel over gloo, those on GPUs over NCCL. A process that trains
alone sends nothing. As with torchrun, the processes end together, and begin again together when one dies.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from time import monotonic as now
from typing import Any

import torch
from torch import distributed, nn
from torch._C._distributed_c10d import (
    PrefixStore,
    TCPStore,
)  # torch.distributed does not say that it exports them
from torch.distributed import DistError
from torch.nn.parallel import DistributedDataParallel

from pipeline_lib.errors import ConfigError, Interrupted, PipelineError, StageDied, read_reason
from pipeline_lib.files.atomic import write_text
from pipeline_lib.harness.parent_watch import die_with_parents
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.safe_text import log_to_stderr, shown
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.rendezvous import Node, Seat

LONGEST_WAIT = timedelta(
    minutes=5
)  # of one process for the others; then all begin again from the checkpoint
RESTARTS = 3  # after the death of a process; each goes on from the last checkpoint
AGREE_S = 60  # for the nodes to tell each other their processes
REASON = "reason.json"  # in the checkpoint's folder: why the processes ended
LOADED_ONCE = (
    "pipeline_lib.train.run",
    "torch._dynamo",
)  # DistributedDataParallel loads the latter
NO_ALARM = (
    "ignore::RuntimeWarning:runpy"  # that the stage, which is their main module, is loaded already
)
log = logging.getLogger(__name__)
Work = Callable[[StageRun[TrainParams], Path], None]


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the other processes, as torchrun's environment says, and leave them at the end if all went well."""
    if device.type == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    store = TCPStore(
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=False,
        wait_for_workers=False,
        timeout=LONGEST_WAIT,
    )
    # An earlier attempt left the addresses of dead processes in the store, so each attempt has its own prefix.
    run = os.environ["TORCHELASTIC_RUN_ID"]
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(f"{run}/processes", store),
        rank=int(os.environ["RANK"]),
        world_size=int(os.environ["WORLD_SIZE"]),
        timeout=LONGEST_WAIT,
    )
    yield
    # Rank 0 writes last: once it answers, all processes have come to the end.
    max_over_ranks(0)
    distributed.destroy_process_group()


def rank() -> int:
    """The number of this process, 0 .. world() - 1. Rank 0 writes files and log lines."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world() -> int:
    """How many processes train together."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def processes_on_this_machine() -> int:
    """How many of them run on this machine, as torchrun's environment says."""
    if not distributed.is_initialized():
        return 1
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1))


def data_parallel(model: nn.Module) -> nn.Module:
    """Wrap `model` so that backward averages the gradients over the processes; alone, return it as it is.

    Buffers stay each process's own until `average_buffers`: those of batch normalisation see different images.
    """
    if world() == 1:
        return model
    return DistributedDataParallel(model, forward_sync_buffers=False)


def gradient_sync(
    forward: nn.Module, *, is_last_part: bool
) -> contextlib.AbstractContextManager[object]:
    """Within it, backward averages the gradients over the processes with the last part of a batch, not before."""
    if isinstance(forward, DistributedDataParallel) and not is_last_part:
        return forward.no_sync()
    return contextlib.nullcontext()


def average_buffers(model: nn.Module) -> None:
    """Give every process the mean of the floating point buffers: running means and variances of batch normalisation."""
    buffers = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    if world() == 1 or not buffers:
        return
    # One message for all buffers.
    flat = torch.cat([buffer.flatten() for buffer in buffers])
    distributed.all_reduce(flat)
    means = torch.split(flat / world(), [buffer.numel() for buffer in buffers])
    for buffer, mean in zip(buffers, means, strict=True):
        buffer.copy_(mean.view_as(buffer))


def sum_over_ranks(values: Sequence[float]) -> list[float]:
    """The sum of each value over all processes, in all processes."""
    if world() == 1:
        return list(values)
    total = torch.tensor(values, dtype=torch.float64)
    distributed.all_reduce(total)
    return [float(value) for value in total.tolist()]


def max_over_ranks(value: float) -> float:
    """The largest value of all processes, in all processes."""
    if world() == 1:
        return value
    found = torch.tensor(value, dtype=torch.float64)
    distributed.all_reduce(found, distributed.ReduceOp.MAX)
    return float(found)


def broadcast_number(value: float) -> float:
    """Rank 0's value, in all processes."""
    if world() == 1:
        return value
    said = torch.tensor(value, dtype=torch.float64)
    distributed.broadcast(said, 0)
    return float(said)


def broadcast_object(own: Any) -> Any:
    """Rank 0's picklable object, in all processes: no GPU's last bit makes them differ."""
    if world() == 1:
        return own
    said = [own]
    distributed.broadcast_object_list(said, 0)
    return said[0]


def gather_objects(own: Any) -> list[Any]:
    """Every process's picklable object, by rank, in rank 0; [] in the others."""
    if world() == 1:
        return [own]
    found: list[Any] = [None] * world() if rank() == 0 else []
    distributed.gather_object(own, found if rank() == 0 else None)
    return found


class Stopwatch:
    """Training time in seconds as measured on rank 0, in every process; paused until `restart`."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Leave out what was done since the last lap: saving, validating."""
        self.last = now()

    def lap(self) -> float:
        """Seconds since the last lap."""
        began = self.last
        self.last = now()
        return broadcast_number(self.last - began)


def train_in_processes(work: Work, job: StageRun[TrainParams], folder: Path, *, node: Node) -> None:
    """Run `work(job, folder)` in this node's share of train.processes, which find each other through torch.distributed.

    Raises ConfigError for more processes than GPUs, the PipelineError of a process, Interrupted after SIGTERM,
    StageDied when processes died again and again, ServiceUnavailable when other nodes do not come.
    """
    (folder / REASON).unlink(missing_ok=True)
    multiprocessing.set_forkserver_preload(list(LOADED_ONCE))
    os.environ.setdefault("PYTHONWARNINGS", NO_ALARM)

    # Every attempt begins with all nodes, and goes on from the last checkpoint.
    died = ""
    for _ in range(1 + RESTARTS):
        seat = node.meet()
        _check_gpus(job, job.params.processes // seat.nodes)
        died = _attempt(work, job, folder, seat)
        if not died:
            return node.leave()
        log.warning("a training process died (%s): all begin again from the checkpoint", died)
    raise StageDied(
        f"a training process died, {1 + RESTARTS} times",
        file=folder,
        value=died,
        remedy="read the lines above; when memory ran out, lower train.processes or train.batch_size",
    )


def _attempt(work: Work, job: StageRun[TrainParams], folder: Path, seat: Seat) -> str:
    """Run this node's processes to their end, which is ""; otherwise says which died."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    config = LaunchConfig(
        min_nodes=seat.nodes,
        max_nodes=seat.nodes,
        nproc_per_node=job.params.processes // seat.nodes,
        run_id=seat.run,
        rdzv_backend="static",
        rdzv_endpoint=seat.address,
        rdzv_configs={"rank": seat.node, "timeout": AGREE_S},
        logs_specs=DefaultLogsSpecs(
            log_dir=str(folder)
        ),  # its empty folders go with the checkpoint
        max_restarts=0,  # an attempt of ours begins on all nodes
        start_method="forkserver",  # the libraries are loaded once for all processes, and by no thread of ours,
    )
    try:
        elastic_launch(config, _member)(work, job, folder, os.getpid())
    except SignalException as error:
        raise Interrupted(
            "training was told to stop",
            file=folder,
            value=error.sigval.name,
            remedy="run again; it continues from its checkpoint",
        ) from error
    except ChildFailedError as error:
        # What a process could say itself is better than its exit code.
        _raise_reason(folder)
        rank_of_first, failure = error.get_first_failure()
        return f"process {rank_of_first}, exit code {failure.exitcode}"
    except DistError as error:
        return f"another node: {str(error).splitlines()[0]}"
    return ""


def _member(work: Work, job: StageRun[TrainParams], folder: Path, stage_pid: int) -> None:
    """The life of one process. It watches the stage: the server that forked it lives as long as it does.

    A stage that is gone was killed: to stop in order would stop the processes of other nodes too.
    """
    die_with_parents(stage_pid, grace_s=0)
    log_to_stderr("train: %(message)s")
    if os.environ["RANK"] == "0":
        logging.getLogger("pipeline_lib").setLevel(logging.INFO)
    try:
        work(job, folder)
    except PipelineError as error:
        # A normal end would wait for the threads of gloo, and these for the other processes.
        write_text(folder / REASON, error.as_json())
        os._exit(1)
    except Exception:  # noqa: BLE001 - whatever it is, mostly that another process has gone
        sys.stderr.write(shown(traceback.format_exc()))
        sys.stderr.flush()
        os._exit(1)


def _raise_reason(folder: Path) -> None:
    if (folder / REASON).exists():
        raise read_reason((folder / REASON).read_text(encoding="utf-8"))


def _check_gpus(job: StageRun[TrainParams], n_processes: int) -> None:
    """Raise ConfigError for more processes than GPUs. Without any GPU, processes share the CPU."""
    n_gpus = torch.cuda.device_count() if job.settings.device != "cpu" else 0
    if 0 < n_gpus < n_processes:
        raise ConfigError(
            "more processes than GPUs",
            file="params.yaml",
            value=f"{n_processes} processes, {n_gpus} GPUs",
            remedy=f"set train.processes to {n_gpus}, or PERENNIAL_DEVICE=cpu",
        )
