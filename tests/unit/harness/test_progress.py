"""Progress: a line in a log, a live line on a terminal."""

from __future__ import annotations

import io
import logging
import os
import pty
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline_lib.harness.progress import Meter, progress
from pipeline_lib.harness.terminal import clearing
from pipeline_lib.settings import Settings
from tasks.dvc_outcome import progress_of


@contextmanager
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Our end of a terminal of 60 columns that stderr writes to. No fixture: pytest sets stderr after those."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        patch.setenv("COLUMNS", "60")
        yield ours
    os.close(ours)


def read_whole(end: int) -> str:
    """What was written to the terminal so far: it arrives in pieces, a little after the write has returned."""
    last = "<end>"
    print(end=last, file=sys.stderr, flush=True)
    said = ""
    while not said.endswith(last):
        said += os.read(end, 10_000).decode()
    return said.removesuffix(last)


def test_a_log_line_has_share_rate_time_left_the_wait_for_data_and_the_note(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    meter = Meter("train", "images", 8, every_s=0)

    for _ in meter.waited_for(iter(["batch"])):
        meter.step(2, "epoch 1, loss 2.3")

    (line,) = caplog.messages
    form = r"progress: train 2/8 images, 25 %, \S+ images/s, \d+ s left, \d+ % waiting for data, epoch 1, loss 2.3"
    assert re.fullmatch(form, line)
    progress = progress_of(line)
    assert progress is not None and progress.percent == 25


def test_where_the_end_is_not_known_there_is_no_share_and_a_rate_is_a_plain_number(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    meter = Meter("list", "files", None, every_s=0)

    meter.step(123_456)

    (line,) = caplog.messages
    assert re.fullmatch(r"progress: list 123456 files, \d+000 files/s", line)


def test_no_more_time_is_left_than_the_work_is_given(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    meter = Meter("train", "images", 10**12, every_s=0)

    meter.step(1, most_s=90)
    meter.step(1, most_s=-0.7)

    assert [message.rpartition(", ")[2] for message in caplog.messages] == ["90 s left", "0 s left"]


def test_waiting_is_counted_and_changes_no_item() -> None:
    meter = Meter("train", "images", 8, every_s=30)

    assert list(meter.waited_for(iter("abc"))) == ["a", "b", "c"]
    assert meter.waited_s > 0


def test_on_a_terminal_one_line_is_written_over_and_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_lib.harness.progress.LIVE_EVERY_S", 0.0)

    with terminal(monkeypatch) as end:
        meter = Meter("train", "images", 4, every_s=30)
        meter.step(1, "a note that is far too long for a terminal of sixty columns")
        meter.step(1)
        said = read_whole(end)

    _, first, second = said.split("\r\x1b[K")
    assert first.startswith("train 1/4 images, 25 %, ") and len(first) == 59
    assert second.startswith("train 2/4 images, 50 %, ")
    assert "\n" not in said


def test_a_log_line_wipes_the_live_line_and_nothing_where_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with terminal(monkeypatch):
        assert clearing() == "\r\x1b[K"
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert clearing() == ""


def test_the_live_line_is_gone_when_the_work_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_lib.harness.progress.LIVE_EVERY_S", 0.0)

    with terminal(monkeypatch) as end:
        with progress("convert", "images", 4, Settings()) as step:
            step(1)
        said = read_whole(end)

    assert re.fullmatch("\r\x1b\\[Kconvert 1/4 images, 25 %, .*\r\x1b\\[K", said)
