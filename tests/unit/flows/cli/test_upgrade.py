"""`perennial upgrade` in a repository with a dvc.lock of the last release, and one on the branch perennial/line."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from flows.cli.parser import main
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import read_line
from pipeline_lib.upgrade.releases import KEPT_STAGES, is_code, read_releases
from tasks.git import git
from tasks.line_lock import holding_the_line

ROOT = Path(__file__).parents[4]
OLD = read_releases(ROOT)[-2]  # the last that was published: `next` makes some of its bytes again
LINE = "perennial/line"


@pytest.fixture
def origin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "upgrade", tmp_path / "upgrade")
    (tmp_path / ".gitignore").write_text(".perennial\n.dvc\n")
    _write_lock(tmp_path, _lock_of_old_release())
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "A run")
    git(tmp_path, "branch", LINE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _lock_of_old_release(**md5s: str) -> dict[str, Any]:
    line, stages = read_line(ROOT), {}
    for stage in KEPT_STAGES:
        code = {
            path: md5 for md5, path in (row.split("  ") for row in OLD.code[stage].splitlines())
        } | md5s
        data = [path.relative_to(ROOT).as_posix() for path in line.deps[stage]]
        deps = {path: "a" * 32 for path in data if not is_code(path)} | {
            p: m for p, m in code.items() if p
        }
        stages[stage] = {
            "cmd": f"python -m pipeline_lib.stage {stage}",
            "deps": [
                {"path": path, "hash": "md5", "md5": md5, "size": 1}
                for path, md5 in sorted(deps.items())
            ],
            "params": {"params.yaml": {stage: read_yaml(ROOT / "params.yaml")[stage]}},
            "outs": [
                {
                    "path": out.relative_to(ROOT).as_posix(),
                    "hash": "md5",
                    "md5": "b" * 32,
                    "size": 1,
                }
                for out in line.writes[stage].values()
            ],
        }
    return {"schema": "2.0", "stages": stages}


def _write_lock(folder: Path, lock: dict[str, Any]) -> None:
    with (folder / "dvc.lock").open("w", encoding="utf-8") as file:
        YAML().dump(lock, file)


def test_both_locks_are_upgraded_the_line_by_one_commit_on_top(
    origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = git(origin, "rev-parse", LINE)

    assert main(["upgrade"]) == 0

    said = capsys.readouterr().out
    assert (
        said.startswith("dvc.lock:\n  download ")
        and f"{LINE}:\n" in said
        and "now run `dvc repro`" in said
    )
    assert (origin / "dvc.lock").read_text() == git(origin, "show", f"{LINE}:dvc.lock") + "\n"
    assert git(origin, "rev-parse", f"{LINE}^") == before
    assert git(origin, "diff", "--name-only", before, LINE) == "dvc.lock"
    tip = git(origin, "rev-parse", LINE)
    assert (
        main(["upgrade"]) == 0 and git(origin, "rev-parse", LINE) == tip
    )  # there is nothing left to do


def test_code_of_no_known_release_leaves_both_locks_as_they_were(
    origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write_lock(origin, _lock_of_old_release(**{"pipeline_lib/own_idea.py": "c" * 32}))
    here, there = (origin / "dvc.lock").read_text(), git(origin, "rev-parse", LINE)

    assert main(["upgrade"]) == 65

    said = capsys.readouterr().err
    assert (
        "error[bad_data]: pipeline_lib/own_idea.py: dvc.lock says that download ran with code of no known"
        in said
    )
    assert (origin / "dvc.lock").read_text() == here and git(origin, "rev-parse", LINE) == there


def test_what_was_left_is_said_and_a_stage_that_is_none_is_refused(
    origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["upgrade", "--leave", "tarin"]) == 2
    assert (
        "--leave: no stage that keeps results (found: tarin). Remedy: name one of download,"
        in capsys.readouterr().err
    )
    assert main(["upgrade", "--leave", "train"]) == 0
    assert "  train     runs again: left as it is, as you asked\n" in capsys.readouterr().out


def test_nothing_to_upgrade_and_a_run_at_work_are_said(
    origin: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with holding_the_line(
        origin / ".perennial", "20260101-000000-aaaaaaaa", waits=False, on_wait=lambda holder: None
    ):
        assert main(["upgrade"]) == 75
    assert "a run is at work" in capsys.readouterr().err

    (origin / "dvc.lock").unlink()
    git(origin, "branch", "-D", LINE)

    assert main(["upgrade"]) == 2
    assert "nothing ran here yet" in capsys.readouterr().err
