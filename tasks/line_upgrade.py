"""Put an upgraded dvc.lock on the branch `perennial/line`, from which the next nightly run starts."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline_lib.errors import Interrupted
from pipeline_lib.harness.line import LINE
from tasks.git import commit_of, git
from tasks.line_branch import move_line

LOCK = "dvc.lock"
Change = Callable[[Any], object]  # is given the content of a dvc.lock, which it changes in place


def dvc_lock_of_line(origin: Path) -> tuple[str, str] | None:
    """The commit at the tip of the line and the text of its dvc.lock; None where no run has made one."""
    tip = commit_of(origin, LINE)
    if tip is None or LOCK not in git(origin, "ls-tree", "--name-only", tip).splitlines():
        return None
    return tip, git(origin, "show", f"{tip}:{LOCK}") + "\n"


def changed(text: str, change: Change) -> str:
    """The text of a dvc.lock after a change of its content, written as DVC does: what is not changed stays equal."""
    content = YAML().load(text)
    change(content)
    return as_dvc_writes(content)


def as_dvc_writes(content: Any) -> str:
    """Content as the YAML of dvc.lock."""
    yaml, stream = YAML(), StringIO()
    yaml.default_flow_style = False
    yaml.dump(content, stream)
    return stream.getvalue()


def commit_lock(origin: Path, tip: str, text: str) -> None:
    """Put a dvc.lock on the line, on top of `tip`. Raises Interrupted when a run moved the branch meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        index, file = Path(folder) / "index", Path(folder) / LOCK
        file.write_text(text, encoding="utf-8")
        blob = git(origin, "hash-object", "-w", "--no-filters", str(file))
        git(origin, "read-tree", tip, index=index)
        git(origin, "update-index", "--cacheinfo", f"100644,{blob},{LOCK}", index=index)
        tree = git(origin, "write-tree", index=index)
    commit = git(
        origin,
        "commit-tree",
        tree,
        "-p",
        tip,
        "-m",
        "Upgrade: dvc.lock names today's code, the same bytes",
    )
    if not move_line(origin, commit, tip):
        raise Interrupted(
            "a run moved the branch meanwhile", file=LINE, remedy="run `perennial upgrade` again"
        )
