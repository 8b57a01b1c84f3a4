"""The choices of scripts/set_up.sh: Python, system packages, refusals. Each command it calls is a small fake."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOLS = (
    "touch",
    "bash",
    "cat",
    "chmod",
    "cp",
    "cut",
    "dirname",
    "env",
    "grep",
    "mkdir",
    "rm",
    "sed",
    "sha256sum",
    "sort",
)
SYSTEM = "g++ pkg-config libopencv-dev libturbojpeg0-dev libjpeg-dev libgl1"

LOCK = "# predict: what it needs\nnumpy==1\n# line: besides\ntorch==1\n# developers: besides\npytest==1\n"

# Each fake writes down how it was called, and fails where the test says so.
FAKE = """#!/usr/bin/env bash
called="${{0##*/}} $*"
echo "$called" >>"$ASKED"
if [[ -n $FAILING && $called == *"$FAILING"* ]]; then exit 1; fi
{body}
"""
# A Python of any version: it answers set-up's own question truly, as if `lacks` were not there.
PYTHON = """
lacks="{lacks}"
for package in $lacks; do grep -qx "$package" "$INSTALLED" && lacks=${{lacks//$package/}}; done
case $* in
  -c*) exec {real} -I -S -c '
import importlib.util, os.path, sys, sysconfig
sys.version_info = {version}
code, lacks = sys.argv[1:]
importlib.util.find_spec = lambda name: None if name == "ensurepip" and "-venv" in lacks else name
os.path.exists = lambda path: path == "/its own include/Python.h" and "-dev" not in lacks
sysconfig.get_path = {{"include": "/its own include"}}.get
exec(code)' "$2" "$lacks" ;;
  "-m venv --clear "*) rm -rf "$4" && mkdir -p "$4/bin" && cp "$0" "$4/bin/python" ;;
  "-m uv --version") exit 1 ;;
