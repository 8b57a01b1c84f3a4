"""`dvc repro` and the Prefect flow are two doors to one line: the same dvc.lock, byte for byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from testing.checkout import Checkout, commit, throw_away_checkout


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A committed checkout with images and no cache, memo or registry. Not to be changed."""
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


def test_both_doors_give_the_same_lock_from_two_empty_caches(
    finished: Checkout, by_flow: Checkout
) -> None:
    from_the_flow = by_flow.run("git", "show", "perennial/line:dvc.lock").output

    assert from_the_flow.encode() == finished.lock()


def test_a_result_is_brought_into_the_checkout_with_the_documented_command(
    by_flow: Checkout, tmp_path: Path
) -> None:
    checkout = by_flow.copy_to(tmp_path / "line")

    checkout.run("git", "checkout", "perennial/line", "--", "dvc.lock", "params.yaml", "line")
    checkout.python("dvc", "checkout")

    assert checkout.repro().ran == ["discover", "register"]
