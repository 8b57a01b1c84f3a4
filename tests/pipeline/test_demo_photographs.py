"""A trial on somebody's own photographs: killed, continued with other parameters, graded; and nothing else is touched."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from demo.photographs.faults import DAMAGES
from demo.photographs.planting import file_of, read_planted
from testing.checkout import Checkout, Repro, throw_away_checkout
from testing.kill import working_in
from testing.photographs import write_crops

START_LIMIT_S = 300


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """80 windows of two photographs."""
    folder = tmp_path_factory.mktemp("photographs") / "my 'own' images"
    write_crops(folder)
    return folder


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return throw_away_checkout(tmp_path_factory.mktemp("own") / "checkout")


@pytest.fixture(scope="module")
def before(checkout: Checkout, photographs: Path) -> Mapping[str, str]:
    return state_of(checkout, photographs)


@pytest.fixture(scope="module")
def trial(checkout: Checkout, photographs: Path, before: Mapping[str, str]) -> Repro:
    """A trial that was killed in its first stages, and the same again with a shorter training."""
    assert before
    command = ("demo.photographs", str(photographs))
    with (checkout.folder.parent / "killed.log").open("w") as log:
        killed = subprocess.Popen(
            [sys.executable, "-m", *command],
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    line = Checkout(checkout.folder / "demo/out/photographs/line")
    deadline = time.monotonic() + START_LIMIT_S
    while not working_in(line.folder) and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    line.shorten_training(1)
    line.set_param("train.side_px", "64")
    line.set_param("train.probe_epochs", "50")
    return checkout.python(*command)


def state_of(checkout: Checkout, photographs: Path) -> Mapping[str, str]:
    """All that a trial must not change: references, files of the checkout that git knows or not, the source."""
    refs = checkout.run("git", "for-each-ref").output
    status = checkout.run("git", "status", "--porcelain", "--ignored").output
    kept = [
        line for line in status.splitlines() if "demo/out" not in line and "pycache" not in line
    ]
    files = [file for file in sorted(photographs.rglob("*")) if file.is_file()]
    source = [f"{file} {file.stat().st_mtime_ns} {digest(file)}" for file in files]
    return {"refs": refs, "status": "\n".join(kept), "source": "\n".join(source)}


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def figures(checkout: Checkout, trial: Repro) -> dict[str, Any]:
    assert trial.exit_code == 0
    text = (checkout.folder / "demo/out/photographs/score.json").read_text()
    content: dict[str, Any] = json.loads(text)
    return content


def test_a_killed_trial_continues_with_the_parameters_as_edited(trial: Repro) -> None:
    assert "continues, with the parameters of " in trial.output
    assert "epoch 1/1" in trial.output


def test_copies_of_the_same_bytes_and_damage_are_found_and_few_leak(
    figures: dict[str, Any], trial: Repro
) -> None:
    shares = {key: value for key, value in figures.items() if key.startswith("damage_")}

    assert len(shares) == len(DAMAGES) and set(shares.values()) == {1.0}, trial.output
    assert figures["copies_same_bytes"] == 1
    assert figures["copies_found"] >= 6 > figures["leaks"], trial.output
    assert figures["labels_planted"] == 6


def test_what_was_missed_and_the_report_can_be_opened(
    checkout: Checkout, figures: dict[str, Any], trial: Repro, photographs: Path
) -> None:
    folder = checkout.folder / "demo/out/photographs/planted"
    planted = read_planted(folder)
    report = trial.output.partition("\nReport   ")[2].splitlines()[0]

    assert planted and planted.uri == str(photographs)
    assert (checkout.folder / report).is_file()
    assert all(file_of(folder, one["member"]).is_file() for one in figures["missed"])
    assert all(one["member"] in trial.output for one in figures["missed"][:1])


def test_neither_the_source_nor_the_repository_is_touched(
    checkout: Checkout, photographs: Path, before: Mapping[str, str], trial: Repro
) -> None:
    assert trial.exit_code == 0
    assert state_of(checkout, photographs) == before
