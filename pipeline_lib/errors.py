"""Every error that a user can fix, in one tree.

A `PipelineError` names the file, the value found there and the remedy; the command line and the flow print it as one
line and end with its exit code. Faults that only our own code can cause are `assert`s. Exit codes follow sysexits.h
where it has one.
"""

from __future__ import annotations

import errno
import json
import shutil
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from pipeline_lib.safe_text import shown


class PipelineError(Exception):
    """Say in one line what is wrong, where, and how to fix it.

    what: the fault as a sentence without a full stop. file: the file, key or address at fault. value: the value found
    there ("" if something is missing). remedy: what to do or type now. All are cleaned for display, see safe_text.py.
    """

    code: ClassVar[str]
    exit_code: ClassVar[int]

    def __init__(self, what: str, *, file: str | Path, remedy: str, value: object = "") -> None:
        self.what, self.file, self.value, self.remedy = (
            shown(str(part)) for part in (what, file, value, remedy)
        )
        super().__init__(str(self))

    def __str__(self) -> str:
        found = f" (found: {_one_line(self.value)})" if self.value else ""
        return f"{self.file}: {_one_line(self.what)}{found}. Remedy: {_one_line(self.remedy)}"

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the constructor's arguments: a worker process sends its error to the stage."""
        return _rebuild, (type(self), self.what, self.file, self.value, self.remedy)

    def as_json(self) -> str:
        """Format the `reason.json` of a failed stage: code, file, what, value, remedy, exit_code."""
        where = {"code": self.code, "file": self.file, "what": self.what, "value": str(self.value)}
        fields = {**where, "remedy": self.remedy}
        return json.dumps({**fields, "exit_code": self.exit_code}, indent=1) + "\n"


class ProgramFailed(PipelineError):
    """git or dvc failed for a reason unknown to us; the line quotes its message."""

    code, exit_code = "program_failed", 1


class UsageError(PipelineError):
    """A command was called with wrong arguments, or cannot run in the current state."""

    code, exit_code = "usage", 2


class GateHeld(PipelineError):
    """The model of this run is not the champion, and `--fail-if-held` asks for an exit code."""

    code, exit_code = "gate_held", 3


class DataCheckFailed(PipelineError):
    """A limit on the data (quarantine rate, leakage, empty class) was exceeded."""

    code, exit_code = "data_check_failed", 4


class BadData(PipelineError):
    """A source, table or file has content that cannot be used."""

    code, exit_code = "bad_data", 65


class ArchiveDamaged(BadData):
    """An archive ends early or has a broken member header; nothing behind that point can be trusted."""

    code = "archive_damaged"


class SourceChanged(BadData):
    """An object of a source is no longer the version that was listed; `download` retries with the new one."""

    code = "source_changed"


class OutputDamaged(BadData):
    """A file that we wrote does not read back as it was written."""

    code = "output_damaged"


class LabelsUndecided(BadData):
    """Files of labels can be read in several ways, and params.yaml does not say in which.

    key: of `labels` in a source, whose values the choices are: label (a column) or several (a rule).
    """

    code = "labels_undecided"
    key = "label"
    choices: tuple[str, ...] = ()


class NotFinite(BadData):
    """A trained network gives infinity or NaN, so that it cannot be validated, evaluated or kept."""

    code = "not_finite"

    @classmethod
    def of(cls, network: str, *, layer: str, images: Sequence[str], n_images: int) -> Self:
        """Build the error. layer: the first whose output is not finite. images: the first of n_images image ids."""
        more = f", ... ({n_images} images)" if n_images > len(images) else ""
        return cls(
            "the network's output for some images is not finite",
            file="params.yaml",
            value=f"{network}, layer {layer}, images {', '.join(images)}{more}",
            remedy="raise train.side_px or train.batch_size, or lower train.peak_learning_rate, then train again",
        )


class SourceMissing(PipelineError):
    """A named file, folder, bucket or prefix does not exist."""

    code, exit_code = "source_missing", 66


class ServiceUnavailable(PipelineError):
    """A server (S3, registry, Prefect) does not answer."""

    code, exit_code = "service_unavailable", 69


class DependencyMissing(PipelineError):
    """A required package or program is not installed."""

    code, exit_code = "dependency_missing", 72


class NoSpace(PipelineError):
    """The disk is full, or would become full."""

    code, exit_code = "no_space", 73


class AccessRefused(PipelineError):
    """A file or folder may not be written: its file system is read-only, or it belongs to another user."""

    code, exit_code = "access_refused", 74


class Interrupted(PipelineError):
    """A run was stopped, or found another run in progress; running it again continues."""

    code, exit_code = "interrupted", 75


