"""Commit the result of a run: params.yaml, dvc.lock and the metrics, on top of the commit it ran from.

The branch `perennial/line` is the history of results; a run with changed parameters stays off it. Each run has a tag,
since DVC's garbage collection keeps only data that branches and tags refer to.
"""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from pipeline_lib.errors import Interrupted
from pipeline_lib.harness.line import LINE, RUN_TAG, STAGES
from tasks.changed_params import flat
from tasks.git import commit_of, git, git_environment
from tasks.workspace import Workspace, uncached_outs

BRANCH = f"refs/heads/{LINE}"
RIVALS = 20  # number of results of other runs that may get in before ours until we give up


def commit_for_register(workspace: Workspace) -> None:
    """Commit this run's receipts in the workspace; a registered version refers to this commit."""
    sort_lock(workspace.folder / "dvc.lock")
    tree = _result_tree(workspace)
    if tree != git(workspace.origin, "rev-parse", f"{workspace.commit}^{{tree}}"):
        commit = _commit(workspace, tree, parents=[workspace.commit])
        git(workspace.folder, "update-ref", "--no-deref", "HEAD", commit)


def keep_result(workspace: Workspace) -> str:
    """Commit and tag the result of a run, and put it on the line unless it is a candidate. Returns the commit.

    `register` adds its own receipt to dvc.lock, so this commit comes on top of the one that `register` saw.
    Two runs that end at once are ordered by compare-and-swap: the later result comes on top of the earlier one.
    Raises Interrupted when other runs keep getting in first.
    """
    sort_lock(workspace.folder / "dvc.lock")
    tree, seen = _result_tree(workspace), git(workspace.folder, "rev-parse", "HEAD")
    if workspace.candidate:
        return _tagged(workspace, _commit(workspace, tree, parents=[seen]))
    for _ in range(RIVALS):
        tip = commit_of(workspace.origin, LINE)
        if tip and _same_result(workspace, tree, tip):
            return _tagged(workspace, tip)
        commit = _commit(workspace, tree, parents=[tip, seen] if tip else [seen])
        if move_line(workspace.origin, commit, tip or ""):
            return _tagged(workspace, commit)
    raise Interrupted(
        "other runs kept moving the branch", file=LINE, remedy="run again when they are done"
    )


def forget_old_runs(origin: Path, keep: int) -> list[str]:
    """Remove the tags of all but the newest `keep` runs, whose names begin with their time; return the removed runs.

    DVC's garbage collection still keeps registered models, which have their own tags, and the line, which is a branch.
    """
    tags = git(origin, "tag", "--list", f"{RUN_TAG}*", "--sort=-refname").splitlines()
    for tag in tags[keep:]:
        git(
            origin, "update-ref", "-d", f"refs/tags/{tag}"
        )  # no error if another run has just removed it
    return [tag.removeprefix(RUN_TAG) for tag in tags[keep:]]


def sort_lock(lock: Path) -> None:
    """Sort the stages of a dvc.lock in the order of the line: of two parallel stages, either may end first."""
    head, *blocks = _blocks(lock.read_text(encoding="utf-8").splitlines(keepends=True))
    known = {f"  {stage}:\n": number for number, stage in enumerate(STAGES)}
    blocks.sort(key=lambda block: known.get(block[0], len(STAGES)))
    lock.write_text("".join(line for block in [head, *blocks] for line in block), encoding="utf-8")


def _blocks(lines: list[str]) -> list[list[str]]:
    """Split into the lines before the first stage, and the lines of each stage (from two spaces and a name)."""
    blocks: list[list[str]] = [[]]
    for line in lines:
        if line.startswith("  ") and line[2] not in " -":
            blocks.append([])
        blocks[-1].append(line)
    return blocks


def _result_tree(workspace: Workspace) -> str:
    """Write the tree of the run's commit, with its params.yaml, dvc.lock and metrics, to the origin's objects."""
    folder = workspace.folder
    files = [
        name
        for name in ["params.yaml", "dvc.lock", *uncached_outs(folder)]
        if (folder / name).exists()
    ]
    with tempfile.TemporaryDirectory() as scratch:
        index = Path(scratch) / "index"
        git(workspace.origin, "read-tree", workspace.commit, index=index)
        for name in files:
            blob = git(workspace.origin, "hash-object", "-w", "--no-filters", str(folder / name))
            git(
                workspace.origin,
                "update-index",
                "--add",
                "--cacheinfo",
                f"100644,{blob},{name}",
                index=index,
            )
        return git(workspace.origin, "write-tree", index=index)


def _same_result(workspace: Workspace, tree: str, tip: str) -> bool:
    """Whether the line already ends in this result: same files, and this run's commit is in its history."""
    if git(workspace.origin, "rev-parse", f"{tip}^{{tree}}") != tree:
        return False
    command = ["git", "merge-base", "--is-ancestor", workspace.commit, tip]
    return _succeeds(command, workspace.origin)


def _commit(workspace: Workspace, tree: str, *, parents: list[str]) -> str:
    """Commit a tree with the run's name, code and changed parameters in the message."""
    changes = "".join(f"Changed: {key}={value}\n" for key, value in flat(workspace.changes).items())
    message = f"Run {workspace.run}\n\nCode: {workspace.commit}\n{changes}"
    options = [word for parent in dict.fromkeys(parents) for word in ("-p", parent)]
    return git(workspace.origin, "commit-tree", tree, *options, "-m", message)


def move_line(origin: Path, commit: str, tip: str) -> bool:
    """Move the branch from `tip` ("" if it does not exist) to `commit`; return False if it has moved meanwhile."""
    command = ["git", "update-ref", BRANCH, commit, tip]
    return _succeeds(command, origin)


def _succeeds(command: list[str], folder: Path) -> bool:
    return (
        subprocess.run(
            command, cwd=folder, env=git_environment(), capture_output=True, check=False
        ).returncode
        == 0
    )


def _tagged(workspace: Workspace, commit: str) -> str:
    git(workspace.origin, "tag", "--force", f"{RUN_TAG}{workspace.run}", commit)
    return commit
