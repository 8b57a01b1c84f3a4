"""Each row of docs/layouts.md through `curate`: a small source in the true layout, as a folder and as archives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer, survey
from scripts import odd_disks, odd_folders
from scripts.odd_imagenet import imagenet_rows
from testing.curated import CuratedSource, curate_source, write_source

ROWS = {
    **odd_folders.ORDINARY,
    **odd_folders.RECOGNISED,
    **odd_folders.ASKED,
    **odd_disks.DISKS,
    **imagenet_rows(),
}
PACKED = {"train, dev, testing": "tar", "images and masks in each class, as in chest radiographs": "zip",
          "class, then split": "tar", "folds": "zip"}  # fmt: skip


def counts(names: Iterable[str]) -> str:
    return ", ".join(f"{name} {n}" for name, n in sorted(Counter(filter(None, names)).items()))


def read(curated: CuratedSource) -> str:
    """Classes and published splits of the images of a class, as `reads` of a row has them."""
    labelled = [name for name, label in curated.labels.items() if label]
    splits = counts(curated.splits[name] for name in labelled)
    return "; ".join(part for part in (counts(curated.labels.values()), splits) if part)


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.reads])
def test_a_layout_is_curated_with_the_classes_and_splits_that_it_means(
    name: str, tmp_path: Path
) -> None:
    row = ROWS[name]
    write_source(tmp_path / "pics", row.files, PACKED.get(name, "folder"))  # type: ignore[arg-type]
    packing = PACKED.get(name)

    curated = curate_source(
        tmp_path, f"pics.{packing}" if packing else "pics", answer=SourceAnswer(**row.said)
    )

    assert read(curated) == row.reads
    reasons = Counter(curated.manifest["reason"].dropna())
    assert reasons["excluded_by_pattern"] == row.left_out
    assert reasons["label_missing"] == row.without
    assert curated.survey.doubt is None


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.asks])
def test_what_names_leave_open_is_asked(name: str, tmp_path: Path) -> None:
    write_source(tmp_path / "pics", ROWS[name].files)

    found = survey("pics", Settings(workers=1), root=tmp_path)

    assert found.doubt is not None
    assert found.doubt.why.startswith(ROWS[name].asks)
