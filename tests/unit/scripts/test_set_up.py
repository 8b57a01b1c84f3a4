"""The choices of scripts/set_up.sh: which Python, which environment, what to type where a step fails."""

from __future__ import annotations

import pytest

from tests.unit.scripts.fake_machine import LOCK, SYSTEM, Machine

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
