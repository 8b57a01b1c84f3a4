"""The git side of a dataset release: a clean checkout, one commit with the folder, one annotated tag."""

from __future__ import annotations

from pathlib import Path

from pipeline_lib.errors import PipelineError, UsageError
from tasks.git import commit_of, git
from tasks.snapshot import uncommitted

SHOWN = 5


def tag_of(name: str) -> str:
    """Return the git tag of a release."""
    return f"dataset/{name}"


def clean_commit(checkout: Path, name: str) -> str:
    """Return the commit to release. Raises UsageError if the tag exists or the checkout has uncommitted changes."""
    if commit_of(checkout, f"refs/tags/{tag_of(name)}"):
        remedy = "choose another name; a release never changes"
        raise UsageError("the name is taken", file=f"tag {tag_of(name)}", remedy=remedy)
    head = commit_of(checkout, "HEAD")
    if head is None:
        raise UsageError(
            "git has no commit yet",
            file=checkout,
            remedy="commit the project and the results of a run",
        )
    changed = uncommitted(checkout)
    if changed:
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        remedy = "commit them: `git add dvc.lock line && git commit -a`"
        value = ", ".join(changed[:SHOWN]) + more
        raise UsageError(
            "uncommitted changes cannot be released", file=checkout, value=value, remedy=remedy
        )
    return head


def commit_release(checkout: Path, folder: Path, name: str, message: str) -> str:
    """Commit the folder alone on the branch checked out, and tag it; returns the commit. Raises PipelineError."""
    path = folder.relative_to(checkout).as_posix()
    git(checkout, "add", "--", path)
    try:
        git(checkout, "commit", "--quiet", "--only", "--message", message, "--", path)
        git(checkout, "tag", "--annotate", "--message", message, tag_of(name))
    except PipelineError:
        git(checkout, "rm", "--cached", "-r", "--quiet", "--ignore-unmatch", "--", path)
        raise
    return git(checkout, "rev-parse", "HEAD")
