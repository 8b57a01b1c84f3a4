"""Data sets with labels in files, each in its true layout: recognised by `init`, and taken up to `curate` by what it wrote."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer, Survey, survey
from scripts.labelled_sets import SETS, TOOLS, LabelledSet
from scripts.small_files import flat
from testing.curated import curate_source, write_files


def counts(told: Mapping[str, str]) -> str:
    found = Counter(filter(None, told.values()))
    return ", ".join(f"{name} {n}" for name, n in sorted(found.items()))


# Those of TOOLS that are read by functions of their own; the others differ by the names of their columns.
CURATED = {**SETS} | {
    name: TOOLS[name]
    for name in (
        "Vertex AI and AutoML, CSV without a header",
        "Label Studio, several choices",
        "MXNet and SageMaker, .lst",
        "CVAT for images",
        "YOLO",
        "CIFAR-10 of Kaggle, trainLabels.csv",
    )
}


def answer_of(case: LabelledSet) -> SourceAnswer:
    told = dict(case.told)
    return SourceAnswer(labels=told.pop("labels", None), told=told)


def as_surveyed(found: Survey) -> tuple[str, str]:
    assert found.doubt is None
    assert found.labels_doubt is None
    classes = ", ".join(f"{one} {n}" for one, n in found.classes)
    return classes, ", ".join(f"{one} {n}" for one, n in found.splits)


@pytest.mark.parametrize("name", CURATED)
def test_a_set_with_labels_in_files_is_recognised_counted_labelled_and_split(
    name: str, tmp_path: Path
) -> None:
    case = CURATED[name]
    write_files(tmp_path, case.files())

    taken = curate_source(tmp_path, case.uri, answer=answer_of(case))

    assert counts(taken.labels) == case.classes
    assert counts(taken.splits) == case.splits
    assert as_surveyed(taken.survey) == (case.classes, case.splits)
    assert " ".join(sorted({key for one in taken.extras.values() for key in one})) == case.extras


@pytest.mark.parametrize("name", TOOLS)
def test_the_export_of_a_tool_is_recognised(name: str, tmp_path: Path) -> None:
    case = TOOLS[name]
    write_files(tmp_path, case.files())

    found = survey(case.uri, Settings(workers=1), root=tmp_path, answer=answer_of(case))

    assert as_surveyed(found) == (case.classes, case.splits)
    assert " ".join(found.extras) == case.extras


def test_one_of_the_files_that_belong_together_stands_for_all(tmp_path: Path) -> None:
    write_files(tmp_path, SETS["a list per split, with numbers"].files())

    found = survey(
        "pics", Settings(workers=1), root=tmp_path, answer=SourceAnswer(labels="pics/test.txt")
    )

    assert as_surveyed(found) == ("cat 6, dog 6", "test 4, train 8")


def test_numbers_have_the_names_that_files_begin_with(tmp_path: Path) -> None:
    write_files(tmp_path, SETS["Oxford Pets"].files())

    found = survey("pics", Settings(workers=1), root=tmp_path)

    assert {one.class_id: one.name for one in found.words} == {
        "1": "Abyssinian",
        "2": "yorkshire_terrier",
    }


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


def test_a_column_of_ones_is_no_column_of_classes_by_its_last_word(tmp_path: Path) -> None:
    rows = "".join(f"{n}.jpg,{n % 2},{1 - n % 2}\n" for n in range(12))
    write_files(tmp_path, flat("jpg"))
    (tmp_path / "train.csv").write_text(f"image_id,rust,other_categories\n{rows}")

    found = survey(str(tmp_path), Settings(workers=1), root=tmp_path)

    assert as_surveyed(found) == ("other_categories 6, rust 6", "")
