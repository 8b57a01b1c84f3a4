"""Process groups: killed whole, found again after a crash, and never mistaken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tasks import process_group
from tasks.process_group import (
    group_lives,
    kill_group,
    kill_recorded,
    put_on_record,
    recorded_pid,
    started,
)

SLEEPER = "import time; print('up', flush=True); time.sleep(1200)"
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEPER}"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SLEEPER!r}])"


def sleeper(code: str = SLEEPER) -> subprocess.Popen[str]:
    """A process that is up and sleeps; nobody reads on what it says."""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    return process


def test_an_exception_in_the_block_kills_child_and_grandchild(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        with started(
            [sys.executable, "-c", PARENT],
            cwd=tmp_path,
            environment=dict(os.environ),
            record=tmp_path / "r.json",
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            raise KeyboardInterrupt

    assert not group_lives(process.pid)
    assert process.returncode is not None  # reaped: no zombie
    assert not (tmp_path / "r.json").exists()


def test_a_process_deaf_to_term_is_killed_after_the_grace() -> None:
    process = sleeper(DEAF)

    kill_group(process.pid, grace_s=0.3)

    assert process.wait(timeout=60) == -9


def test_stop_all_ends_what_other_threads_wait_for_and_lets_nothing_start(tmp_path: Path) -> None:
    codes = []

    def work(name: str) -> None:
        with started(
            [sys.executable, "-c", SLEEPER],
            cwd=tmp_path,
            environment=dict(os.environ),
            record=tmp_path / name,
        ) as process:
            assert process.stdout is not None
            list(process.stdout)
        codes.append(process.returncode)

    thread = threading.Thread(target=work, args=("a.json",))
    thread.start()
    while not (tmp_path / "a.json").exists():
        time.sleep(0.01)
    process_group.stop_all()
    thread.join(timeout=300)
    work("b.json")

    assert codes == [-15, -15]


def test_what_is_on_record_is_killed_and_forgets_it(tmp_path: Path) -> None:
    process = sleeper()
    put_on_record(process.pid, tmp_path / "train.json")

    killed = kill_recorded(tmp_path)

    assert killed == [process.pid]
    assert process.wait(timeout=60) == -15
    assert list(tmp_path.iterdir()) == []


def test_the_process_that_kills_is_not_killed(tmp_path: Path) -> None:
    put_on_record(os.getpid(), tmp_path / "flow.json")

    assert kill_recorded(tmp_path) == []


def test_a_pid_that_now_belongs_to_another_process_is_not_touched(tmp_path: Path) -> None:
    process = sleeper()
    (tmp_path / "train.json").write_text(json.dumps({"pid": process.pid, "start_time": "1"}))

    killed = kill_recorded(tmp_path)

    assert killed == []
    assert process.poll() is None
    kill_group(process.pid)
    process.wait(timeout=60)


def test_a_process_that_is_gone_has_no_recorded_pid(tmp_path: Path) -> None:
    process = sleeper()
    put_on_record(process.pid, tmp_path / "flow.json")
    assert recorded_pid(tmp_path / "flow.json") == process.pid

    process.kill()
    process.wait()

    assert recorded_pid(tmp_path / "flow.json") is None
    assert recorded_pid(tmp_path / "never.json") is None
