"""Data sets with labels in files, each in its true layout: recognised by `init`, and taken up to `curate` by what it wrote."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline_lib.survey import SourceAnswer
from scripts.labelled_sets import SETS
from testing.curated import curate_source, write_files


def counts(told: Mapping[str, str]) -> str:
    found = Counter(filter(None, told.values()))
    return ", ".join(f"{name} {n}" for name, n in sorted(found.items()))


@pytest.mark.parametrize("name", SETS)
def test_a_set_with_labels_in_files_is_recognised_counted_labelled_and_split(
    name: str, tmp_path: Path
) -> None:
    case = SETS[name]
    write_files(tmp_path, case.files())
    told = dict(case.told)
    answer = SourceAnswer(labels=told.pop("labels", None), told=told)

    taken = curate_source(tmp_path, case.uri, answer=answer)

    assert taken.survey.doubt is None
    assert taken.survey.labels_doubt is None
    assert counts(taken.labels) == case.classes
    assert counts(taken.splits) == case.splits
    assert ", ".join(f"{one} {n}" for one, n in taken.survey.classes) == case.classes
    assert ", ".join(f"{one} {n}" for one, n in taken.survey.splits) == case.splits
    assert " ".join(sorted({key for one in taken.extras.values() for key in one})) == case.extras


def test_a_changed_labels_file_relabels_and_fetches_nothing_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    folder = write_files(tmp_path, SETS["Parquet beside the folder, names without ending"].files())
    curate_source(folder, "pics")
    params = (folder / "params.yaml").read_text().replace("labels.parquet", "labels.csv")
    (folder / "labels.csv").write_text(
        "".join(["id,label\n", *(f"{n},{'ab'[n % 2]}\n" for n in range(12))])
    )
    caplog.clear()

    taken = curate_source(folder, "pics", params=params)

    assert counts(taken.labels) == "a 6, b 6"
    assert "1 units from the memo" in caplog.text
