"""Two processes train together, over gloo on the CPU: a share of each batch, one set of weights, one set of files."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from pipeline_lib.errors import BadData, ConfigError, Interrupted, StageDied
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import Batch
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.saved_weights import load_weights
from pipeline_lib.settings import Settings
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.train import distributed
from pipeline_lib.train import run as stage
from pipeline_lib.train.checkpoint import Checkpoints
from pipeline_lib.train.distributed import broadcast_object, process_group, rank, train_in_processes
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loaders import open_images
from pipeline_lib.train.loop import validate
from pipeline_lib.train.loss import Objective
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.rendezvous import first_node
from testing.served import free_port
from testing.small_line import SmallLine, trained_bytes

TWO = {"epochs": 2, "batch_size": 16, "processes": 2}  # 3 steps in an epoch
TWO |= {"budget_minutes": 600}  # so long that it changes nothing: but they tell each other the time
WISH = (
    "wish"  # in the folder of the checkpoint: pid of the stage, and what is to happen at which step
)


def _job(small_line: SmallLine, out: Path, **params: Any) -> StageRun[TrainParams]:
    """A job with an odd number of validation images, which saves a checkpoint after each step."""
    settings = small_line.settings().model_copy(update={"checkpoint_every_s": 0.0})
    job = small_line.train(out, settings=settings, **{**TWO, **params})
    job.reads["selection"] = out / "selection"
    shutil.copytree(small_line.folder / "selection", out / "selection", dirs_exist_ok=True)
    rows = SELECTION.read(out / "selection/val.parquet")
    SELECTION.write(rows.iloc[1:], out / "selection/val.parquet")
    return job


def _launch(
    work: Callable[[StageRun[TrainParams], Path], None], job: StageRun[TrainParams], folder: Path
) -> None:
    with first_node("", nodes=1, key="") as node:
        train_in_processes(work, job, folder, node=node)


@pytest.fixture(scope="module")
def undisturbed(small_line: SmallLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("two_processes")
    stage.run(_job(small_line, out))
    return out


def test_every_image_is_validated_once_and_with_the_buffers_that_are_kept(
    small_line: SmallLine, undisturbed: Path
) -> None:
    """One process, on its own, finds the same loss for the weights that two have kept."""
    job = _job(small_line, undisturbed)
    recipe = job.params
    network = build_network(recipe.network, n_classes=3, side_px=recipe.side_px)
    load_weights(network, undisturbed / "weights")
    model = Classifier(
        network.to(memory_format=torch.channels_last), mean=recipe.mean, std=recipe.std
    )
    loader = open_images(job, SELECTION.read(job.reads["selection"] / "val.parquet"), recipe)

    loss, top1 = validate(model, loader, torch.device("cpu"))

    curves = pd.read_csv(undisturbed / "curves.csv")
    kept = curves.iloc[curves["val_loss"].argmin()]
    assert (len(loader.image_ids), loss, top1) == (
        23,
        pytest.approx(kept["val_loss"], rel=1e-6),
        kept["val_top1"],
    )


def _disturbed(job: StageRun[TrainParams], folder: Path) -> None:
    """What a process does, with the accident that the file `WISH` asks of process 1."""
    real, wish = Checkpoints.due, json.loads((folder / WISH).read_text())

    def due(self: Checkpoints, step: int) -> bool:
        granted = folder / wish["signal"]
        if (os.environ["RANK"], step) == ("1", wish["step"]) and not granted.exists():
            granted.touch()
            os.kill(wish["pid"] or os.getpid(), signal.Signals[wish["signal"]])
            while not self.stop_requested.is_set():
                time.sleep(0.01)
        return real(self, step)

    Checkpoints.due = due  # type: ignore[method-assign]
    stage._train_as_one_of_them(job, folder)


def test_after_sigterm_and_after_kill_nine_of_one_process_both_go_on_to_the_same_bytes(
    small_line: SmallLine, undisturbed: Path, tmp_path: Path
) -> None:
    job, folder = _job(small_line, tmp_path / "out"), tmp_path / "place"
    folder.mkdir()

    def train(pid: int, sign: signal.Signals, step: int) -> None:
        (folder / WISH).write_text(json.dumps({"pid": pid, "signal": sign.name, "step": step}))
        _launch(_disturbed, job, folder)

    said = "training was told to stop .found: SIGTERM.*continues from its checkpoint"
    with pytest.raises(Interrupted, match=said) as told:
        train(os.getpid(), signal.SIGTERM, 1)
    at = torch.load(folder / "checkpoint.pt", weights_only=True)["at"]
    train(0, signal.SIGKILL, 2)

    assert (told.value.exit_code, at["epoch"], at["step"]) == (75, 0, 1)
    assert trained_bytes(tmp_path / "out") == trained_bytes(undisturbed)


def test_two_nodes_write_what_two_processes_of_one_node_write(
    small_line: SmallLine, undisturbed: Path, tmp_path: Path
) -> None:
    jobs = [_job(small_line, tmp_path / name) for name in ("first", "other")]
    nodes = {"train_nodes": 2, "train_rendezvous": f"localhost:{free_port()}"}
    first, other = (replace(job, settings=job.settings.model_copy(update=nodes)) for job in jobs)

    with ThreadPoolExecutor(1) as beside:
        joined_in = beside.submit(stage.join, other)
        stage.run(first)
        joined_in.result(timeout=300)

    assert trained_bytes(tmp_path / "first") == trained_bytes(undisturbed)
    assert not (tmp_path / "other/weights").exists()


IMAGES = Batch(
    torch.randint(
        0, 256, (12, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    ),
    torch.arange(12) % 3,
    torch.linspace(0.5, 1.5, 12),
    torch.arange(12),
)


def _learner(seed: int, *, micro_batches: int) -> Learner:
    torch.manual_seed(seed)
    recipe = RECIPES["quick"].changed(
        network="lenet", ema_half_life_epochs=0.0, micro_batches=micro_batches
    )
    model = Classifier(
        build_network("lenet", n_classes=3, side_px=32), mean=recipe.mean, std=recipe.std
    )
    return Learner(
        model, recipe, phases(recipe)[0], objective=Objective(), device=torch.device("cpu")
    )


def _one_step_each(job: StageRun[TrainParams], folder: Path) -> None:
    """Half of the images, in three parts, with weights of one's own to begin with."""
    with process_group(torch.device("cpu")):
        learner = _learner(rank(), micro_batches=3)
        sent: list[int] = []

        def noted(bucket: Any) -> Any:
            sent.append(bucket.index())
            return bucket

        learner.parallel.register_comm_hook(  # type: ignore[operator]
            None, lambda group, bucket: allreduce_hook(group, noted(bucket))
        )
        learner.update(Batch(*(tensor[rank() :: 2] for tensor in vars(IMAGES).values())), rate=0.0)
        gradients = [parameter.grad for parameter in learner.model.parameters()]
        torch.save((gradients, len(sent), broadcast_object(rank())), folder / f"{rank()}.pt")


