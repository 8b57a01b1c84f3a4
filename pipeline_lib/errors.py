"""Every error that a user can mend, in one tree.

A `PipelineError` names the file, the value found there and the remedy; the command line and the flow print its one
line and leave with its exit code. What only we can break is an `assert`. Exit codes follow sysexits.h where it has one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pipeline_lib.shown import shown


class PipelineError(Exception):
    """Say in one line what is wrong, where, and how to mend it.

    what: the fault as a sentence without a full stop. file: the file, key or address at fault. value: what was found
    there ("" when absence is the fault). remedy: what to do or type now. All as they may be shown, see shown.py.
    """

    code: ClassVar[str]
    exit_code: ClassVar[int]

    def __init__(self, what: str, *, file: str | Path, remedy: str, value: object = "") -> None:
        self.what, self.file, self.value, self.remedy = (shown(str(part)) for part in (what, file, value, remedy))
        super().__init__(str(self))

    def __str__(self) -> str:
        found = f" (found: {_one_line(self.value)})" if self.value else ""
        return f"{self.file}: {_one_line(self.what)}{found}. Remedy: {_one_line(self.remedy)}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by facts: a worker process sends its error to the stage."""
        return _rebuild, (type(self), self.what, self.file, self.value, self.remedy)

    def as_json(self) -> str:
        """The `reason.json` a failed stage leaves: code, file, what, value, remedy, exit_code."""
        where = {"code": self.code, "file": self.file, "what": self.what, "value": str(self.value)}
        fields = {**where, "remedy": self.remedy}
        return json.dumps({**fields, "exit_code": self.exit_code}, indent=1) + "\n"


class ProgramFailed(PipelineError):
    """git or dvc refused, for a reason that we do not know; the line has its own words."""

    code, exit_code = "program_failed", 1


class UsageError(PipelineError):
    """A command was called with arguments that do not fit."""

    code, exit_code = "usage", 2


class GateHeld(PipelineError):
    """The model of this run is not the champion, and the caller asked to be told by the exit code."""

    code, exit_code = "gate_held", 3


class DataCheckFailed(PipelineError):
    """A limit on the data (quarantine rate, leakage, empty class) was passed."""

    code, exit_code = "data_check_failed", 4


class BadData(PipelineError):
    """A source, table or file holds what cannot be used."""

    code, exit_code = "bad_data", 65


class ArchiveDamaged(BadData):
    """An archive ends early or has a broken member header; nothing after that point can be trusted."""

    code = "archive_damaged"


class SourceChanged(BadData):
    """An object of a source is not the version that was listed; `download` takes the new one, a few times."""

    code = "source_changed"


class OutputDamaged(BadData):
    """A file we wrote does not read back as it was written."""

    code = "output_damaged"


class NotFinite(BadData):
    """A trained network answers with infinity or NaN: it cannot be validated, evaluated or kept."""

    code = "not_finite"

    @classmethod
    def of(cls, network: str, *, layer: str, images: Sequence[str], n_images: int) -> Self:
        """network: its name. layer: the first whose output is not finite. images: the first of n_images image ids."""
        more = f", ... ({n_images} images)" if n_images > len(images) else ""
        return cls(
            "the network's answer to some images is not finite",
            file="params.yaml",
            value=f"{network}, layer {layer}, images {', '.join(images)}{more}",
            remedy="raise train.side_px or train.batch_size, or lower train.peak_learning_rate, then train again",
        )


class SourceMissing(PipelineError):
    """A file, folder, bucket or prefix that was named does not exist."""

    code, exit_code = "source_missing", 66


class ServiceUnavailable(PipelineError):
    """A server (S3, registry, Prefect) does not answer."""

    code, exit_code = "service_unavailable", 69


class DependencyMissing(PipelineError):
    """A package or program that this step needs is not installed."""

    code, exit_code = "dependency_missing", 70


class NoSpace(PipelineError):
    """The disk is full, or would be."""

    code, exit_code = "no_space", 73


class Interrupted(PipelineError):
    """A run was told to stop, or found another one at work; running it again continues."""

    code, exit_code = "interrupted", 75


class StageDied(Interrupted):
    """A stage was ended by a signal (out of memory, kill -9): the one failure that is worth trying again unchanged."""

    code = "stage_died"


class CredentialsRefused(PipelineError):
    """Credentials are absent, expired or not allowed to do this."""

    code, exit_code = "credentials", 77


class ConfigError(PipelineError):
    """params.yaml, settings.toml, an environment variable or dvc.yaml has a wrong key or value."""

    code, exit_code = "config", 78


class CodeFailed(PipelineError):
    """Our own code broke: a defect to report, with the traceback printed above the line."""

    code, exit_code = "defect", 70


def defect(error: Exception, *, file: str) -> CodeFailed:
    """What to tell people of an exception that nobody foresaw."""
    remedy = "report this with the traceback above"
    return CodeFailed(f"{type(error).__name__} in our code", file=file, value=error, remedy=remedy)


def missing_module(error: ModuleNotFoundError, *, file: str) -> PipelineError:
    """What to tell people of a module that Python did not find: a package of another set than the one installed.

    A module of our own is a defect. file: the command or stage that wanted it.
    """
    package = (error.name or "").partition(".")[0]
    if package in {"", "flows", "tasks", "pipeline_lib", "demo"}:
        return defect(error, file=file)
    remedy = "run `make setup`, then `. .venv/bin/activate` (scripts/set_up.sh names the sets of packages)"
    return DependencyMissing(f"{file} needs a package", file=sys.prefix, value=f"no {package}", remedy=remedy)


def read_reason(text: str) -> PipelineError:
    """The error that `as_json` wrote, as its own class again."""
    fields = json.loads(text)
    kind = {kind.code: kind for kind in all_kinds()}[fields["code"]]
    return kind(fields["what"], file=fields["file"], value=fields["value"], remedy=fields["remedy"])


def exit_codes() -> dict[int, list[str]]:
    """Exit code -> the codes of the errors that leave with it, in ascending order."""
    codes: dict[int, list[str]] = {}
    for kind in sorted(all_kinds(), key=lambda kind: kind.exit_code):
        codes.setdefault(kind.exit_code, []).append(kind.code)
    return codes


def all_kinds() -> list[type[PipelineError]]:
    """Every class of the tree but its root, which nothing raises."""
    return _below(PipelineError)


def _rebuild(kind: type[PipelineError], what: str, file: str, value: str, remedy: str) -> PipelineError:
    return kind(what, file=file, value=value, remedy=remedy)


def _below(kind: type[PipelineError]) -> list[type[PipelineError]]:
    return [below for child in kind.__subclasses__() for below in (child, *_below(child))]


def _one_line(text: str) -> str:
    return " ".join(text.split())
