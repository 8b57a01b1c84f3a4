"""The demo grades itself: every planted fault is found at default settings, and a second run changes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.score_file import lock_digest
from demo.targets import TARGETS, missed
from pipeline_lib.tables.predictions import PREDICTIONS
from testing.checkout import Checkout


@dataclass(frozen=True)
class Scored:
    """A line with its scorecard, which is not to be changed. said: what the scorecard printed."""

    line: Checkout
    said: str

    @property
    def figures(self) -> dict[str, Any]:
        figures: dict[str, Any] = json.loads((self.line.folder / "demo/out/score.json").read_text())
        return figures


@pytest.fixture(scope="module")
def scored(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """The finished line, scored once: ten CPU-seconds."""
    line = finished.copy_to(tmp_path_factory.mktemp("scored") / "line")
    return Scored(line, line.python("demo.score", "--without-votes").output)


def test_every_planted_fault_is_found_with_votes_and_without(scored: Scored) -> None:
    failed = [phrase for phrase in missed(scored.figures) if not phrase.startswith("top1_true")]

    assert failed == [], scored.said
    assert {target.key for target in TARGETS} <= scored.figures.keys()


def test_a_missed_target_is_told_by_the_exit_code(line: Checkout) -> None:
    predictions = line.folder / "line/evaluate/predictions.parquet"
    table = PREDICTIONS.read(predictions)
    predictions.unlink()  # linked with the cache
    PREDICTIONS.write(table.assign(predicted=0), predictions)

    said = line.python("demo.score", "--check", check=False)

    assert said.exit_code == 4
    assert "the demo missed its targets (found: top1_true 0." in said.output


def test_scoring_images_that_the_line_has_not_seen_says_so(line: Checkout) -> None:
    line.python("demo.plant", "--seed", "1")

    said = line.python("demo.score", check=False)

    assert said.exit_code == 65
    assert "plants.json: the line below was run on other images than these" in said.output


def test_the_scorecard_names_the_verdict_the_report_the_disk_and_what_to_do_next(
    scored: Scored,
) -> None:
    gate, report, disk, following = (
        scored.said.partition(f"\n{head}\n")[2].splitlines() for head in HEADS
    )
    assert gate[0].startswith("  Promoted to champion")
    assert (scored.line.folder / report[0].strip()).is_file()
    assert "line " in disk[0] and ".dvc/cache " in disk[0] and " MB" in disk[0]
    assert "perennial init" in scored.said and len(following) == 3


HEADS = ("Gate", "Report", "Disk", "Next")


def test_after_the_scorecard_another_demo_says_that_nothing_changed(
    scored: Scored, tmp_path: Path
) -> None:
    line = scored.line.copy_to(tmp_path / "line")

    said = line.python("demo.main")

    assert said.ran == ["discover", "register"]
    assert "Nothing changed" in said.output and "Scorecard" not in said.output
    assert scored.figures["dvc_lock_sha256"] == lock_digest(line.folder)


def test_the_gps_positions_are_in_the_archive_as_received_and_nowhere_behind(
    line: Checkout,
) -> None:
    from demo.finished_line import files_with
    from demo.plant_list import read_plants

    plants = read_plants(line.folder / "demo/out/plants.json")
    needles = [bytes.fromhex(text) for text in plants.needles_hex]
    received = [file for file in (line.folder / "line/download").rglob("*") if file.is_file()]

    assert any(needle in file.read_bytes() for needle in needles for file in received)
    assert files_with(needles, line.folder) == []
