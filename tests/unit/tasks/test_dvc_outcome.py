"""Reading dvc's lines, as dvc 3.67 writes them (facts measured with the real one, see test_dvc_process)."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.errors import BadData, Interrupted, ProgramFailed, StageDied
from tasks.dvc_outcome import Progress, StageOutcome, failure_of, plain, progress_of, stage_outcome


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        ("Running stage 'train':", StageOutcome.RAN),
        ("Stage 'train' is cached - skipping run, checking out outputs", StageOutcome.FROM_CACHE),
        ("Stage 'train' didn't change, skipping", StageOutcome.ALREADY_CURRENT),
        ("Data and pipelines are up to date.", None),
        ("train: the stage 'x' is cached in memory", None),
    ],
)
def test_each_way_to_be_up_to_date_has_its_line(line: str, outcome: StageOutcome | None) -> None:
    assert stage_outcome(line) == outcome


def test_a_progress_line_of_the_library_is_read_back() -> None:
    line = "convert: progress: convert 1200/5000 images, 24 %, 310 images/s, 12 s left"

    assert progress_of(line) == Progress("convert", 24.0, "images, 24 %, 310 images/s, 12 s left")
    assert progress_of("convert: 5000 images") is None


def test_colours_are_stripped() -> None:
    assert plain("\x1b[31mERROR\x1b[39m: no\x1b[0m\n") == "ERROR: no"


def test_the_stages_own_reason_comes_before_all_words_of_dvc(tmp_path: Path) -> None:
    reason = tmp_path / "train.json"
    reason.write_text(
        BadData("no images", file="a.tar", value="0", remedy="name another").as_json()
    )

    error = failure_of("train", ["ERROR: failed to reproduce"], exit_code=255, reason=reason)

    assert isinstance(error, BadData)
    assert str(error) == "a.tar: no images (found: 0). Remedy: name another"


@pytest.mark.parametrize("said", ["exited with -9", "exited with 137"])
def test_a_stage_ended_by_a_signal_has_died_and_not_failed(tmp_path: Path, said: str) -> None:
    lines = [f"ERROR: failed to reproduce 'train': failed to run: python x, {said}"]

    error = failure_of("train", lines, exit_code=255, reason=tmp_path / "none")

    assert isinstance(error, StageDied)
    assert str(error).startswith(
        "train: a signal ended the stage (found: signal 9). Remedy: run again"
    )


def test_a_dvc_ended_by_a_signal_counts_as_a_stage_that_died(tmp_path: Path) -> None:
    error = failure_of("train", [], exit_code=-9, reason=tmp_path / "none")

    assert isinstance(error, StageDied)


def test_a_stage_that_exits_with_a_code_has_not_died(tmp_path: Path) -> None:
    lines = [
        "ERROR: failed to reproduce 'train': failed to run: python x, exited with 3",
        "the end",
    ]

    error = failure_of("train", lines, exit_code=255, reason=tmp_path / "none")

    assert type(error) is ProgramFailed
    assert "dvc could not bring the stage up to date (found: failed to reproduce 'train'" in str(
        error
    )


def test_a_lock_held_by_another_dvc_says_so(tmp_path: Path) -> None:
    lines = ["ERROR: '/w/a' is busy, it is being blocked by:", "  (PID 17): dvc repro"]

    error = failure_of("train", lines, exit_code=255, reason=tmp_path / "none")

    assert isinstance(error, Interrupted)
    assert "another dvc process is using these files" in str(error)