class StageDied(Interrupted):
    """A signal ended a stage (out of memory, kill -9): the only error that is retried as it is."""

    code = "stage_died"


class CredentialsRefused(PipelineError):
    """Credentials are missing, expired or lack a permission."""

    code, exit_code = "credentials", 77


class ObjectRefused(CredentialsRefused):
    """One object of a source may not be read; `download` quarantines it, as long as few are refused."""

    code = "object_refused"


class AddressRefused(ObjectRefused):
    """A line of a URL list, or a redirect, leads to an address inside the own network."""

    code = "address_refused"


class ConfigError(PipelineError):
    """params.yaml, settings.toml, an environment variable or dvc.yaml has a wrong key or value."""

    code, exit_code = "config", 78


class CodeFailed(PipelineError):
    """A defect in our own code, to be reported with the traceback printed above the line."""

    code, exit_code = "defect", 70


# What a system says that has no room for a file: what that means, and what to do before running again.
NO_ROOM = {
    errno.ENOSPC: (
        "the disk is full",
        "free some space (docs/operations.md lists what can be deleted)",
    ),
    errno.EDQUOT: (
        "the disk quota is used up",
        "free some space (docs/operations.md lists what can be deleted) or ask for a larger quota",
    ),
    errno.EFBIG: (
        "a file became larger than is allowed here",
        "raise the limit (`ulimit -f unlimited`), or use a file system that holds large files",
    ),
}


def no_room(error: Exception, *, file: str | Path) -> NoSpace | None:
    """Turn an error of a system that has no room for a file into NoSpace; None for any other. file: what was written."""
    if not isinstance(error, OSError) or error.errno not in NO_ROOM:
        return None
    what, remedy = NO_ROOM[error.errno]
    value = error.strerror
    if error.errno == errno.ENOSPC:
        folder = next(above for above in Path(file).absolute().parents if above.exists())
        value = f"{shutil.disk_usage(folder).free // 1_000_000} MB left"
    return NoSpace(
        what, file=file, value=value, remedy=f"{remedy} and run again; finished work is kept"
    )


# What a system says that lets nobody write, or not us.
REFUSALS = {
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "the system refuses access",
    errno.EPERM: "the system refuses access",
}


def refused_access(error: Exception) -> AccessRefused | None:
    """Turn an error of a system that refuses a named file or folder into AccessRefused; None for any other."""
    name = getattr(error, "filename", None)
    if not isinstance(error, OSError) or error.errno not in REFUSALS or not isinstance(name, str):
        return None
    remedy = (
        "make it writable for this user (`ls -ld` shows whose it is), or name another folder (state_dir in settings.toml, "
        "TMPDIR) or checkout; finished work is kept"
    )
    return AccessRefused(REFUSALS[error.errno], file=name, value=error.strerror, remedy=remedy)


def unforeseen(error: Exception, *, file: str) -> PipelineError:
    """Turn an exception that nothing translated into an error for the user: no room on the disk, no access, or a defect.

    The traceback of a defect is printed above its line.
    """
    name = getattr(error, "filename", None)  # of an OSError, where the system knows it
    if full := no_room(error, file=name if isinstance(name, str) else file):
        return full
    if refused := refused_access(error):
        return refused
    sys.stderr.write(shown(traceback.format_exc()))
    return defect(error, file=file)


def defect(error: Exception, *, file: str) -> CodeFailed:
    """Name a defect of our own."""
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
    return DependencyMissing(
        f"{file} needs a package", file=sys.prefix, value=f"no {package}", remedy=remedy
    )


def read_reason(text: str) -> PipelineError:
    """Read an error written by `as_json` back into its own class."""
    fields = json.loads(text)
    kind = {kind.code: kind for kind in all_kinds()}[fields["code"]]
    return kind(fields["what"], file=fields["file"], value=fields["value"], remedy=fields["remedy"])


def exit_codes() -> dict[int, list[str]]:
    """Map each exit code, in ascending order, to the codes of its errors."""
    codes: dict[int, list[str]] = {}
    for kind in sorted(all_kinds(), key=lambda kind: kind.exit_code):
        codes.setdefault(kind.exit_code, []).append(kind.code)
    return codes


def all_kinds() -> list[type[PipelineError]]:
    """Return every class of the tree except its root, which is never raised."""
    return _below(PipelineError)


def _rebuild(
    kind: type[PipelineError], what: str, file: str, value: str, remedy: str
) -> PipelineError:
    return kind(what, file=file, value=value, remedy=remedy)


def _below(kind: type[PipelineError]) -> list[type[PipelineError]]:
    return [below for child in kind.__subclasses__() for below in (child, *_below(child))]


def _one_line(text: str) -> str:
    return " ".join(text.split())