esac
"""
APT = """if [[ $1 == install ]]; then printf '%s\\n' "$@" >>"$INSTALLED"; fi"""
DPKG = """if grep -qx "${!#}" "$INSTALLED"; then echo install ok installed; else exit 1; fi"""


@dataclass(frozen=True)
class Machine:
    """A project's folder, and a PATH of two folders: `pyenv`, then `bin`, which is the system's."""

    folder: Path

    def add(self, command: str, body: str = "", within: str = "bin") -> None:
        """Put a fake command on the PATH."""
        path = self.folder / within / command
        path.write_text(FAKE.format(body=body))
        path.chmod(0o755)

    def add_python(self, command: str, minor: int, lacks: str = "", within: str = "bin") -> None:
        """A Python 3.minor. lacks: the packages without which it has no ensurepip (-venv) or no Python.h (-dev)."""
        body = PYTHON.format(real=sys.executable, version=(3, minor, 2), lacks=lacks)
        self.add(command, body, within=within)

    def become_ubuntu(self) -> None:
        """Say so where the script looks."""
        (self.folder / "os-release").write_text(
            'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
        )

    def install(self, packages: str) -> None:
        """As if they had been installed before."""
        with (self.folder / "installed").open("a") as installed:
            installed.writelines(f"{name}\n" for name in packages.split())

    def set_up(
        self, *arguments: str, failing: str = "", extras: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run the script. failing: each command whose line holds these words fails. extras: optional packages."""
        environment = {
            "PATH": f"{self.folder / 'pyenv'}{os.pathsep}{self.folder / 'bin'}",
            "ASKED": str(self.folder / "asked"),
            "INSTALLED": str(self.folder / "installed"),
            "FAILING": failing,
            **({"WITH": extras} if extras else {}),
        }
        (self.folder / "asked").write_text("")
        command = [str(self.folder / "project/scripts/set_up.sh"), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def asked(self, start: str = "") -> list[str]:
        """How the fakes were called in the last run, where the line starts so."""
        return [
            line
            for line in (self.folder / "asked").read_text().splitlines()
            if line.startswith(start)
        ]

    def asked_to_install(self) -> str:
        """The packages, in the order they were asked for."""
        (line,) = self.asked("apt-get install") or [""]
        return line.removeprefix("apt-get install -y -qq --no-install-recommends").strip()

    def locked(self, environment: str = ".venv") -> list[str]:
        """The packages that were last installed into an environment."""
        lines = (self.folder / "project" / environment / "locked.txt").read_text().splitlines()
        return [line.partition("==")[0] for line in lines if not line.startswith("#")]

    def made_with(self) -> str:
        """The name of the Python that made the environment."""
        (name,) = [line.split()[0] for line in self.asked() if "-m venv" in line]
        return name


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """Debian, root, no Python yet, and none of the packages."""
    machine = Machine(tmp_path)
    for folder in ("project/scripts", "pyenv", "bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project/requirements.lock").write_text(LOCK)
    (tmp_path / "project/pyproject.toml").write_text("heic = []\ntrackers = []\n")
    script = (ROOT / "scripts/set_up.sh").read_text()
    assert script.count("/etc/os-release") == 1
    copy = tmp_path / "project/scripts/set_up.sh"
    copy.write_text(script.replace("/etc/os-release", str(tmp_path / "os-release")))
    copy.chmod(0o755)
    (tmp_path / "os-release").write_text('NAME="Debian GNU/Linux"\nVERSION_ID="13"\nID=debian\n')
    (tmp_path / "installed").touch()
    for tool in TOOLS:
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    machine.add("apt-get", APT)
    machine.add("dpkg-query", DPKG)
    machine.add("id", "echo 0")
    return machine


def leave_root(machine: Machine, sudo: bool) -> None:
    """A user with or without sudo."""
    machine.add("id", "echo 1000")
    if sudo:
        machine.add("sudo", '"$@"')


# Which Python


def test_of_several_complete_pythons_3_11_is_taken(machine: Machine) -> None:
    for minor in (13, 11, 12):
        machine.add_python(f"python3.{minor}", minor)
    machine.add_python("python3", 13)

    assert machine.set_up().returncode == 0
    assert machine.made_with() == "python3.11"


@pytest.mark.parametrize("minor", [11, 12, 13])
def test_the_systems_python3_is_taken_under_that_name_alone(machine: Machine, minor: int) -> None:
    machine.add_python("python3", minor)

    assert machine.set_up().returncode == 0
    assert machine.made_with() == "python3"


@pytest.mark.parametrize("minor", [10, 14])
def test_a_python_too_old_or_too_new_is_refused_in_one_line_with_what_to_type(
    machine: Machine, minor: int
) -> None:
    machine.add_python("python3", minor)

    done = machine.set_up()

    assert done.returncode == 69
    assert done.stderr == (
        "set-up: no Python 3.11, 3.12 or 3.13 with ensurepip and Python.h on the PATH; run: apt-get install "
        "python3.11-venv python3.11-dev (or put one there with: uv python install 3.12)\n"
    )
    assert not (machine.folder / "project/.venv").exists()


def test_a_python_that_hides_the_systems_does_not_hide_it_from_set_up(machine: Machine) -> None:
    machine.add_python("python3", 10, within="pyenv")
    machine.add_python("python3", 13)

    done = machine.set_up()

    assert done.returncode == 0
    assert f"made with {machine.folder}/bin/python3\n" in done.stdout


def test_a_shim_that_names_no_python_is_passed_over(machine: Machine) -> None:
    machine.add("python3.11", "exit 127", within="pyenv")
    machine.add_python("python3.12", 12)

    assert machine.set_up().returncode == 0
    assert machine.made_with() == "python3.12"


@pytest.mark.parametrize(
    "lacks", ["python3.11-venv", "python3.11-dev", "python3.11-venv python3.11-dev"]
)
def test_a_python_without_venv_or_headers_is_passed_over_for_a_complete_one(
    machine: Machine, lacks: str
) -> None:
    machine.add_python("python3.11", 11, lacks=lacks)
    machine.add_python("python3", 12)

    assert machine.set_up().returncode == 0
    assert machine.made_with() == "python3"
    assert "python3" not in machine.asked_to_install()


@pytest.mark.parametrize(
    "lacks", ["python3.12-venv", "python3.12-dev", "python3.12-venv python3.12-dev"]
)
def test_a_python_without_venv_or_headers_alone_is_refused_with_what_it_lacks(
    machine: Machine, lacks: str
) -> None:
    machine.add_python("python3.12", 12, lacks=lacks)
    machine.add_python("python3", 10)

    done = machine.set_up()

    assert done.returncode == 69
    assert f"run: apt-get install {lacks} (or" in done.stderr and done.stderr.count("\n") == 1


# The environment


@pytest.mark.parametrize("arguments", [[], ["developers"], ["tests"]])
def test_a_second_run_calls_nothing_and_says_nothing(
    machine: Machine, arguments: list[str]
) -> None:
    machine.add_python("python3", 11)
    first = machine.set_up(*arguments)

    second = machine.set_up(*arguments)

    assert "set-up: done; activate it with: . .venv/bin/activate\n" in first.stdout
    assert (second.returncode, second.stdout, second.stderr, machine.asked()) == (0, "", "", [])


def test_a_new_lock_is_installed_into_the_environment_that_is_there(machine: Machine) -> None:
    machine.add_python("python3", 11)
    machine.set_up()
    (machine.folder / "project/requirements.lock").write_text(LOCK + "new==1\n")

    assert machine.set_up().returncode == 0
    assert [line for line in machine.asked() if "-m venv" in line] == []
    assert machine.asked("python -m uv pip sync") and not machine.asked("apt-get")


def test_an_environment_whose_python_is_gone_is_made_anew(machine: Machine) -> None:
    machine.add_python("python3", 11)
    machine.set_up()
    python = machine.folder / "project/.venv/bin/python"
    python.unlink()
    python.symlink_to(machine.folder / "a python of the release before")

    assert machine.set_up().returncode == 0
    assert machine.asked("python3 -m venv --clear .venv")


# Sets of packages


@pytest.mark.parametrize(
    ("of", "packages"),
    [
        ("line", ["numpy", "torch"]),
        ("developers", ["numpy", "torch", "pytest"]),
        ("tests", ["numpy", "torch", "pytest"]),
    ],
)
def test_a_set_is_the_lock_up_to_the_end_of_its_part(
    machine: Machine, of: str, packages: list[str]
) -> None:
    machine.add_python("python3", 11)

    assert machine.set_up(of).returncode == 0
    assert machine.locked() == packages


def test_the_tests_add_the_developers_packages_and_the_demo_after_them_removes_none(
    machine: Machine,
) -> None:
    machine.add_python("python3", 11)
    machine.set_up()
    machine.set_up("tests")

    after = machine.set_up()

    assert machine.locked() == ["numpy", "torch", "pytest"]
    assert (after.returncode, machine.asked("python -m uv pip sync")) == (0, [])


def test_an_environment_of_developers_stays_one_under_a_new_lock(machine: Machine) -> None:
    machine.add_python("python3", 11)
    machine.set_up("developers")
    (machine.folder / "project/requirements.lock").write_text(LOCK + "new==1\n")

    assert machine.set_up().returncode == 0
    assert machine.locked() == ["numpy", "torch", "pytest", "new"]


def test_prediction_alone_gets_a_small_environment_of_its_own_without_system_packages_or_headers(
    machine: Machine,
) -> None:
    machine.add_python("python3", 12, lacks="python3.12-dev")

    done = machine.set_up("predict")
    again = machine.set_up("predict")

    assert "set-up: done; activate it with: . .venv-predict/bin/activate\n" in done.stdout
    assert machine.locked(".venv-predict") == ["numpy"]
    assert not (machine.folder / "project/.venv").exists()
    assert (again.returncode, again.stdout, machine.asked()) == (0, "", [])


def test_prediction_alone_needs_no_uv_and_no_decoder(machine: Machine) -> None:
    machine.add_python("python3", 11)

    machine.set_up("predict")

    assert not machine.asked("apt-get")
    assert [
        line for line in machine.asked("python -m") if "-m uv" in line or "-m pipeline_lib" in line
    ] == []
    assert [line for line in machine.asked("python -m pip") if "--no-deps --require-hashes" in line]


def test_the_small_environment_takes_optional_packages_too(machine: Machine) -> None:
    machine.add_python("python3", 11)

    machine.set_up("predict", extras="heic")

    assert [line for line in machine.asked("python -m pip") if line.endswith("--editable .[heic]")]


def test_an_unknown_set_or_extra_is_refused_with_the_names_there_are(machine: Machine) -> None:
    machine.add_python("python3", 11)

    of, extra = machine.set_up("training"), machine.set_up(extras="heic,time")

    assert of.stderr == (
        "set-up: no such set of packages: training; "
        "choose one of predict, line, developers, tests (make setup FOR=predict)\n"
    )
    assert extra.stderr == (
        "set-up: no such extra: time; pyproject.toml names them: dask, faces, heic, trackers\n"
    )
    assert (of.returncode, extra.returncode) == (69, 69)
    assert not (machine.folder / "project/.venv").exists()


def test_optional_packages_are_installed_once_and_come_again_with_a_new_lock(
    machine: Machine,
) -> None:
    machine.add_python("python3", 11)
    machine.set_up()

    machine.set_up(extras="trackers,heic")
    first = machine.asked("python -m uv pip install")
    machine.set_up()
    second = machine.asked()
    (machine.folder / "project/requirements.lock").write_text(LOCK + "new==1\n")
    machine.set_up()

    assert [
        line
        for line in first
        if line.endswith("--constraint requirements.lock --editable .[heic,trackers]")
    ]
    assert second == []
    assert [line for line in machine.asked() if line.endswith("--editable .[heic,trackers]")]


# System packages


def test_a_bare_system_is_asked_for_what_ffcv_and_the_decoder_are_built_with(
    machine: Machine,
) -> None:
    machine.add_python("python3", 13, lacks="python3-venv python3-dev")

    assert machine.set_up().returncode == 0
    assert machine.asked_to_install() == f"{SYSTEM} python3-venv python3-dev"
    assert machine.made_with() == "python3"


def test_no_python_package_is_asked_for_where_another_python_is_complete(machine: Machine) -> None:
    machine.add_python("python3.11", 11, within="pyenv")
    machine.add_python("python3", 13, lacks="python3-venv python3-dev")

    assert machine.set_up().returncode == 0
    assert machine.asked_to_install() == SYSTEM


def test_only_missing_packages_are_asked_for(machine: Machine) -> None:
    machine.add_python("python3", 11)
    machine.install("g++ pkg-config libopencv-dev libjpeg-dev")

    machine.set_up()

    assert machine.asked_to_install() == "libturbojpeg0-dev libgl1"


def test_the_tests_need_chromium_too_though_all_else_is_there(machine: Machine) -> None:
    machine.add_python("python3", 11)
    machine.set_up()

    assert machine.set_up("tests").returncode == 0
    assert machine.asked_to_install() == "chromium"


def test_ubuntus_chromium_is_not_asked_for_and_set_up_says_what_is_skipped(
    machine: Machine,
) -> None:
    machine.become_ubuntu()
    machine.add_python("python3", 12)

    done = machine.set_up("tests")

    assert done.returncode == 0
    assert machine.asked_to_install() == SYSTEM
    assert "tests that drive a browser are skipped until a chromium is on the PATH\n" in done.stdout


@pytest.mark.parametrize("ubuntu", [False, True])
def test_a_chromium_on_the_path_is_enough(machine: Machine, ubuntu: bool) -> None:
    if ubuntu:
        machine.become_ubuntu()
    machine.add_python("python3", 12)
    machine.add("chromium")

    done = machine.set_up("tests")

    assert machine.asked_to_install() == SYSTEM
    assert "browser" not in done.stdout


def test_a_user_with_sudo_installs_through_it(machine: Machine) -> None:
    leave_root(machine, sudo=True)
    machine.add_python("python3", 11)

    assert machine.set_up().returncode == 0
    assert machine.asked("sudo") == [
        "sudo apt-get update -qq",
        f"sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends {SYSTEM}",
    ]


def test_a_user_without_sudo_is_told_the_exact_line(machine: Machine) -> None:
    leave_root(machine, sudo=False)
    machine.add_python("python3", 11)

    done = machine.set_up("tests")

    assert done.returncode == 69
    assert done.stderr == f"set-up: run as root: apt-get install {SYSTEM} chromium\n"
    assert not machine.asked("apt-get")


def test_a_user_without_sudo_needs_none_where_all_is_there(machine: Machine) -> None:
    leave_root(machine, sudo=False)
    machine.add_python("python3", 11)
    machine.install(SYSTEM)

    assert machine.set_up().returncode == 0
    assert not machine.asked("apt-get")


def test_elsewhere_than_on_debian_the_headers_must_be_there(machine: Machine) -> None:
    (machine.folder / "bin/apt-get").unlink()
    machine.add_python("python3", 12)

    done = machine.set_up()

    assert done.returncode == 69
    assert done.stderr == (
        "set-up: not a Debian system: install the headers of OpenCV, TurboJPEG and libjpeg, pkg-config "
        "and a C++ compiler, then run again\n"
    )


def test_elsewhere_than_on_debian_set_up_goes_on_once_they_are(machine: Machine) -> None:
    (machine.folder / "bin/apt-get").unlink()
    machine.add("pkg-config")
    machine.add_python("python3", 12)

    assert machine.set_up("tests").returncode == 0
    assert machine.asked("pkg-config") == ["pkg-config --exists opencv4 libturbojpeg"]
    assert machine.made_with() == "python3"


# What fails says what to type


UV = ".venv/bin/python -m uv pip"


@pytest.mark.parametrize(
    ("failing", "said"),
    [
        ("apt-get update", "apt-get update failed; run: apt-get update"),
        ("apt-get install", f"could not install them; run: apt-get install {SYSTEM}"),
        ("pip install --quiet", "could not install uv; run: .venv/bin/python -m pip install uv=="),
        (
            "uv pip sync",
            f"could not install them; run: {UV} sync --python .venv/bin/python --require-hashes .venv/locked.txt",
        ),
        (
            "--editable",
            f"could not install the project; run: {UV} install --no-deps --editable '.'",
        ),
        (
            "native.build",
            "could not compile the decoder; run: .venv/bin/python -m pipeline_lib.native.build",
        ),
        (
            "core.site_cache_dir",
            "could not tell DVC to keep its own cache here; run: .venv/bin/python -m dvc config --local core.site",
        ),
    ],
)
def test_a_step_that_fails_says_what_to_type_and_is_tried_again(
    machine: Machine, failing: str, said: str
) -> None:
    machine.add_python("python3", 11)

    done = machine.set_up(failing=failing)

    assert done.returncode == 69
    assert done.stderr.startswith(f"set-up: {said}") and done.stderr.count("\n") == 1
    assert machine.set_up().returncode == 0 and machine.asked()
