"""Each row of docs/layouts.md through `curate`: a small source in the true layout, as a folder and as archives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline_lib.survey import SourceAnswer, survey
from scripts import odd_folders
from scripts.odd_folders import Row
from scripts.odd_imagenet import imagenet_rows
from testing.until_curate import SETTINGS, Curated, until_curate, write_source

ROWS = {**odd_folders.ORDINARY, **odd_folders.RECOGNISED, **odd_folders.ASKED, **imagenet_rows()}
PACKED = {"train, dev, testing": "tar", "images and masks in each class, as in chest radiographs": "zip",
          "class, then split": "tar", "folds": "zip"}  # fmt: skip


def counts(of: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(of.items()))


def read(curated: Curated) -> str:
    parts = (counts(curated.classes), counts(curated.published))
    return "; ".join(part for part in parts if part)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.reads])
def test_a_layout_is_curated_with_the_classes_and_splits_that_it_means(
    name: str, tmp_path: Path
) -> None:
    row = ROWS[name]
    uri = write_source(tmp_path / "pics", row.files, PACKED.get(name, "folder"))  # type: ignore[arg-type]

    curated = until_curate(tmp_path, uri, SourceAnswer(**row.said))

    assert read(curated) == row.reads
    assert curated.reasons.get("excluded_by_pattern", 0) == row.left_out
    assert curated.reasons.get("label_missing", 0) == row.without
    ledger = curated.statistics["ledger"]
    assert ledger["discovered"] == len(curated.manifest)
    assert dict(curated.survey.classes) == curated.classes


@pytest.mark.parametrize("name", [name for name, row in odd_folders.ASKED.items()])
def test_what_names_leave_open_is_asked(name: str, tmp_path: Path) -> None:
    row: Row = ROWS[name]

    found = survey(write_source(tmp_path / "pics", row.files), SETTINGS, root=tmp_path)

    assert found.doubt is not None
    assert found.doubt.why.startswith(row.asks)
