"""`dvc repro` and the Prefect flow are two doors to one line: the same dvc.lock, byte for byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipeline.checkout import Checkout, commit, throw_away_checkout


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A committed checkout with pictures and no cache, memo or registry. Not to be changed."""
    checkout = throw_away_checkout(tmp_path_factory.mktemp("doors") / "start")
    checkout.python("demo.plant")
    checkout.shorten_training(3)  # as in `finished`
    commit(checkout, "Three epochs")
    return checkout


@pytest.fixture(scope="module")
def by_flow(start: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A copy of it in which `perennial run` has made the line."""
    checkout = start.copy_to(tmp_path_factory.mktemp("by-flow") / "line")
    checkout.python("flows.cli", "run")
    return checkout


def test_both_doors_give_the_same_lock_from_two_empty_caches(finished: Checkout, by_flow: Checkout) -> None:
    from_the_flow = by_flow.run("git", "show", "perennial/line:dvc.lock").output

    assert from_the_flow.encode() == finished.lock()


def test_a_result_is_brought_into_the_checkout_with_the_documented_command(by_flow: Checkout, tmp_path: Path) -> None:
    checkout = by_flow.copy_to(tmp_path / "line")

    checkout.run("git", "checkout", "perennial/line", "--", "dvc.lock", "params.yaml", "line")
    checkout.python("dvc", "checkout")

    assert checkout.repro().ran == ["discover", "register"]


def test_two_runs_at_once_with_different_overrides_end_with_their_own_results(
    by_flow: Checkout, tmp_path: Path
) -> None:
    checkout = by_flow.copy_to(tmp_path / "line")
    before = checkout.run("git", "rev-parse", "perennial/line").output
    command = [sys.executable, "-m", "flows.cli", "run", "--json"]

    runs = [
        subprocess.Popen(
            [*command, "--set", *override],
            cwd=checkout.folder,
            env=checkout.environment(PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS="120"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for override in (["train.epochs=1"], ["train.epochs=2", "--fail-if-held"])
    ]
    said = [run.communicate(timeout=500) for run in runs]

    assert [run.returncode for run in runs] == [0, 3], said
    assert "error[gate_held]" in said[1][1] and "the model was not promoted" in said[1][1]
    results = [json.loads(out) for out, _ in said]
    params = [checkout.run("git", "show", f"{result['commit']}:params.yaml").output for result in results]
    assert "epochs: 1" in params[0] and "epochs: 2" in params[1]
    assert [result["candidate"] for result in results] == [True, True]
    assert results[0]["metrics"] != results[1]["metrics"]
    assert checkout.run("git", "rev-parse", "perennial/line").output == before
