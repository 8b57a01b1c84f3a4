"""A line of its own for the trial: a checkout with its own parameters, cache, memo and registry, removed with its folder.

Only code comes from the repository around it, as it lies there. Neither the repository's params.yaml, curation,
registry, DVC remotes, branches and tags, nor a tracking server that its settings name, is read or written.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from pipeline_lib.errors import ProgramFailed
from pipeline_lib.files.atomic import atomic_folder, remove_tree, write_text
from pipeline_lib.harness.stage import REASONS
from pipeline_lib.settings import Settings
from tasks.dvc_outcome import failure_of, plain
from tasks.git import git, git_environment
from tasks.process_group import started

SOURCE = "trial"  # its name, the first part of every image id
CODE = ("flows", "tasks", "pipeline_lib", "dvc.yaml", ".dvcignore", ".gitignore", "pyproject.toml")
# Of which only the first line is taken.
HEADS = ("curation/classes.csv", "curation/overrides.csv", "curation/groups.csv")
DVC_CONFIG = '[core]\n    analytics = false\n    check_update = false\n[cache]\n    type = "reflink,hardlink,copy"\n'
SAME_MACHINE = ("workers", "device", "loader", "progress_every_s")  # settings that the trial shares
# The limits on a collection that a person calls sound; half a percent of a trial's files is damaged on purpose.
NO_LIMITS = {"max_quarantine_rate": 1.0, "max_label_issue_rate": 1.0}
LINES_KEPT = 100


def make_line(
    folder: Path, *, repository: Path, images: Path, layout: str, settings: Settings
) -> str:
    """Make the checkout and let `perennial init` write its params.yaml; returns what init said of the images.

    Raises ProgramFailed with init's own words.
    """
    with atomic_folder(folder) as partial:
        copy_code(repository, partial)
        _start_curation(repository, partial)
        write_text(partial / ".dvc/config", DVC_CONFIG)
        shared = {name: getattr(settings, name) for name in SAME_MACHINE}
        lines = [f"{name} = {value!r}\n" for name, value in shared.items()]
        write_text(partial / "settings.toml", "".join(lines))
        git(partial, "init", "--quiet", "--initial-branch", "main")
        git(partial, "add", "--all")
        git(partial, "commit", "--quiet", "--message", "The code of the trial")
        said = _init(partial, images, layout)
        _lift_limits(partial / "params.yaml")
    return said


def run_line(folder: Path, *, record: Path) -> None:
    """Bring the line up to date with `dvc repro`, showing what it says. record: names its process for a later run.

    Raises the PipelineError that a stage left.
    """
    remove_tree(folder / REASONS)
    (folder / ".dvc/tmp/rwlock").unlink(
        missing_ok=True
    )  # of a killed dvc; ours is the only one here
    command = [sys.executable, "-m", "dvc", "repro", "--quiet"]  # the stages say enough
    last = deque[str](maxlen=LINES_KEPT)
    with started(command, cwd=folder, environment=_environment(folder), record=record) as dvc:
        for raw in dvc.stdout or ():
            last.append(plain(raw))
            print(last[-1], flush=True)
    if dvc.returncode:
        reason = next((folder / REASONS).glob("*.json"), folder / REASONS / "none.json")
        raise failure_of(reason.stem, last, exit_code=dvc.returncode, reason=reason)


def copy_code(repository: Path, line: Path) -> None:
    """Copy the code of the line as it is now, edits included, so that a trial continues with it."""
    for name in _files(repository, CODE):
        (line / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(repository / name, line / name)


def _start_curation(repository: Path, line: Path) -> None:
    """Files of curation/ without a line: those of the repository are about other images."""
    for name in _files(repository, HEADS):
        head = (repository / name).read_text(encoding="utf-8").partition("\n")[0]
        write_text(line / name, f"{head}\n")


def _files(repository: Path, paths: Sequence[str]) -> list[str]:
    """The files below these paths that git does not ignore."""
    listed = git(repository, "ls-files", "-co", "--exclude-standard", "-z", "--", *paths)
    return [name for name in listed.split("\0") if name and (repository / name).is_file()]


def _init(folder: Path, images: Path, layout: str) -> str:
    """What `perennial init` says up to what it writes."""
    command = [sys.executable, "-m", "flows.cli", "init", str(images), "--name", SOURCE]
    done = subprocess.run(
        [*command, "--layout", layout, "--subject", "none", "--force"],
        cwd=folder,
        env=_environment(folder),
        stdin=subprocess.DEVNULL,  # there is nothing to ask: the layout is known
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        remedy = "the line above is init's; fix what it names"
        raise ProgramFailed("perennial init refused", file=images, value=done.stderr, remedy=remedy)
    return done.stdout.partition("\nwrote ")[0].rstrip()


def _lift_limits(params: Path) -> None:
    from ruamel.yaml import YAML

    yaml = YAML()
    content = yaml.load(params.read_text(encoding="utf-8"))
    content["curate"].update(NO_LIMITS)
    content["curate"].yaml_set_start_comment(
        "faults are planted, which is no reason to stop", indent=2
    )
    with params.open("w", encoding="utf-8") as file:
        yaml.dump(content, file)


def _environment(folder: Path) -> dict[str, str]:
    """Ours without settings and DVC's variables, which are the repository's; this Python first on the path."""
    kept = {
        name: value
        for name, value in git_environment().items()
        if not name.startswith(("PERENNIAL_", "DVC_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
    return {
        **kept,
        "PATH": path,
        "DVC_SITE_CACHE_DIR": str(folder / ".dvc/tmp/site"),
        "DVC_NO_ANALYTICS": "1",
        "PERENNIAL_SUPERVISOR_PID": str(os.getpid()),
    }
