"""Targets, figures and what the scorer says when there is nothing to score."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo import score
from demo.finished_line import disk_use
from demo.grades import Grade
from demo.score_file import lock_digest, read_figures, write_figures
from demo.scorecard import card
from demo.targets import TARGETS, missed
from pipeline_lib.errors import DataCheckFailed

PASSED = {target.key: target.bound for target in TARGETS}


def test_figures_on_their_bounds_pass() -> None:
    assert missed(PASSED) == []


def test_each_missed_target_is_named_with_its_value_and_its_bound() -> None:
    assert missed({**PASSED, "top1_true": 0.9312, "leaks": 2}) == [
        "leaks 2, at most 0",
        "top1_true 0.9312, at least 0.98",
    ]


def test_a_check_that_fails_names_all_targets_in_one_line() -> None:
    with pytest.raises(
        DataCheckFailed, match="the demo missed its targets .found: leaks 2, at most 0; n_test 10"
    ) as failed:
        score.check({**PASSED, "leaks": 2, "n_test": 10})

    assert failed.value.exit_code == 4


def test_figures_read_back_with_the_lock_they_belong_to(tmp_path: Path) -> None:
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")

    write_figures({"leaks": 0.0}, tmp_path, lock=lock_digest(tmp_path))

    expected = {"leaks": 0.0, "dvc_lock_sha256": lock_digest(tmp_path)}
    assert read_figures(tmp_path) == expected


def test_before_the_first_run_there_are_no_figures_and_no_lock(tmp_path: Path) -> None:
    assert (read_figures(tmp_path), lock_digest(tmp_path)) == ({}, "")


def test_a_file_linked_from_two_folders_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "file").write_bytes(bytes(100_000))
    (tmp_path / "b" / "link").hardlink_to(tmp_path / "a" / "file")

    use = disk_use(tmp_path, ("a", "b", "absent"))

    assert use["a"] >= 100_000
    assert (use["b"], use["absent"]) == (0, 0)


def test_the_card_shows_named_grades_aligned_and_leaves_out_the_others() -> None:
    graded = [
        Grade("a", 1.0, "leaks", "0 left"),
        Grade("b", 0.5),
        Grade("c", 1.0, "near duplicates", "3/3 found"),
    ]

    assert card(graded) == ["  leaks            0 left", "  near duplicates  3/3 found"]


def test_scoring_without_a_plant_list_says_how_to_get_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["score", "--folder", str(tmp_path)])

    exit_code = score.main()

    assert exit_code == 66
    assert (
        "plants.json: there is no plant list to score against. Remedy: run `python -m demo.plant`"
        in capsys.readouterr().err
    )


def test_scoring_without_a_line_says_to_run_it(
    planted_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "dvc.yaml").write_text((Path(__file__).parents[3] / "dvc.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["score", "--folder", str(planted_folder)])

    exit_code = score.main()

    assert exit_code == 65
    assert (
        "manifest.parquet: the manifest table is absent. Remedy: run `dvc repro`"
        in capsys.readouterr().err
    )
