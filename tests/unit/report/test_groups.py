"""The page of groups: what is claimed stands on the first page, all else in a table."""

import csv
import io
import re
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.run import run
from pipeline_lib.report.groups import MEANING
from testing.registrations import registry_of
from testing.registries import checkout, database, name, other_database
from testing.tiny_line import ROOT, SPLITS, TinyLine, image_ids, make_line

__all__ = ["checkout", "database", "name", "other_database"]
TEST_IDS = [one for one, split in zip(image_ids(), SPLITS, strict=True) if split == "test"]
WRONG = range(12)  # of the first half of the test images


def groups(line: TinyLine, text: str) -> None:
    (line.root / "curation" / "groups.csv").write_text(text)


def halves() -> str:
    rows = (f"{one},{'first' if place < 30 else 'second'}" for place, one in enumerate(TEST_IDS))
    return "\n".join(["image_id,half", *rows]) + "\n"


def pages(line: TinyLine) -> tuple[str, str]:
    latest = line.root / ".perennial/reports/latest"
    first = (latest / "report.html").read_text()
    behind = latest / "pages" / "groups.html"
    return re.sub(r"<[^>]*>", "", first), behind.read_text() if behind.exists() else ""


def table(line: TinyLine) -> dict[tuple[str, str, str], dict[str, str]]:
    text = (line.root / ".perennial/reports/latest/slices.csv").read_text()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == list(MEANING)
    return {(row["column"], row["group"], row["class"]): row for row in rows}


def test_another_table_of_groups_makes_another_report_and_no_other_attempt(checkout: Path) -> None:
    line = make_line(checkout, wrong=WRONG)
    run(line.job())
    first, page = pages(line)
    assert "No group differs beyond chance" in first and "half" not in page

    groups(line, halves())
    run(line.job())

    first, page = pages(line)
    assert (
        "half: first: 60.0 % of 30 images are right (42.3 % to 75.4 %); 40.0 points worse" in first
    )
    assert '<h2 id="group-0">half: <bdi>first</bdi> <small>worse</small>' in page
    assert len(registry_of(line).attempts()) == 1
    worse = table(line)["groups.half", "first", ""]
    assert (worse["images"], worse["right"], worse["finding"]) == ("30", "18", "worse")
    assert float(worse["p"]) < 0.001
    card = (line.root / ".perennial/reports/latest/model-card.md").read_text()
    assert "- half, first: 60.0 % of 30 images" in card


def test_what_is_not_named_reaches_no_file_of_the_report(checkout: Path) -> None:
    line = make_line(checkout, wrong=WRONG)
    groups(line, halves().replace("half", "illness"))

    run(line.job(params=RegisterParams(slices=("source",))))

    folder = (line.root / ".perennial/reports/latest").resolve()
    texts = [one.read_text() for one in folder.rglob("*") if one.suffix in (".html", ".csv", ".md")]
    assert len(texts) > 5
    assert not [one for one in texts if "illness" in one]
    run(line.job(params=RegisterParams(slices=())))
    assert pages(line)[1] == ""
    assert not (line.root / ".perennial/reports/latest/slices.csv").exists()
    assert len(registry_of(line).attempts()) == 1


def test_a_group_lost_since_the_champion_is_on_the_first_page(checkout: Path) -> None:
    run(make_line(checkout, wrong=range(30, 42)).job())
    line = make_line(checkout, wrong=WRONG, model="two")
    groups(line, halves())

    run(line.job())

    first, page = pages(line)
    assert "12 images lost and 0 won against the champion (p = " in first
    assert "lost since the champion" in page or "worse" in page
    assert table(line)["groups.half", "first", ""]["lost"] == "12"


def test_a_wrong_table_stops_before_anything_is_recorded(checkout: Path) -> None:
    line = make_line(checkout)
    groups(line, "image_id,half\nnobody.jpg,1\n")

    with pytest.raises(BadData, match="no line names an image of the sources by its image_id"):
        run(line.job())

    assert registry_of(line).attempts() == []


def test_groups_and_what_they_are_joined_with_re_run_no_training_and_no_evaluation() -> None:
    stages = read_yaml(ROOT / "dvc.yaml")["stages"]
    joined = {"curation/groups.csv", "line/curate/manifest.parquet", "line/download/extras.parquet"}

    readers = {stage for stage, entry in stages.items() if joined & set(entry.get("deps", ()))}

    assert readers == {"register"}
    outs = {
        out if isinstance(out, str) else next(iter(out))
        for out in stages["register"].get("outs", ())
    }
    assert outs == set()
