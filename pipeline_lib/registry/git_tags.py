"""Mirror the registry as git tags in GTO's format, which `dvc gc` respects and `gto show` reads.

`perennial@v0.0.3` registers version 3, `perennial@v0.0.3!` says that it is no longer there; `perennial#champion#5` is
the fifth time a champion, or the reference beside it, was set, `perennial#champion!#6` says that no champion is left.
Tags stand on the run's commit. After a plain `dvc repro` that is a snapshot commit, made with git's plumbing in an
index of its own: branch, index and files of the checkout stay as they are. Format: https://mlem.ai/doc/gto/user-guide
"""

from __future__ import annotations

import logging
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.registry.git_process import git, why
from pipeline_lib.registry.records import CHAMPION, COMMIT, REFERENCE, Version, with_alias
from pipeline_lib.registry.tag_records import Tags, read_tag_records, turn_message, version_message
from pipeline_lib.settings import MACHINE_FILES

log = logging.getLogger(__name__)
RECEIPTS = (
    "params.yaml",
    "dvc.lock",
    "line/curate/curation.json",
    "line/evaluate/metrics.json",
    "curation/overrides.csv",
    "curation/classes.csv",
    "curation/groups.csv",
)
BOT = {
    "NAME": "Perennial",
    "EMAIL": "perennial@localhost",
}  # where a machine has no git identity (a fresh container)


@dataclass(frozen=True)
class Snapshot:
    """The commit that stands for a run. dirty: the checkout differed from its HEAD, so a commit was made for it."""

    commit: str
    dirty: bool


def take_snapshot(checkout: Path) -> Snapshot | None:
    """Commit tracked files and receipts as they are now, on no branch; None (and a warning) where git cannot.

    But not edits of the machine's own files, which may hold a password: tags are pushed.

    Nothing is committed when HEAD already holds the same files.
    """
    try:
        head = git(checkout, "rev-parse", "--verify", "--quiet", "HEAD", check=False)
        with tempfile.TemporaryDirectory() as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
            git(checkout, "read-tree", head or "--empty", env=index)
            others = [f":(exclude,top){name}" for name in MACHINE_FILES]
            git(checkout, "add", "--update", ":/", *others, env=index)
            present = [name for name in RECEIPTS if (checkout / name).exists()]
            git(checkout, "add", "--force", "--", *present, env=index)
            tree = git(checkout, "write-tree", env=index)
        if head and tree == git(checkout, "rev-parse", f"{head}^{{tree}}"):
            return Snapshot(head, dirty=False)
        parent = ("-p", head) if head else ()
        message = "Snapshot of a run, made by register"
        return Snapshot(
            git(checkout, "commit-tree", tree, *parent, "-m", message, env=_identity(checkout)),
            dirty=True,
        )
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        log.warning("no commit stands for this run, and it gets no git tag: %s", why(error))
        return None


def read_tags(repository: Path, name: str) -> Tags:
    """What the tags of a model name say; nothing where git cannot be asked."""
    patterns = [f"refs/tags/{name}@*", f"refs/tags/{name}#*"]
    fields = ("refname:strip=2", "*objectname", "contents:subject", "contents:body")
    form = "%00".join(f"%({field})" for field in fields)
    try:
        text = git(repository, "for-each-ref", f"--format={form}%01", *patterns)
    except (
        subprocess.CalledProcessError,
        FileNotFoundError,
    ):  # mirror() says so, when there is something to tag
        return Tags({})
    entries = [entry.strip().split("\0") for entry in text.split("\1") if entry.strip()]
    return read_tag_records(
        name, [(tag, commit, subject, body) for tag, commit, subject, body in entries]
    )


def mirror(versions: list[Version], *, name: str, checkout: Path, origin: Path) -> list[str]:
    """Make the tags that are absent, in the original repository; returns their names. Where git cannot, says so.

    versions: all of the registry, with their aliases.
    """
    try:
        wanted = _wanted_tags(versions, read_tags(origin, name), name)
        for tag, (commit, message) in wanted.items():
            _make_tag(tag, commit, message, checkout=checkout, origin=origin)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        log.warning("the registry is not mirrored as git tags: %s", why(error))
        return []
    return list(wanted)


def _wanted_tags(versions: list[Version], existing: Tags, name: str) -> dict[str, tuple[str, str]]:
    """tag -> (commit, message) of what is not there yet."""
    wanted: dict[str, tuple[str, str]] = {}

    # Versions that have no tag, and tags whose version is gone.
    for version in versions:
        if version.tags.get(COMMIT) and version.number not in existing.versions:
            wanted[f"{name}@v0.0.{version.number}"] = (
                version.tags[COMMIT],
                version_message(version),
            )
    deleted = set(existing.versions) - {version.number for version in versions} - existing.gone
    for number in sorted(deleted):
        message = f"{name} version {number} is no longer in the registry"
        wanted[f"{name}@v0.0.{number}!"] = (existing.versions[number].commit, message)

    # The champion, or the reference beside it, where the newest tag names another.
    turn = existing.turn
    following = turn.number + 1 if turn else 1
    champion = with_alias(versions, CHAMPION)
    reference = with_alias(versions, REFERENCE)
    now = (champion.number if champion else None, reference.number if reference else None)
    said = (turn.champion, turn.reference) if turn else None
    if champion and champion.tags.get(COMMIT) and said != now:
        wanted[f"{name}#champion#{following}"] = (
            champion.tags[COMMIT],
            turn_message(versions, champion),
        )

    # No champion is left where there was one.
    if (
        champion is None
        and turn
        and turn.champion is not None
        and turn.champion in existing.versions
    ):
        commit = existing.versions[turn.champion].commit
        wanted[f"{name}#champion!#{following}"] = (commit, turn_message(versions, None))
    return wanted


def _make_tag(tag: str, commit: str, message: str, *, checkout: Path, origin: Path) -> None:
    """Tag where the commit lies; from a workspace, push the tag and with it the commit to the original repository."""
    here = origin if _has_commit(origin, commit) else checkout
    options = ("--annotate", "--force", "--cleanup=verbatim", "--file", "-")
    git(here, "tag", *options, tag, commit, env=_identity(here), stdin=message)
    if here != origin:
        git(here, "push", "--quiet", "--no-verify", str(origin), f"refs/tags/{tag}")


def _has_commit(repository: Path, commit: str) -> bool:
    found = git(repository, "cat-file", "-t", commit, check=False)
    return found == "commit"


def _identity(repository: Path) -> dict[str, str]:
    """The user's own identity where git has one, else the bot's."""
    if git(repository, "config", "user.email", check=False):
        return {}
    return {
        f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in BOT.items()
    }
