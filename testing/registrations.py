"""Models registered in a tiny line, what the registry and git say of them, and a kill between two writes."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.register.run import run
from pipeline_lib.registry import Registry, load_registry
from pipeline_lib.registry.mlflow_store import MlflowStore
from pipeline_lib.registry.records import REFERENCE
from pipeline_lib.settings import Settings
from testing.tiny_line import TinyLine, make_line

MANY = range(20)
REASON = "it took sevens for ones"
IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.org")
WRITES = (
    "open_attempt",
    "create_version",
    "tag_version",
    "set_alias",
    "remove_alias",
    "close_attempt",
    "set_turn",
)


def registry_of(line: TinyLine) -> Registry:
    return load_registry(Settings(), line.root)


def registered(checkout: Path, *, wrong: Any = (), model: str = "one", **settings: Any) -> TinyLine:
    line = make_line(checkout, wrong=wrong, model=model)
    run(line.job(**settings))
    return line


def aliases(line: TinyLine) -> dict[int, tuple[str, ...]]:
    """version -> its aliases but for the reference, of which test_pinned.py tells."""
    return {
        v.number: tuple(a for a in v.aliases if a != REFERENCE)
        for v in registry_of(line).versions()
    }


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def champion_in_git(checkout: Path, name: str) -> str:
    """What the newest tag of a champion says."""
    tags = git(
        checkout, "tag", "-l", f"{name}#champion*", "--format=%(refname:short) %(subject)"
    ).splitlines()
    newest = max(tags, key=lambda line: int(line.split()[0].rpartition("#")[2]))
    return newest.split(maxsplit=1)[1]


def cloned(checkout: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone: the tags, and a registry that holds nothing."""
    clone = checkout.with_name("clone")
    git(checkout.parent, "clone", "-q", str(checkout), str(clone))
    shutil.copytree(checkout / ".dvc/cache", clone / ".dvc/cache")
    monkeypatch.setenv("PERENNIAL_REGISTRY_URI", database)
    return clone


def said(caplog: pytest.LogCaptureFixture, line: TinyLine) -> str:
    """What register says of a line."""
    caplog.clear()
    run(line.job())
    return caplog.text


def die_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Stop with an exception that nothing catches before the registry's write number `step`."""
    count = iter(range(1, 100))

    def dying(write: Any) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if next(count) == step:
                raise KeyboardInterrupt
            return write(*arguments, **options)

        return wrapped

    for write in WRITES:
        patch.setattr(MlflowStore, write, dying(getattr(MlflowStore, write)))
