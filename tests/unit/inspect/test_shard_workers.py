"""Shards are worked in processes; what goes wrong there is told in one line that names the shard."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData, CodeFailed, Interrupted
from pipeline_lib.shard_workers import work_on_shards
from tests.unit.inspect import worker_tasks

UNITS = {f"shard-{number}": number for number in range(7)}


def test_every_shard_is_done_once():
    done = list(work_on_shards(worker_tasks.square, UNITS, workers=2))

    assert sorted(done) == [(f"shard-{number}", number * number) for number in range(7)]


def test_the_work_is_done_in_other_processes():
    pids = {pid for _, pid in work_on_shards(worker_tasks.pid, UNITS, workers=2)}

    assert len(pids) <= 2
    assert os.getpid() not in pids


def test_one_shard_needs_no_other_process():
    assert list(work_on_shards(worker_tasks.pid, {"only": 1}, workers=8)) == [("only", os.getpid())]


def test_no_shards_are_no_work():
    assert list(work_on_shards(worker_tasks.pid, {}, workers=8)) == []


def test_a_killed_worker_is_named_with_its_shard_and_leaves_none_behind():
    message = (
        r"^shard shard-3: a worker process was killed \(found: SIGKILL\)\. Remedy: .*PERENNIAL_WORKERS.*it continues$"
    )

    with pytest.raises(Interrupted, match=message):
        list(work_on_shards(worker_tasks.be_killed_by_three, UNITS, workers=2))

    assert children_of(os.getpid()) == []


def test_a_users_error_arrives_whole():
    with pytest.raises(BadData, match=r"^x\.jpg: a bad file \(found: 3\)\. Remedy: remove it$"):
        list(work_on_shards(worker_tasks.object_to_three, UNITS, workers=2))


def test_a_defect_in_a_worker_is_told_as_one_with_its_traceback(capfd):
    with pytest.raises(
        CodeFailed, match=r"^shard shard-3: ZeroDivisionError in our code \(found: .*\)\. Remedy: report"
    ):
        list(work_on_shards(worker_tasks.fail_at_three, UNITS, workers=2))

    assert "fail_at_three" in capfd.readouterr().err


def test_workers_end_when_their_parent_is_killed():
    program = (
        "from pipeline_lib.shard_workers import work_on_shards\n"
        "from tests.unit.inspect.worker_tasks import sleep_for_ever\n"
        "if __name__ == '__main__': list(work_on_shards(sleep_for_ever, {'a': 1, 'b': 2}, workers=2))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    workers = wait_for(
        lambda: [pid for pid in children_of(parent.pid) if "spawn_main" in command(pid)], lambda found: len(found) == 2
    )

    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    assert wait_for(lambda: [pid for pid in workers if command(pid)], lambda left: not left) == []


def children_of(pid):
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in listed if "resource_tracker" not in command(int(child))]


def command(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def wait_for(look, enough):
    deadline = time.monotonic() + 10
    while not enough(found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found
