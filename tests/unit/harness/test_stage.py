"""The harness of a stage, run as dvc runs it: in a process of its own, in a folder with dvc.yaml and params.yaml."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from testing.kill import is_alive

ROOT = Path(__file__).parents[3]
TOY = """
import logging, os, sys, time
from pathlib import Path
def run(job):
    Path("started").write_text(str(os.getpid()))
    mode = os.environ.get("TOY", "ok")
    if mode == "sleep": time.sleep(1200)  # longer than any test waits: none ends by itself
    if mode == "full": raise OSError(28, "No space left on device", "table.parquet")
    if mode == "read-only":
        import shutil
        shutil.rmtree("line/reasons"); Path("line/reasons").write_text("no folder any more")
        raise OSError(30, "Read-only file system", "line/discover")
    if mode == "defect": raise ZeroDivisionError("no")
    if mode == "mendable":
        from pipeline_lib.errors import SourceMissing
        raise SourceMissing("no such file", file="a.tar", remedy="name another")
    job.writes["listing"].parent.mkdir(parents=True, exist_ok=True); job.writes["listing"].write_text("done")
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The library with a toy `discover`, and the line's own dvc.yaml."""
    shutil.copytree(
        ROOT / "pipeline_lib",
        tmp_path / "pipeline_lib",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(ROOT / "dvc.yaml", tmp_path)
    (tmp_path / "pipeline_lib/discover/run.py").write_text(TOY)
    toy_params = "from pipeline_lib.params_file import Params\nclass Toy(Params):\n    size: int = 1\nPARAMS = Toy\n"
    (tmp_path / "pipeline_lib/discover/params.py").write_text(toy_params)
    (tmp_path / "params.yaml").write_text("discover: {size: 2}\n")
    return tmp_path


def start(checkout: Path, mode: str = "ok", shell: bool = False) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pipeline_lib.stage", "discover"]
    environment = {**os.environ, "TOY": mode, "DVC_ROOT": str(checkout)}
    if shell:
        command = ["/bin/sh", "-c", " ".join(command) + "; true"]
    return subprocess.Popen(
        command, cwd=checkout, env=environment, text=True, stderr=subprocess.PIPE
    )


def wait_for(condition: object, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.05)


def test_a_stage_that_works_leaves_its_output_and_a_line_in_operations(checkout: Path) -> None:
    process = start(checkout)
    process.communicate(timeout=60)

    entry = json.loads((checkout / ".perennial/operations.jsonl").read_text())
    assert (
        process.returncode == 0
        and (checkout / "line/discover/listing.parquet").read_text() == "done"
    )
    assert entry["stage"] == "discover" and entry["ok"] and entry["wall_s"] >= 0
    assert entry["run"] == "" and "error" not in entry


@pytest.mark.parametrize("arguments", [["nosuch"], [], ["discover", "download"], ["../discover"]])
def test_what_is_no_stage_is_a_usage_error_that_lists_the_stages(
    checkout: Path, arguments: list[str]
) -> None:
    command = [sys.executable, "-m", "pipeline_lib.stage", *arguments]

    said = subprocess.run(command, cwd=checkout, text=True, capture_output=True, check=False)

    assert said.returncode == 2
    assert (
        "not a stage (found: " in said.stderr
        and "Remedy: name one of discover, download, inspect" in said.stderr
    )
    assert not (checkout / "line").exists()


def test_a_mendable_failure_is_the_last_line_and_the_reason_file(checkout: Path) -> None:
    process = start(checkout, "mendable")
    _, err = process.communicate(timeout=60)

    reason = json.loads((checkout / "line/reasons/discover.json").read_text())
    assert process.returncode == 66 == reason["exit_code"]
    assert (
        err.splitlines()[-1]
        == "discover: error[source_missing]: a.tar: no such file. Remedy: name another"
    )
    assert "Traceback" not in err
    entry = json.loads((checkout / ".perennial/operations.jsonl").read_text())
    assert not entry["ok"]
    assert entry["error"] == "error[source_missing]: a.tar: no such file. Remedy: name another"


def test_a_full_disk_that_nothing_translated_is_told_in_one_line(checkout: Path) -> None:
    process = start(checkout, "full")

    _, told = process.communicate()

    assert process.returncode == 73
    assert told.startswith("discover: error[no_space]: table.parquet: the disk is full (found: ")
    assert "Traceback" not in told


def test_a_read_only_folder_is_told_also_where_its_reason_cannot_be_written(checkout: Path) -> None:
    process = start(checkout, "read-only")

    _, told = process.communicate()

    assert process.returncode == 74
    assert told.startswith(
        "discover: error[access_refused]: line/discover: the file system is read-only (found: "
    )
    assert "Traceback" not in told


def test_a_defect_of_ours_shows_its_traceback_and_still_ends_in_one_line(checkout: Path) -> None:
    process = start(checkout, "defect")
    _, err = process.communicate(timeout=60)

    assert process.returncode == 70 and "Traceback" in err
    assert (
        "error[defect]: discover: ZeroDivisionError in our code (found: no). Remedy: report this"
        in err.splitlines()[-1]
    )


def test_the_next_run_clears_the_reason_of_the_last(checkout: Path) -> None:
    start(checkout, "mendable").communicate(timeout=60)
    start(checkout).communicate(timeout=60)

    assert not (checkout / "line/reasons/discover.json").exists()


def test_a_wrong_parameter_is_named_and_nothing_runs(checkout: Path) -> None:
    (checkout / "params.yaml").write_text("discover: {sise: 2}\n")

    process = start(checkout)
    _, err = process.communicate(timeout=60)

    assert (
        process.returncode == 78 and "discover.sise: no such key, nearest is discover.size" in err
    )
    assert not (checkout / "started").exists()


@pytest.mark.parametrize(
    "shell", [False, True], ids=["dvc is the parent", "a shell stands between"]
)
def test_a_stage_ends_when_dvc_is_killed(checkout: Path, shell: bool) -> None:
    code = "import subprocess, sys; subprocess.run(sys.argv[1:])"
    stage = [sys.executable, "-m", "pipeline_lib.stage", "discover"]
    command = ["/bin/sh", "-c", " ".join(stage) + "; true"] if shell else stage
    dvc = subprocess.Popen(
        [sys.executable, "-c", code, *command], cwd=checkout, env={**os.environ, "TOY": "sleep"}
    )
    wait_for(lambda: (checkout / "started").exists() and (checkout / "started").read_text())
    pid = int((checkout / "started").read_text())

    dvc.send_signal(signal.SIGKILL)
    dvc.wait()

    wait_for(lambda: not is_alive(pid))


def test_two_runs_of_one_stage_do_not_write_the_same_file(checkout: Path) -> None:
    harness = checkout / "pipeline_lib/harness/stage.py"
    harness.write_text(harness.read_text().replace("LOCK_WAIT_S = 10.0", "LOCK_WAIT_S = 0.5"))
    first = start(checkout, "sleep")
    wait_for((checkout / "started").exists)

    second = start(checkout)
    _, err = second.communicate(timeout=60)
    first.kill()
    first.communicate()

    assert second.returncode == 75
    assert (
        "another run of this stage is writing the same outputs. Remedy: wait for the other run to end"
        in err
    )
