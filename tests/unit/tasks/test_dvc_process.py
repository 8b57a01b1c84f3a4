"""One DVC stage in a subprocess, with a real dvc in a toy repository."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData, Interrupted, PipelineError, StageDied
from pipeline_lib.harness.parent_watch import descendants
from tasks import process_group
from tasks.dvc_outcome import StageOutcome
from tasks.dvc_process import bring_up_to_date, run_dvc
from tasks.line_branch import keep_result
from tasks.workspace import Workspace, create_workspace
from testing.kill import is_alive

pytestmark = pytest.mark.pipeline


def silent(line: str) -> None:
    """For tests that read no line."""


def test_a_stage_runs_once_is_then_current_and_comes_from_the_cache_in_another_workspace(
    workspace: Workspace,
) -> None:
    for stage in ("discover", "download"):
        assert bring_up_to_date(stage, workspace, on_line=silent) == StageOutcome.RAN
    other = create_workspace(
        workspace.origin, run="night-2", changes={}, branch=None, with_edits=False
    )
    bring_up_to_date("discover", other, on_line=silent)

    again = bring_up_to_date("download", workspace, on_line=silent)
    elsewhere = bring_up_to_date("download", other, on_line=silent)

    assert (again, elsewhere) == (StageOutcome.ALREADY_CURRENT, StageOutcome.FROM_CACHE)


def test_a_line_of_the_stage_arrives_without_colours(workspace: Workspace) -> None:
    lines: list[str] = []

    bring_up_to_date("discover", workspace, on_line=lines.append)

    assert "progress: discover 1/2 things, 50 %, 3 things/s, 1 s left" in lines


def test_a_failed_stage_raises_its_own_reason(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_FAIL", "discover")

    with pytest.raises(
        BadData, match=r"^images\.tar: no image in it \(found: 0 members\)\. Remedy: name another"
    ):
        bring_up_to_date("discover", workspace, on_line=silent)


def test_a_killed_stage_is_told_from_a_failed_one(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_KILL", "discover:.dvc/tmp/was-killed")

    with pytest.raises(StageDied, match="a signal ended the stage"):
        bring_up_to_date("discover", workspace, on_line=silent)

    assert bring_up_to_date("discover", workspace, on_line=silent) == StageOutcome.RAN


def test_a_lock_entry_of_a_killed_dvc_whose_pid_lives_on_as_another_process_does_not_block(
    workspace: Workspace,
) -> None:
    info = [{"pid": os.getpid(), "cmd": "dvc repro"}]
    lock = workspace.folder / ".dvc" / "tmp" / "rwlock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(
        json.dumps({str(workspace.folder / "line/discover/listing.parquet"): {"write": info[0]}})
    )

    outcome = bring_up_to_date("discover", workspace, on_line=silent)

    assert outcome == StageOutcome.RAN


def test_stopping_kills_dvc_and_a_stubborn_stage(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_SLEEP", "discover:1200")
    monkeypatch.setenv("TOY_STUBBORN", "discover")
    running, raised = threading.Event(), []
    others = set(descendants(os.getpid()))

    def work() -> None:
        try:
            bring_up_to_date(
                "discover",
                workspace,
                on_line=lambda line: running.set() if "progress" in line else None,
            )
        except PipelineError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert running.wait(timeout=300)
    children = set(descendants(os.getpid())) - others
    process_group.stop_all()
    thread.join(timeout=300)

    assert not thread.is_alive()
    assert children and not children & set(descendants(os.getpid()))
    assert isinstance(raised[0], Interrupted)
    assert "the run was stopped" in str(raised[0])


def test_two_stages_at_once_in_one_workspace_both_run(finished: Workspace) -> None:
    keep_result(finished)
    changes = {"curate": {"class_weights": "inverse"}, "convert": {"short_side_px": 64}}
    workspace = create_workspace(
        finished.origin, run="both", changes=changes, branch=None, with_edits=False
    )
    run_dvc(
        ["checkout", "--quiet", "--force", "--allow-missing"],
        workspace,
        name="checkout",
        on_line=silent,
    )
    outcomes: dict[str, StageOutcome] = {}

    def work(stage: str) -> None:
        outcomes[stage] = bring_up_to_date(stage, workspace, on_line=silent)

    threads = [threading.Thread(target=work, args=(stage,)) for stage in ("curate", "convert")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {"curate": StageOutcome.RAN, "convert": StageOutcome.RAN}


def test_an_unknown_dvc_command_fails_with_its_words(workspace: Workspace) -> None:
    with pytest.raises(PipelineError, match="dvc could not bring the stage up to date"):
        run_dvc(["repro", "no-such-stage"], workspace, name="no-such-stage", on_line=silent)


def test_a_stage_ends_by_itself_when_its_flow_is_gone(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TOY_SLEEP", "discover:1200")
    code = (
        "from pathlib import Path; from tasks.workspace import Workspace;"
        "from tasks.dvc_process import bring_up_to_date;"
        f"w = Workspace(Path({str(workspace.origin)!r}), Path({str(workspace.state)!r}), {workspace.run!r},"
        f" {workspace.commit!r}, {{}}, ());"
        "bring_up_to_date('discover', w, on_line=lambda line: print(line, flush=True))"
    )
    flow = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert flow.stdout is not None
    assert any("progress" in line for line in flow.stdout)
    below = descendants(flow.pid)

    flow.kill()
    flow.wait()
    flow.stdout.close()
    deadline = time.monotonic() + 300  # the stage alone would sleep for longer
    while (left := {pid for pid in below if is_alive(pid)}) and time.monotonic() < deadline:
        time.sleep(0.1)

    assert len(below) >= 2
    assert not left
