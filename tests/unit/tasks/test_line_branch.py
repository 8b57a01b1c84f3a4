"""The result of a run as a commit: on the line or off it, in the order of dvc.yaml, never lost to a rival."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline_lib.errors import Interrupted
from pipeline_lib.harness.line import LINE
from tasks import line_branch
from tasks.git import commit_of, git
from tasks.line_branch import commit_for_register, forget_old_runs, keep_result, sort_lock
from tasks.workspace import Workspace, create_workspace


@pytest.fixture
def done(workspace: Workspace) -> Workspace:
    """A workspace with made-up results in it."""
    (workspace.folder / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  train:\n    cmd: x\n  discover:\n    cmd: y\n"
    )
    for name in ("line/curate/curation.json", "line/evaluate/metrics.json"):
        path = workspace.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")
    return workspace


def files_changed(origin: Path, older: str, newer: str) -> list[str]:
    return git(origin, "diff", "--name-only", older, newer).splitlines()


def test_a_result_is_one_commit_of_lock_and_metrics_on_the_line_with_a_tag(done: Workspace) -> None:
    commit = keep_result(done)

    assert commit_of(done.origin, LINE) == commit == commit_of(done.origin, "perennial/run/night-1")
    assert files_changed(done.origin, done.commit, commit) == [
        "dvc.lock",
        "line/curate/curation.json",
        "line/evaluate/metrics.json",
    ]
    assert git(done.origin, "status", "--porcelain") == ""


def test_the_commit_that_register_saw_is_in_the_history_of_the_line(done: Workspace) -> None:
    commit_for_register(done)
    seen = git(done.folder, "rev-parse", "HEAD")
    (done.folder / "dvc.lock").write_text(
        (done.folder / "dvc.lock").read_text() + "  register:\n    cmd: z\n"
    )

    commit = keep_result(done)

    assert git(done.origin, "rev-parse", f"{commit}^") == seen
    assert git(done.origin, "rev-parse", f"{seen}^") == done.commit
    assert git(done.folder, "diff", "--name-only", "HEAD", "--", "dvc.lock") == "dvc.lock"


def test_only_the_newest_runs_keep_their_tags(done: Workspace) -> None:
    for run in ("20260101-020000-a", "20260103-020000-c", "20260102-020000-b"):
        git(done.origin, "tag", f"perennial/run/{run}")
    git(done.origin, "tag", "perennial@v0.0.1")

    forgotten = forget_old_runs(done.origin, keep=2)

    assert forgotten == ["20260101-020000-a"]
    assert git(done.origin, "tag").splitlines() == [
        "perennial/run/20260102-020000-b",
        "perennial/run/20260103-020000-c",
        "perennial@v0.0.1",
    ]


def test_the_same_result_again_adds_a_tag_and_no_commit(done: Workspace) -> None:
    first = keep_result(done)

    second = keep_result(replace(done, remarks=()))

    assert first == second


def test_a_run_with_overrides_stays_off_the_line(done: Workspace) -> None:
    workspace = replace(done, changes={"train": {"epochs": 2}})

    commit = keep_result(workspace)

    assert commit_of(done.origin, LINE) is None
    assert commit_of(done.origin, "perennial/run/night-1") == commit
    assert "Changed: train.epochs=2" in git(done.origin, "show", "-s", "--format=%B", commit)


def test_two_results_at_once_are_ordered_and_none_is_lost(
    done: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    rival = git(
        done.origin, "commit-tree", f"{done.commit}^{{tree}}", "-p", done.commit, "-m", "rival"
    )
    swap = line_branch.move_line
    beaten: list[str] = []

    def swap_after_the_rival(origin: Path, commit: str, tip: str) -> bool:
        if not beaten:
            beaten.append(git(origin, "update-ref", line_branch.BRANCH, rival))
        return swap(origin, commit, tip)

    monkeypatch.setattr(line_branch, "move_line", swap_after_the_rival)
    commit = keep_result(done)

    assert commit_of(done.origin, LINE) == commit
    assert git(done.origin, "rev-parse", f"{commit}^1") == rival


def test_a_run_that_always_loses_gives_up_with_a_remedy(
    done: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_branch, "move_line", lambda *_: False)

    with pytest.raises(
        Interrupted, match=r"perennial/line: other runs kept moving the branch\. Remedy: run again"
    ):
        keep_result(done)


def test_the_next_workspace_starts_from_the_last_lock_and_metrics(done: Workspace) -> None:
    keep_result(done)

    following = create_workspace(
        done.origin, run="night-2", changes={}, branch=None, with_edits=False
    )

    assert (following.folder / "dvc.lock").read_text() == (done.folder / "dvc.lock").read_text()
    assert (following.folder / "line/evaluate/metrics.json").read_text() == "{}\n"
    assert following.commit == done.commit


@pytest.mark.pipeline
def test_a_lock_is_sorted_as_the_line_and_loses_no_byte(
    finished: Workspace, tmp_path: Path
) -> None:
    text = (finished.folder / "dvc.lock").read_text()
    lock = tmp_path / "dvc.lock"
    head, *blocks = line_branch._blocks(text.splitlines(keepends=True))
    lock.write_text("".join(line for block in [head, *reversed(blocks)] for line in block))

    sort_lock(lock)

    assert len(blocks) == 8
    assert lock.read_text() == text


@pytest.mark.pipeline
def test_dvc_itself_writes_a_new_lock_in_the_same_order(finished: Workspace) -> None:
    clone = finished.origin.parent / "by-hand"
    git(finished.origin.parent, "clone", "-q", str(finished.origin), str(clone))
    (clone / ".dvc" / "config.local").write_text(
        f"[cache]\n    dir = {finished.origin / '.dvc' / 'cache'}\n"
    )

    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=clone, check=True)

    assert (clone / "dvc.lock").read_bytes() == (finished.folder / "dvc.lock").read_bytes()
