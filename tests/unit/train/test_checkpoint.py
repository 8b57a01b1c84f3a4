"""A training that is stopped, or killed, goes on as if nothing had been.

benchmarks/robustness/kill_train.py kills 20 times.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from pipeline_lib.errors import Interrupted
from pipeline_lib.harness.line import read_line
from pipeline_lib.harness.progress import Meter
from pipeline_lib.networks.build import build_network
from pipeline_lib.train import checkpoint
from pipeline_lib.train.checkpoint import Checkpoints, place_for
from pipeline_lib.train.linear_probe import Start, whiten_and_probe
from pipeline_lib.train.run import run
from testing.small_line import SmallLine, trained_bytes

ROOT = Path(__file__).parents[3]
SHORT: dict[str, Any] = {"epochs": 2, "batch_size": 16}  # 3 steps in an epoch
AVERAGED: dict[str, Any] = {"rotation_deg": 10.0, "sampling": "balanced"}
DROPOUT: dict[str, Any] = {
    "network": "small_cnn",
    "optimiser": "adamw",
    "peak_learning_rate": 1e-3,
    "probe_epochs": 1,
}

MIXED: dict[str, Any] = {
    "optimiser": "muon",
    "peak_learning_rate": 0.02,
    "mixup_alpha": 0.2,
    "cutmix_alpha": 1.0,
    "policy": "trivial",
}
MIXED |= {"micro_batches": 2, "clip_norm": 1.0, "ema_half_life_epochs": 0.3, "train_from_px": 24}

FINE_TUNED: dict[str, Any] = {
    **DROPOUT,
    "weights": "small_cnn.safetensors",
    "frozen_share": 0.4,
    "start_share": 0.5,
}


def _after_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[], object]) -> None:
    """Do something when that many steps of a run are done."""
    done, real = [], Meter.step

    def count(meter: Meter, *arguments: Any) -> None:
        real(meter, *arguments)
        done.append(1)
        if len(done) == step:
            act()

    monkeypatch.setattr(Meter, "step", count)


def _kept(folder: Path) -> list[Path]:
    return list(folder.glob(".perennial/checkpoints/*/checkpoint.pt"))


@pytest.mark.parametrize(
    "params",
    [AVERAGED, DROPOUT, MIXED, FINE_TUNED],
    ids=["sgd and average", "probe, adamw and dropout", "muon, mixed and growing", "fine-tuned"],
)
def test_stopped_by_sigterm_after_every_single_step_it_writes_the_same_bytes(
    small_line: SmallLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    params: dict[str, Any],
) -> None:
    caplog.set_level(logging.INFO)
    params = {**SHORT, **params}
    if "weights" in params:
        params |= _fresh_weights(small_line.folder / params["weights"])
    run(small_line.train(tmp_path / "undisturbed", **params))
    job, stops = small_line.train(tmp_path / "stopped", **params), 0

    while not job.writes["weights"].exists():
        with monkeypatch.context() as patch, contextlib.suppress(Interrupted):
            _after_step(patch, 1, lambda: signal.raise_signal(signal.SIGTERM))
            run(job)
        stops += 1

    assert stops == 7  # after each of six steps, and then to the end
    assert trained_bytes(tmp_path / "stopped") == trained_bytes(tmp_path / "undisturbed")
    assert not _kept(small_line.folder)
    assert caplog.text.count("a head for 60 images") == (
        2 if "probe_epochs" in params else 0
    )  # once in each


def _fresh_weights(file: Path) -> dict[str, str]:
    torch.manual_seed(0)
    network = build_network("small_cnn", n_classes=3, side_px=32)
    save_file(network.state_dict(), file)
    return {"weights": str(file), "weights_sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def test_what_came_before_the_first_step_is_kept(
    small_line: SmallLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_while_probing(*arguments: Any, **options: Any) -> Start:
        signal.raise_signal(signal.SIGTERM)
        return whiten_and_probe(*arguments, **options)

    monkeypatch.setattr("pipeline_lib.train.run.whiten_and_probe", told_while_probing)

    with pytest.raises(Interrupted, match="told to stop"):
        run(small_line.train(tmp_path, **SHORT, **DROPOUT))

    at = torch.load(_kept(small_line.folder)[0], weights_only=True)["at"]
    assert (at["phase"], at["epoch"], at["step"]) == (0, 0, 0)


def test_a_checkpoint_is_of_the_same_code_inputs_and_parameters_or_not_used(
    small_line: SmallLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        monkeypatch.context() as patch,
        pytest.raises(Interrupted, match="training was told to stop.*run again"),
    ):
        _after_step(patch, 2, lambda: signal.raise_signal(signal.SIGTERM))
        run(small_line.train(tmp_path, **SHORT))
    caplog.set_level(logging.INFO)

    run(small_line.train(tmp_path, **SHORT, seed=5))
    assert "going on" not in caplog.text

    run(small_line.train(tmp_path, **SHORT))
    assert "going on from the checkpoint: 0 epochs and 2 steps are done" in caplog.text


def test_a_checkpoint_that_cannot_be_read_is_named_and_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints = Checkpoints(tmp_path, every_s=60, stop_requested=threading.Event())
    checkpoints.save({"at": {}})
    checkpoints.file.write_bytes(checkpoints.file.read_bytes()[:-100])

    assert checkpoints.load() is None
    assert "checkpoint.pt cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("step_s", "asked"), [(0.125, [1, 5, 9]), (2.0, [1, 2, 3, 4, 5, 6, 7, 8, 9])]
)
def test_gpus_that_train_together_are_asked_twice_a_second_or_at_every_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step_s: float, asked: list[int]
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    told = threading.Event()
    checkpoints = Checkpoints(tmp_path, every_s=60, stop_requested=told)
    checkpoints.asking_is_slow = True  # as where there is CUDA
    told.set()

    answers = []
    for step in range(1, 10):
        now[0] += step_s
        answers += [step] if checkpoints.due(step) else []

    assert answers == asked
    now[0] += 60
    assert checkpoints.due(0)  # before a phase


def test_two_runs_of_the_same_training_do_not_write_the_same_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "LOCK_WAIT_S", 0.2)

    with place_for(tmp_path, "k", keep_days=1):
        with pytest.raises(
            Interrupted, match="another process runs the same training.*wait for it to end"
        ):
            with place_for(tmp_path, "k", keep_days=1):
                pass


def test_who_waits_for_the_same_training_to_end_gets_a_folder_of_its_own(tmp_path: Path) -> None:
    def come_next() -> bool:
        with place_for(tmp_path, "k", keep_days=1) as place:
            return (place / "lock").exists()

    with ThreadPoolExecutor(1) as beside:
        with place_for(tmp_path, "k", keep_days=1):
            waiting = beside.submit(come_next)
            time.sleep(0.3)
            assert not waiting.done()
        assert waiting.result()

    assert list(tmp_path.iterdir()) == []


def test_checkpoints_of_trainings_that_were_given_up_go_after_some_days(tmp_path: Path) -> None:
    for name, age_days in (("old", 61), ("young", 59)):
        (tmp_path / name).mkdir()
        Checkpoints(tmp_path / name, every_s=60, stop_requested=threading.Event()).save({})
        then = (tmp_path / name).stat().st_mtime - age_days * 86_400
        os.utime(tmp_path / name, (then, then))

    with place_for(tmp_path, "mine", keep_days=60):
        left = {path.name for path in tmp_path.iterdir()}

    assert left == {"young", "mine"}


DYING = """
import os, signal, sys
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import main
steps, real = [], Meter.step
def count(meter, *arguments):
    real(meter, *arguments)
    steps.append(1)
    if len(steps) == int(sys.argv[1]):
        os.kill(os.getpid(), signal.SIGKILL)