def test_two_with_parts_of_a_batch_have_the_gradient_of_one_with_the_whole_and_send_it_once(
    small_line: SmallLine, tmp_path: Path
) -> None:
    alone = _learner(0, micro_batches=1)
    alone.update(IMAGES, rate=0.0)

    _launch(_one_step_each, _job(small_line, tmp_path / "out"), tmp_path)

    found = [torch.load(tmp_path / f"{number}.pt") for number in (0, 1)]
    for one, other, whole in zip(found[0][0], found[1][0], alone.model.parameters(), strict=True):
        assert torch.equal(one, other)
        torch.testing.assert_close(one, whole.grad, atol=1e-6, rtol=1e-4)
    assert [(sent, said) for _, sent, said in found] == [(1, 0), (1, 0)]


def _damaged(job: StageRun[TrainParams], folder: Path) -> None:
    if os.environ["RANK"] == "1":
        raise BadData("an image is damaged", file="a.beton", remedy="restore it")


def test_the_error_of_one_process_is_the_error_of_the_stage(
    small_line: SmallLine, tmp_path: Path
) -> None:
    with pytest.raises(BadData, match="a.beton: an image is damaged. Remedy: restore it"):
        _launch(_damaged, _job(small_line, tmp_path), tmp_path)


def _killed(job: StageRun[TrainParams], folder: Path) -> None:
    if os.environ["RANK"] == "1":
        os.kill(os.getpid(), signal.SIGKILL)


def _endless(job: StageRun[TrainParams], folder: Path) -> None:
    signal.signal(signal.SIGTERM, lambda *_: (folder / "told to stop").touch())
    (folder / "at work").touch()
    time.sleep(1200)


def _member_of(stage_pid: int, job: StageRun[TrainParams], folder: Path) -> None:
    os.environ["RANK"] = "1"
    distributed._member(_endless, job, folder, stage_pid)


def test_they_end_when_the_stage_is_killed(small_line: SmallLine, tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "1200"]) as killed:
        own = (killed.pid, _job(small_line, tmp_path / "out"), tmp_path)
        member = multiprocessing.get_context("forkserver").Process(target=_member_of, args=own)
        member.start()
        while member.is_alive() and not (tmp_path / "at work").exists():
            time.sleep(0.02)
        killed.kill()

    member.join(timeout=300)
    assert member.exitcode == -signal.SIGKILL
    assert not (
        tmp_path / "told to stop"
    ).exists()  # which would stop the processes of other nodes as well


def test_processes_that_die_again_and_again_are_given_up(
    small_line: SmallLine, tmp_path: Path
) -> None:
    with pytest.raises(
        StageDied, match="a training process died, 4 times .found: process 1, exit code -9.*memory"
    ):
        _launch(_killed, _job(small_line, tmp_path), tmp_path)


def test_batches_that_cannot_be_shared_are_refused() -> None:
    with pytest.raises(
        ValidationError, match="processes = 3 cannot share batches of 32: it must divide batch_size"
    ):
        TrainParams(processes=3)
    with pytest.raises(
        ValidationError, match="parts of less than two: lower it, batch_size is 32 for 4 processes"
    ):
        TrainParams(processes=4, micro_batches=8)


def test_more_processes_than_gpus_are_refused(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    job = small_line.train(tmp_path, settings=Settings(root=small_line.folder), **TWO)

    with pytest.raises(
        ConfigError,
        match="more processes than GPUs .found: 2 processes, 1 GPUs.*train.processes to 1",
    ):
        _launch(_killed, job, tmp_path)
