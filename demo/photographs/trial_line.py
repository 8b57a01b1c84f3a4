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
from pathlib import Path

from pipeline_lib.errors import ProgramFailed
from pipeline_lib.files.atomic import atomic_folder, remove_tree
from pipeline_lib.harness.stage import REASONS
from pipeline_lib.settings import Settings
from tasks.dvc_outcome import failure_of, plain
from tasks.git import git, git_environment
from tasks.process_group import started

SOURCE = "trial"  # its name, the first part of every image id
CODE = ("flows", "tasks", "pipeline_lib", "dvc.yaml", ".dvcignore", ".gitignore", "pyproject.toml")
HEADS = ("curation/classes.csv", "curation/overrides.csv")  # of which only the first line is taken
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
        _copy_code(repository, partial)
        (partial / ".dvc").mkdir(exist_ok=True)
        (partial / ".dvc/config").write_text(DVC_CONFIG, encoding="utf-8")
        shared = {name: getattr(settings, name) for name in SAME_MACHINE}
        lines = [f"{name} = {value!r}\n" for name, value in shared.items()]
        (partial / "settings.toml").write_text("".join(lines), encoding="utf-8")
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


def _copy_code(repository: Path, target: Path) -> None:
    """Copy the code of the line, edits included, and start the files of curation/ empty."""
    for name in git(
        repository, "ls-files", "-co", "--exclude-standard", "-z", "--", *CODE, *HEADS
    ).split("\0"):
        source = repository / name
        if not name or not source.is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        if name in HEADS:
            head = source.read_text(encoding="utf-8").partition("\n")[0]
            (target / name).write_text(f"{head}\n", encoding="utf-8")
        else:
            shutil.copy2(source, target / name)


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
