"""Start the processes of one training, as torchrun does: they end together, and begin again together when one dies."""

from __future__ import annotations

import logging
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch
from torch.distributed import DistError

from pipeline_lib.errors import ConfigError, Interrupted, PipelineError, StageDied, read_reason
from pipeline_lib.files.atomic import write_text
from pipeline_lib.harness.parent_watch import die_with_parents
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.shown import log_to_stderr, shown
from pipeline_lib.train.meeting import Node, Seat

RESTARTS = 3  # after the death of a process; each goes on from the last checkpoint
AGREE_S = 60  # for the nodes to tell each other their processes
REASON = "reason.json"  # in the checkpoint's folder: why the processes ended
LOADED_ONCE = ("pipeline_lib.train.run", "torch._dynamo")  # DistributedDataParallel loads the latter
NO_ALARM = "ignore::RuntimeWarning:runpy"  # that the stage, which is their main module, is loaded already
log = logging.getLogger(__name__)
Work = Callable[[StageRun, Path], None]


def train_in_processes(work: Work, job: StageRun, folder: Path, *, node: Node) -> None:
    """Run `work(job, folder)` in this node's share of train.processes, which find each other through torch.distributed.

    Raises ConfigError for more processes than GPUs, the PipelineError of a process, Interrupted when told to stop,
    StageDied when processes died again and again, ServiceUnavailable when other nodes do not come.
    """
    (folder / REASON).unlink(missing_ok=True)
    multiprocessing.set_forkserver_preload(list(LOADED_ONCE))
    os.environ.setdefault("PYTHONWARNINGS", NO_ALARM)
    for _ in range(1 + RESTARTS):
        seat = node.meet()
        _enough_devices(job, job.params.processes // seat.nodes)
        if not (died := _attempt(work, job, folder, seat)):
            return node.leave()
        log.warning("a training process died (%s): all begin again from the checkpoint", died)
    remedy = "read the lines above; when memory ran out, lower train.processes or train.batch_size"
    raise StageDied(f"a training process died, {1 + RESTARTS} times", file=folder, value=died, remedy=remedy)


def _attempt(work: Work, job: StageRun, folder: Path, seat: Seat) -> str:
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
        logs_specs=DefaultLogsSpecs(log_dir=str(folder)),  # its empty folders go with the checkpoint
        max_restarts=0,  # an attempt of ours begins on all nodes
        start_method="forkserver",  # the libraries are loaded once for all processes, and by no thread of ours
    )
    try:
        elastic_launch(config, _member)(work, job, folder, os.getpid())
    except SignalException as error:
        what, remedy = "training was told to stop", "run again; it continues from its checkpoint"
        raise Interrupted(what, file=folder, value=error.sigval.name, remedy=remedy) from error
    except ChildFailedError as error:
        _raise_reason(folder)
        rank, failure = error.get_first_failure()
        return f"process {rank}, exit code {failure.exitcode}"
    except DistError as error:
        return f"another node: {str(error).splitlines()[0]}"
    return ""


def _member(work: Work, job: StageRun, folder: Path, stage_pid: int) -> None:
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
        write_text(folder / REASON, error.as_json())
        os._exit(1)  # a normal end would wait for the threads of gloo, and these for the other processes
    except Exception:  # noqa: BLE001 - whatever it is, mostly that another process has gone
        sys.stderr.write(shown(traceback.format_exc()))
        sys.stderr.flush()
        os._exit(1)


def _raise_reason(folder: Path) -> None:
    if (folder / REASON).exists():
        raise read_reason((folder / REASON).read_text(encoding="utf-8"))


def _enough_devices(job: StageRun, processes: int) -> None:
    devices = torch.cuda.device_count() if job.settings.device != "cpu" else 0
    if 0 < devices < processes:
        what, remedy = "more processes than GPUs", f"set train.processes to {devices}, or PERENNIAL_DEVICE=cpu"
        raise ConfigError(what, file="params.yaml", value=f"{processes} processes, {devices} GPUs", remedy=remedy)
