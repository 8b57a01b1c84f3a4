"""A training for a given time, with a clock that says one second more each time it is read: once for every step."""

from __future__ import annotations

import contextlib
import itertools
import signal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline_lib.errors import Interrupted
from pipeline_lib.train import distributed
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.params import TrainParams
from pipeline_lib.train.run import run
from pipeline_lib.train.schedule import learning_rate, step_by_time
from testing.small_line import SmallLine

LIMITED: dict[str, Any] = {
    "batch_size": 16,
    "epochs": 50,
    "budget_minutes": 3.5 / 60,
    "train_from_px": 24,
}  # 3 steps in an epoch


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The side of the images of each step."""
    sides, real, seconds = [], Learner.update, itertools.count()

    def update(learner: Learner, batch: Any, **how: Any) -> Any:
        sides.append(batch.images_BHWC.shape[1])
        return real(learner, batch, **how)

    monkeypatch.setattr(Learner, "update", update)
    monkeypatch.setattr(
        "pipeline_lib.train.run._tell_cost", lambda *_, **__: None
    )  # it tries steps
    monkeypatch.setattr(distributed, "now", lambda: float(next(seconds)))
    return sides


def test_when_the_time_is_up_the_rate_has_fallen_the_images_have_grown_and_the_run_is_validated(
    small_line: SmallLine, tmp_path: Path, shown: list[int]
) -> None:
    """3.5 seconds are four steps of 150: three in an epoch, and one that begins when 3 / 3.5 of the time is gone."""
    job = small_line.train(tmp_path, **LIMITED)

    run(job)

    curves = pd.read_csv(tmp_path / "curves.csv")
    assert shown == [24, 24, 24, 32]
    assert list(curves["epoch"]) == [1, 2] and curves["val_loss"].notna().all()
    peak = job.params.peak_learning_rate
    rates = [learning_rate(step, 150, peak=peak, schedule="one_cycle") for step in (85, 128)]
    assert list(curves["learning_rate"]) == pytest.approx(rates)


def test_a_stopped_run_has_the_time_that_is_left_also_with_images_that_stay_in_memory(
    small_line: SmallLine, tmp_path: Path, shown: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(small_line.train(tmp_path / "undisturbed", **LIMITED))
    settings = small_line.settings().model_copy(update={"loader": "resident"})
    job, real = small_line.train(tmp_path / "stopped", settings=settings, **LIMITED), Learner.update

    def update(learner: Learner, batch: Any, **how: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return real(learner, batch, **how)

    with monkeypatch.context() as patch:
        patch.setattr(Learner, "update", update)
        for _ in range(4):
            with contextlib.suppress(Interrupted):
                run(job)
    run(job)

    assert shown == 2 * [24, 24, 24, 32]
    names = ("weights/model.safetensors", "weights/model.json", "curves.csv")
    assert all(
        (tmp_path / "stopped" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
        for name in names
    )


def test_the_schedule_follows_steps_or_time_whichever_is_further() -> None:
    assert step_by_time(7, 100, spent_s=50, budget_s=0) == 7
    assert step_by_time(7, 100, spent_s=5, budget_s=100) == 7
    assert step_by_time(7, 100, spent_s=50, budget_s=100) == 50
    assert step_by_time(7, 100, spent_s=200, budget_s=100) == 99


def test_a_probe_has_its_epochs_share_of_the_time() -> None:
    recipe = TrainParams(epochs=6, probe_epochs=2, budget_minutes=4)

    assert [phase.budget_s for phase in phases(recipe)] == [60, 180]
