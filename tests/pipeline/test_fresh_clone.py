"""A colleague clones the repository, pulls the data, and has the line without computing anything."""

from __future__ import annotations

from pathlib import Path

from tests.pipeline.checkout import Checkout, commit


def test_a_fresh_clone_with_a_pull_runs_discover_and_register_only(line: Checkout, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    line.python("dvc", "remote", "add", "--default", "shelf", str(remote))
    commit(line, "A remote")
    line.python("dvc", "push")
    line.run("git", "clone", "-q", ".", str(tmp_path / "clone"))
    clone = Checkout(tmp_path / "clone")
    clone.python("demo.plant")  # the source: in real life it lies where it lay

    clone.python("dvc", "pull")
    after = clone.repro()

    assert after.ran == ["discover", "register"]
    assert clone.lock() == line.lock()
