"""The sets of packages that set-up installs: each needs nothing outside it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from socket import socket

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flows import server_process
from pipeline_lib.errors import DependencyMissing, missing_module
from scripts.write_lock import SETS, pins_of
from testing.small_line import SmallLine

ROOT = Path(__file__).parents[3]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Run a command of ours as if only some packages were installed.
WITH_FEW_PACKAGES = """
import json, sys
from importlib.abc import MetaPathFinder

class Few(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if not name.startswith("_") and name.partition(".")[0] not in installed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

installed = {*sys.stdlib_module_names, *json.loads(sys.argv[1])}
sys.meta_path.insert(0, Few())
"""


def _packages(name: str) -> set[str]:
    """Everything that a set holds: the lock up to the end of its part."""
    names = [other for other, _, _ in SETS]
    following = names[names.index(name) + 1 :]
    text = (ROOT / "requirements.lock").read_text()
    return set(pins_of(text.partition(f"# {following[0]}:")[0] if following else text))


def _needed(
    requirements: list[str], found: dict[str, set[str]], extras: tuple[str, ...] = ("",)
) -> None:
    """Add to `found` what requirements need, directly or not: package -> the extras that were followed."""
    for requirement in map(Requirement, requirements):
        if requirement.marker and not any(
            requirement.marker.evaluate({"extra": extra}) for extra in extras
        ):
            continue
        name, wanted = canonicalize_name(requirement.name), {"", *requirement.extras}
        if name == PROJECT["name"]:
            for extra in requirement.extras:
                _needed(PROJECT["optional-dependencies"][extra], found)
        elif not wanted <= found.setdefault(name, set()):
            found[name] |= wanted
            _needed(requires(name) or [], found, tuple(wanted))


@pytest.mark.parametrize("name", [name for name, _, _ in SETS])
def test_a_set_holds_all_that_its_packages_need(name: str) -> None:
    extra = {name: extra for name, extra, _ in SETS}[name]
    found: dict[str, set[str]] = {}

    try:
        _needed(PROJECT["dependencies"], found)
        _needed(PROJECT["optional-dependencies"][extra] if extra else [], found)
    except PackageNotFoundError as absent:
        pytest.skip(f"{absent.name} is not installed: run `make setup FOR=developers`")

    assert set(found) - _packages(name) == set()


def _run_with_few_packages(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run code where only the packages of the set `predict` can be imported."""
    packages = _packages("predict")
    modules = [
        module
        for module, distributions in packages_distributions().items()
        if any(canonicalize_name(name) in packages for name in distributions)
    ]
    own = ["flows", "tasks", "pipeline_lib"]
    command = [
        sys.executable,
        "-c",
        WITH_FEW_PACKAGES + code,
        json.dumps([*modules, *own]),
        *arguments,
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_models_predict_with_the_packages_of_the_small_set_alone(
    small_line: SmallLine, evaluated: Path, tmp_path: Path
) -> None:
    code = """
import pipeline_lib.registry.registry
from pathlib import Path
from flows.cli import main
image, export, out = sys.argv[2:]
main(["predict", "--model", export, image])
main(["predict", "--model", "builtin", image])
main(["predict", "--model", "builtin", str(Path(out).parent), "--out", out])
"""
    image, out = str(small_line.file("src/test000.png")), str(tmp_path / "all.csv")
    shutil.copy(image, tmp_path)

    done = _run_with_few_packages(code, image, str(evaluated / "export"), out)

    assert (done.returncode, done.stderr) == (0, "")
    said = [line.partition(": ")[0] for line in done.stdout.splitlines()]
    assert said == [image, image, f"wrote {out}"]


def test_a_command_that_needs_another_set_says_in_one_line_what_to_install() -> None:
    commands = [["init", "."], ["status"], ["review"]]
    code = "from flows.cli.parser import main\nfor command in json.loads(sys.argv[2]): print(main(command))\n"

    done = _run_with_few_packages(code, json.dumps(commands))

    remedy = r"Remedy: run `make setup`, then `\. \.venv/bin/activate` \(.*\)"
    lines = done.stderr.splitlines()
    assert done.stdout.split() == [str(DependencyMissing.exit_code)] * len(commands)
    assert len(lines) == len(commands)
    for command, line in zip(commands, lines, strict=True):
        said = rf"perennial {command[0]}: error\[dependency_missing\]: .*needs a package \(found: no \w+\)\. {remedy}"
        assert re.fullmatch(said, line)


def test_a_prefect_server_that_is_not_installed_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "find_spec", lambda name: None)

    with socket() as listener, pytest.raises(ModuleNotFoundError) as raised:
        server_process.start_server(tmp_path, listener, log=tmp_path / "log")

    said = str(missing_module(raised.value, file="perennial run"))
    assert "perennial run needs a package (found: no prefect). Remedy: run `make setup`" in said


def test_a_module_of_our_own_that_is_not_found_is_a_defect() -> None:
    error = ModuleNotFoundError("No module named 'flows.gone'", name="flows.gone")

    assert missing_module(error, file="perennial run").code == "defect"
