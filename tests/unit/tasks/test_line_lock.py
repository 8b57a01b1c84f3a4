"""One run at a time: who holds the line, who waits, and that no death holds it up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tasks.line_lock import LineTaken, holder_of_line, holding_the_line, waiting_for_line
from testing.served import wait_until

HOLD = """
import sys, time
from pathlib import Path
from tasks.line_lock import holding_the_line
with holding_the_line(Path(sys.argv[1]), sys.argv[2], waits=True, on_wait=lambda holder: None):
    # A program that outlives its run: the lock is not its own.
    import subprocess
    child = subprocess.Popen(["sleep", "60"])
    print(child.pid, flush=True)
    time.sleep(60)
"""


def start(state: Path, run: str) -> subprocess.Popen[str]:
    """A process that holds the line for as long as it lives, or waits for it."""
    command = [sys.executable, "-c", HOLD, str(state), run]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_run_killed_with_kill_9_frees_the_line_though_a_program_it_started_lives_on(
    tmp_path: Path,
) -> None:
    run = start(tmp_path, "1-killed")
    assert run.stdout is not None
    child = int(run.stdout.readline())
    held_by = holder_of_line(tmp_path)

    run.kill()
    run.wait()
    run.stdout.close()

    os.kill(child, 0)
    freed = holder_of_line(tmp_path)
    with holding_the_line(tmp_path, "2-next", waits=False, on_wait=lambda _: None):
        next_one = holder_of_line(tmp_path)
    os.kill(child, signal.SIGKILL)
    assert (held_by, freed, next_one, holder_of_line(tmp_path)) == (
        "1-killed",
        None,
        "2-next",
        None,
    )


def test_a_run_that_does_not_wait_is_told_who_holds_the_line_and_leaves_no_trace(
    tmp_path: Path,
) -> None:
    with (
        holding_the_line(tmp_path, "1-first", waits=True, on_wait=lambda _: None),
        pytest.raises(LineTaken, match="run 1-first holds the line"),
        holding_the_line(tmp_path, "2-night", waits=False, on_wait=lambda _: None),
    ):
        pytest.fail("two at once")

    assert not list((tmp_path / "waiting").glob("*"))
    assert not (tmp_path / "running" / "2-night").exists()


def test_who_began_to_wait_first_is_next_and_a_dead_waiter_holds_nobody_up(tmp_path: Path) -> None:
    told: list[str] = []

    def wait_as_last() -> None:
        with holding_the_line(tmp_path, "4-last", waits=True, on_wait=told.append):
            told.append("held")

    with holding_the_line(tmp_path, "1-first", waits=True, on_wait=lambda _: None):
        dies, second = start(tmp_path, "2-dies"), start(tmp_path, "3-second")
        last = threading.Thread(target=wait_as_last)
        last.start()
        wait_until(lambda: waiting_for_line(tmp_path) == ["2-dies", "3-second", "4-last"])
        kill(dies)
    wait_until(lambda: holder_of_line(tmp_path) == "3-second")
    wait_until(lambda: told[-1] == "3-second")
    kill(second)
    last.join(timeout=60)

    assert told == ["1-first", "3-second", "held"]
    assert waiting_for_line(tmp_path) == []


def test_a_run_that_does_not_wait_does_not_slip_in_before_one_that_does(tmp_path: Path) -> None:
    with holding_the_line(tmp_path, "1-first", waits=True, on_wait=lambda _: None):
        waiter = start(tmp_path, "2-waits")
        wait_until(lambda: waiting_for_line(tmp_path) == ["2-waits"])
        os.kill(waiter.pid, signal.SIGSTOP)

    with (
        pytest.raises(LineTaken, match="2-waits"),
        holding_the_line(tmp_path, "3-night", waits=False, on_wait=lambda _: None),
    ):
        pytest.fail("it slipped in")
    kill(waiter)
