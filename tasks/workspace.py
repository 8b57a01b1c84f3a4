"""A run's own workspace: a clone at a recorded commit that shares DVC's cache and leaves the checkout untouched.

Its folder is `<state folder>/workspaces/<run>`. Code and params come from the commit; dvc.lock and the metrics from the
last run on the branch `perennial/line`, if there is one.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pipeline_lib.errors import ConfigError
from pipeline_lib.files.atomic import private_folder, remove_tree
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import LINE
from pipeline_lib.params import load_params
from pipeline_lib.settings import Settings, load_settings
from tasks.changed_params import apply_changes, split_changes
from tasks.dvc_config import share_cache_and_remotes
from tasks.git import checked_out, commit_of, git
from tasks.process_group import recorded_pid
from tasks.snapshot import snapshot, uncommitted

FLOW = "flow.json"


@dataclass(frozen=True)
class Workspace:
    """The workspace of one run. commit: its code and params. changes: section -> key -> value, set in params.yaml."""

    origin: Path
    state: Path
    run: str
    commit: str
    changes: dict[str, Any]
    remarks: tuple[str, ...]  # edits of the checkout that were included or left out, for the log
    branch: str = ""  # the branch asked for, else the one checked out

    @property
    def folder(self) -> Path:
        """The folder of the clone."""
        return self.state / "workspaces" / self.run

    @property
    def records(self) -> Path:
        """The folder that records the processes of this run, see process_group."""
        return self.state / "running" / self.run

    @property
    def taken(self) -> str:
        """The branch and commit of the run, as text."""
        named = self.branch and not self.commit.startswith(self.branch)
        return (
            f"{self.branch} at commit {self.commit[:12]}" if named else f"commit {self.commit[:12]}"
        )

    @property
    def candidate(self) -> bool:
        """Whether the result stays off the line and is never promoted."""
        return bool(self.changes)

    def settings(self) -> dict[str, str]:
        """The environment variables that this workspace gives to its stages."""
        return {
            "PERENNIAL_ROOT": str(self.origin),
            "PERENNIAL_CANDIDATE": str(self.candidate).lower(),
        }


def create_workspace(
    origin: Path,
    *,
    run: str,
    changes: dict[str, Any],
    branch: str | None,
    with_edits: bool,
    after: Workspace | None = None,
) -> Workspace:
    """Clone the repository at `origin` for one run, and check its params.yaml with the changes in it.

    branch: the source of code and params; None: what is checked out. with_edits: include uncommitted edits, as a
    snapshot commit that leaves the checkout alone; otherwise they are left out and named. after: start from the results
    of this workspace instead of the last run's. Raises ConfigError for a wrong parameter, branch or folder.
    """
    commit, remarks = _start_commit(origin, branch, with_edits=with_edits and branch is None)
    state = private_folder(load_settings(origin).state_folder(origin))
    said = () if after else remarks  # a sweep logs this once
    workspace = Workspace(
        origin, state, run, commit, changes, said, branch or checked_out(origin) or ""
    )
    remove_tree(workspace.folder)
    workspace.folder.parent.mkdir(parents=True, exist_ok=True)
    git(origin, "clone", "--quiet", "--shared", "--no-checkout", str(origin), str(workspace.folder))
    git(workspace.folder, "checkout", "--quiet", "--detach", commit)
    share_cache_and_remotes(origin, workspace.folder)
    if after:
        _bring_result(workspace, after)
    else:
        _bring_last_result(workspace)
    params = workspace.folder / "params.yaml"
    if after is None:  # a trial of a sweep is always a candidate
        workspace = _without_repetitions(workspace, params)
    apply_changes(params, workspace.changes)
    load_params(params)
    return workspace


def _without_repetitions(workspace: Workspace, params: Path) -> Workspace:
    """Remove, and name in the remarks, the changes that equal the values of params.yaml."""
    changes, repeated = split_changes(params, workspace.changes)
    said = tuple(
        f"not a change, params.yaml has this value: {key} = {value}"
        for key, value in repeated.items()
    )
    return replace(workspace, changes=changes, remarks=(*workspace.remarks, *said))


def uncached_outs(root: Path) -> list[str]:
    """Return the metrics that git holds instead of DVC's cache (`cache: false`), as spelt in dvc.yaml."""
    stages: dict[str, Any] = read_yaml(root / "dvc.yaml")["stages"]
    entries = [
        entry
        for stage in stages.values()
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, ())
    ]
    return [
        path
        for entry in entries
        if isinstance(entry, dict)
        for path, how in entry.items()
        if how.get("cache") is False
    ]


def forget_old_workspaces(origin: Path, settings: Settings) -> list[str]:
    """Remove the workspaces of finished runs, oldest first, until the setting `keep_workspaces` is met."""
    state = settings.state_folder(origin)
    folders = sorted((state / "workspaces").glob("*"), key=_made)
    finished = [
        folder for folder in folders if recorded_pid(state / "running" / folder.name / FLOW) is None
    ]
    old = finished[: max(0, len(finished) - settings.keep_workspaces)]
    for folder in old:
        _remove(folder, state / "running" / folder.name)
    return [folder.name for folder in old]


def forget_workspace(workspace: Workspace) -> None:
    """Remove a workspace whose results are in DVC's cache or not needed."""
    _remove(workspace.folder, workspace.records)


def _remove(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)  # another run may be removing it too


def _made(folder: Path) -> float:
    """Return the creation time of a workspace in seconds since 1970; 0 while another run removes it."""
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _start_commit(
    origin: Path, branch: str | None, *, with_edits: bool
) -> tuple[str, tuple[str, ...]]:
    """Return the commit to start from, and remarks about uncommitted edits."""
    commit = commit_of(origin, branch or "HEAD") if (origin / ".git").exists() else None
    if commit is None:
        remedy = (
            "name a branch that `git branch -a` lists"
            if branch
            else "run `git init && git add -A && git commit -m start` there"
        )
        raise ConfigError("no commit to run from", file=origin, value=branch or "", remedy=remedy)
    edits = uncommitted(origin)
    if not edits or commit != commit_of(origin, "HEAD"):  # the edits belong to another commit
        return commit, ()
    if not with_edits:
        return commit, (f"left out, since this run uses committed files only: {', '.join(edits)}",)
    taken = snapshot(origin, edits)
    return taken, (
        f"uncommitted edits are included as snapshot commit {taken[:12]}: {', '.join(edits)}",
    )


def _bring_result(workspace: Workspace, after: Workspace) -> None:
    """Put the dvc.lock and the metrics of another workspace in place."""
    for name in ("dvc.lock", *uncached_outs(workspace.folder)):
        if (after.folder / name).exists():
            (workspace.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(after.folder / name, workspace.folder / name)


def _bring_last_result(workspace: Workspace) -> None:
    """Put the last run's dvc.lock and metrics in place, so that up-to-date stages are not run again."""
    tip = commit_of(workspace.origin, LINE)
    if tip is None:
        return
    wanted = ["dvc.lock", *uncached_outs(workspace.folder)]
    there = git(workspace.folder, "ls-tree", "-r", "--name-only", tip).splitlines()
    if present := [path for path in wanted if path in there]:
        git(workspace.folder, "checkout", "--quiet", tip, "--", *present)