Meter.step = count
sys.exit(main(["train"]))
"""


@pytest.fixture
def checkout(small_line: SmallLine, tmp_path: Path) -> Path:
    """A folder in which the stage runs as dvc runs it."""
    (tmp_path / "params.yaml").write_text(json.dumps({"train": {**SHORT, "threads": 1}}))
    (tmp_path / "dvc.yaml").symlink_to(ROOT / "dvc.yaml")
    for name in ("convert/betons", "curate/selection", "curate/classes.csv"):
        (tmp_path / "line" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "line" / name).symlink_to(small_line.folder / Path(name).name)
    return tmp_path


def _stage(checkout: Path, dies_after: int) -> int:
    """Run the stage in a process of its own, with a checkpoint after each step; returns its exit code."""
    settings = {
        "PERENNIAL_CHECKPOINT_EVERY_S": "0",
        "PERENNIAL_WORKERS": "1",
        "DVC_ROOT": str(checkout),
    }
    return subprocess.run(
        [sys.executable, "-c", DYING, str(dies_after)],
        cwd=checkout,
        env={**os.environ, **settings, "PYTHONPATH": str(ROOT)},
        check=False,
        timeout=120,
    ).returncode


def test_after_kill_nine_the_stage_goes_on_from_the_last_checkpoint_to_the_same_bytes(
    small_line: SmallLine, checkout: Path, tmp_path: Path
) -> None:
    run(
        small_line.train(
            tmp_path / "undisturbed",
            **{**SHORT, "ema_half_life_epochs": None, "peak_learning_rate": None},
        )
    )

    killed = _stage(checkout, dies_after=4)
    kept = len(_kept(checkout))
    ended = _stage(checkout, dies_after=99)

    assert (killed, kept, ended) == (-signal.SIGKILL, 1, 0)
    assert trained_bytes(checkout / "line/train") == trained_bytes(tmp_path / "undisturbed")
    assert not _kept(checkout)


def test_the_key_of_a_checkpoint_holds_all_the_code_that_dvc_tracks_for_the_stage() -> None:
    reads = read_line(ROOT).stage_files("train").reads  # all of which the key holds

    assert reads["code_of_train"] == ROOT / "line/discover/code_of_train.txt"
