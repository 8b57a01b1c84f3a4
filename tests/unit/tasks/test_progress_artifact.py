"""The progress bar of a stage in the Prefect UI."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from tasks import stage_task
from tasks.dvc_outcome import Progress


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What the bar was set to, in order."""
    percents: list[float] = []

    def create(percent: float, **_: Any) -> Any:
        percents.append(percent)
        return uuid4()

    monkeypatch.setattr(stage_task, "create_progress_artifact", create)
    monkeypatch.setattr(
        stage_task,
        "update_progress_artifact",
        lambda _, *, progress, description: percents.append(progress),
    )
    return percents


def test_a_stage_that_ended_stands_at_100_percent_though_its_last_line_said_97(
    shown: list[float],
) -> None:
    artifact = stage_task._ProgressArtifact("train")
    artifact.show(Progress("train", 97.0, "loss 0.1"))

    artifact.finish()

    assert shown == [97.0, 100.0]


def test_a_stage_without_progress_gets_no_bar_and_a_full_one_stays(shown: list[float]) -> None:
    silent, full = stage_task._ProgressArtifact("curate"), stage_task._ProgressArtifact("train")
    full.show(Progress("train", 100.0, ""))

    silent.finish()
    full.finish()

    assert shown == [100.0]
