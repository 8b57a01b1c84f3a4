"""Whose edits params.yaml holds: those of `perennial init` may be replaced, a person's are refused and named."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.settings import Settings

SHOWN = 5


def refuse_to_lose_edits(params: Path, settings: Settings) -> None:
    """Raise UsageError naming the lines of params.yaml that are neither committed nor what `init` wrote last."""
    from pipeline_lib.errors import UsageError

    now = params.read_text(encoding="utf-8", errors="replace")
    known = [text for text in (_written(params, settings), _committed(params)) if text is not None]
    edits = min((_edits(text, now) for text in known), key=len, default=["all of it"])
    if not edits:
        return
    more = f"; and {len(edits) - SHOWN} more" if len(edits) > SHOWN else ""
    remedy = "commit them (`git commit params.yaml -m params`), or run `perennial init --force`"
    raise UsageError(
        "it has uncommitted edits, which would be lost",
        file=params,
        value="; ".join(edits[:SHOWN]) + more,
        remedy=remedy,
    )


def replaced_edits(params: Path, text: str, settings: Settings) -> list[str]:
    """A line for people about edits since the last `init`, committed ones too, that a new text does not hold."""
    written = _written(params, settings)
    if written is None or not params.exists():
        return []
    new = {_cut(line) for line in text.splitlines()}
    edits = _edits(written, params.read_text(encoding="utf-8", errors="replace"))
    lost = [one for one in edits if one.startswith("line ") and one.partition(": ")[2] not in new]
    if not lost:
        return []
    more = f"; and {len(lost) - SHOWN} more" if len(lost) > SHOWN else ""
    return [
        f"replaced edits of {params.name}: {'; '.join(lost[:SHOWN])}{more} (git has what was committed)"
    ]


def write_params(params: Path, text: str, settings: Settings) -> None:
    """Write params.yaml, and what it holds into the state folder: the next `init` may replace it."""
    from pipeline_lib.files.atomic import write_text

    write_text(_record(params, settings), text)
    write_text(params, text)


def _record(params: Path, settings: Settings) -> Path:
    return settings.state_folder(params.parent) / "init" / params.name


def _written(params: Path, settings: Settings) -> str | None:
    record = _record(params, settings)
    return record.read_text(encoding="utf-8") if record.is_file() else None


def _committed(params: Path) -> str | None:
    from tasks.git import git

    if not git(params.parent, "ls-tree", "--name-only", "HEAD", params.name):
        return None
    return git(params.parent, "show", f"HEAD:./{params.name}")


def _edits(before: str, now: str) -> list[str]:
    """The lines that differ, each with its number; for lines that are gone, of the line that they stood before."""
    old, new = before.splitlines(), now.splitlines()
    edits = []
    for kind, start, end, at, to in difflib.SequenceMatcher(
        None, old, new, autojunk=False
    ).get_opcodes():
        if kind == "delete":
            edits += [f"before line {at + 1}, gone: {_cut(line)}" for line in old[start:end]]
        elif kind != "equal":
            edits += [f"line {number + 1}: {_cut(new[number])}" for number in range(at, to)]
    return edits


def _cut(line: str) -> str:
    return line.strip()[:60]
