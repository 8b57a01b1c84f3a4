"""A throw-away checkout of this working tree, and what one `dvc repro` in it did."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import STAGES

TREE = Path(__file__).parents[1]
RAN = re.compile(r"^Running stage '(\w+)'", re.MULTILINE)
RESTORED = re.compile(r"^Stage '(\w+)' is cached - skipping run", re.MULTILINE)


@dataclass(frozen=True)
class Repro:
    """What a dvc command said. ran: stages whose command was run, in order. restored: stages taken from the cache."""

    exit_code: int
    output: str

    @property
    def ran(self) -> list[str]:
        return RAN.findall(self.output)

    @property
    def restored(self) -> list[str]:
        return RESTORED.findall(self.output)


@dataclass(frozen=True)
class Checkout:
    """A git repository with the project in it, and a state folder of its own."""

    folder: Path

    def environment(self, **changes: str) -> dict[str, str]:
        """This Python first on the path, two threads, and no dvc state shared with other checkouts."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PERENNIAL_", "DVC_"))
        }
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        site = str(self.folder / ".dvc/tmp/site")
        names = {
            f"GIT_{who}_{what}": "Test"
            for who in ("AUTHOR", "COMMITTER")
            for what in ("NAME", "EMAIL")
        }
        return {
            **kept,
            **names,
            "PATH": path,
            "DVC_SITE_CACHE_DIR": site,
            "DVC_NO_ANALYTICS": "1",
            **changes,
        }

    def run(self, *command: str, check: bool = True, **environment: str) -> Repro:
        """Run a command in the checkout; with `check`, a failure fails the test with what was said."""
        said = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(**environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=600,
        )
        assert not check or said.returncode == 0, f"{' '.join(command)}\n{said.stdout}"
        return Repro(said.returncode, said.stdout)

    def python(self, *arguments: str, check: bool = True, **environment: str) -> Repro:
        """Run this Python with a module and its arguments."""
        return self.run(sys.executable, "-m", *arguments, check=check, **environment)

    def repro(self, *arguments: str, check: bool = True, **environment: str) -> Repro:
        """`dvc repro`."""
        return self.python("dvc", "repro", *arguments, check=check, **environment)

    def lock(self) -> bytes:
        """The bytes of dvc.lock."""
        return (self.folder / "dvc.lock").read_bytes()

    def out_hashes(self) -> dict[str, str]:
        """md5 of every output, by path, from dvc.lock."""
        stages = read_yaml(self.folder / "dvc.lock")["stages"]
        return {
            out["path"]: out["md5"] for stage in stages.values() for out in stage.get("outs", ())
        }

    def reason(self, stage: str) -> dict[str, Any]:
        """The reason.json that a failed stage left."""
        reason: dict[str, Any] = json.loads(
            (self.folder / "line/reasons" / f"{stage}.json").read_text()
        )
        return reason

    def set_param(self, name: str, value: str) -> None:
        """Set a parameter as a user does on the command line: `train.epochs=3`."""
        from ruamel.yaml import YAML

        yaml, path = YAML(), self.folder / "params.yaml"
        content = yaml.load(path.read_text())
        *sections, key = name.split(".")
        place = content
        for section in sections:
            place[section] = place[section] if isinstance(place.get(section), dict) else {}
            place = place[section]
        place[key] = yaml.load(value)
        with path.open("w") as file:
            yaml.dump(content, file)

    def shorten_training(self, epochs: int) -> None:
        """Fewer epochs, in one thread: two would wait for each other where two tests share two cores."""
        for name, value in (
            ("train.epochs", epochs),
            ("train.threads", 1),
            ("evaluate.threads", 1),
        ):
            self.set_param(name, str(value))

    def copy_to(self, folder: Path) -> Checkout:
        """A copy with its cache, memo and registry; file times are kept, and outputs stay linked with the cache."""
        subprocess.run(["cp", "-a", self.folder, folder], check=True)
        return Checkout(folder)

    def forget_results(self) -> None:
        """Remove outputs, DVC's cache and run-cache, the memo and the registry: what a fresh machine has not."""
        for name in ("line", ".dvc/cache", ".dvc/tmp", ".perennial", "dvc.lock"):
            path = self.folder / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def throw_away_checkout(folder: Path) -> Checkout:
    """Copy the tracked and the not yet tracked files of this working tree into a new git repository."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=TREE,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (TREE / name).is_file() and not name.startswith("tests/"):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TREE / name, target)
    (folder / "dvc.lock").unlink(missing_ok=True)
    checkout = Checkout(folder)
    checkout.run("git", "init", "-q", "-b", "main")
    commit(checkout, "The working tree")
    return checkout


def commit(checkout: Checkout, message: str) -> None:
    """Commit everything that git does not ignore."""
    checkout.run("git", "add", "-A")
    checkout.run("git", "commit", "-q", "--allow-empty", "-m", message)


def stages_from(first: str) -> list[str]:
    """A stage and all that come after it in the line."""
    return list(STAGES[STAGES.index(first) :])
