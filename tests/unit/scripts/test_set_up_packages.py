"""The packages that scripts/set_up.sh installs: sets of the lock, extras, and those of the system."""

from __future__ import annotations

import pytest

from tests.unit.scripts.fake_machine import LOCK, SYSTEM, Machine


def leave_root(machine: Machine, sudo: bool) -> None:
    """A user with or without sudo."""
    machine.add("id", "echo 1000")
    if sudo:
        machine.add("sudo", '"$@"')


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
