"""What the cells of a table tell where the names of its columns leave something open."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from pipeline_lib.errors import BadData, LabelsUndecided
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.recognise_tables import find_tables

Row = Callable[[int], str]
N = 12
MEMBERS = frozenset(f"{n}.jpg" for n in range(N))


def pet(n: int) -> str:
    return ("cat", "dog")[n % 2]


def table(head: str, row: Row) -> str:
    """A CSV. row: of image n."""
    rows = map(row, range(N))
    return "\n".join([head, *rows, ""])


def read(text: str, *, name: str = "l.csv", **stated: Any) -> ReceivedLabels:
    files = Files({name: partial(io.BytesIO, text.encode())})
    return read_labels(files, LabelsFile(file=name, **stated), file=name, members=MEMBERS)


CLASSES = {f"{n}.jpg": pet(n) for n in range(N)}


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("filename,label,usage", lambda n: f"{n}.jpg,{pet(n)},{('Training', 'Test')[n > 7]}"),
        ("filename,label,phase", lambda n: f"{n}.jpg,{pet(n)},{('train', 'test')[n > 7]}"),
        (
            "filename,label,Teil",
            lambda n: f"{n}.jpg,{pet(n)},{('Trainingsdaten', 'Testdaten')[n > 7]}",
        ),
        ("filename,label,is_test", lambda n: f"{n}.jpg,{pet(n)},{int(n > 7)}"),
        ("filename,label,is_training_image", lambda n: f"{n}.jpg,{pet(n)},{int(n <= 7)}"),
    ],
)
def test_a_column_of_splits_is_known_by_its_cells_or_its_question(head: str, row: Row) -> None:
    labels = read(table(head, row))

    assert labels.class_of == CLASSES
    assert labels.split_of == {f"{n}.jpg": "test" if n > 7 else "train" for n in range(N)}


def test_fastais_is_valid_is_val() -> None:
    labels = read(table("name,label,is_valid", lambda n: f"{n}.jpg,{pet(n)},{n > 7}"))

    assert (labels.split_of["0.jpg"], labels.split_of["9.jpg"]) == ("train", "val")


def test_words_that_are_no_splits_make_no_split_of_a_column() -> None:
    labels = read(
        table("filename,label,vehicle", lambda n: f"{n}.jpg,{pet(n)},{('train', 'plane')[n > 7]}")
    )

    assert labels.split_of == {}


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("filename,label,confidence", lambda n: f"{n}.jpg,{pet(n)},{int(n != 3)}"),
        ("image,label,answer", lambda n: f"{n}.jpg,{pet(n)},{('accept', 'reject')[n == 3]}"),
    ],
)
def test_a_row_that_denies_its_class_gives_none(head: str, row: Row) -> None:
    labels = read(table(head, row))

    assert labels.class_of == {name: label for name, label in CLASSES.items() if name != "3.jpg"}
    assert labels.without == ("3.jpg",)


def test_whole_numbers_lose_their_decimals_and_other_numbers_keep_them() -> None:
    whole = read(table("filename,label", lambda n: f"{n}.jpg,{n % 2}.0"))
    halves = read(table("filename,label", lambda n: f"{n}.jpg,{n % 2}.5"))

    assert set(whole.class_of.values()) == {"0", "1"}
    assert set(halves.class_of.values()) == {"0.5", "1.5"}


def test_numbers_beside_names_of_images_are_no_names() -> None:
    """The first column counts from 1, and images are numbered from 0: each would get the class of the one before."""
    labels = read(table("id,filename,label", lambda n: f"{n + 1},{n}.JPG,{pet(n)}"))

    assert labels.class_of == CLASSES
    assert labels.columns.startswith("images in column filename")


def corrected(n: int) -> str:
    """A row with the class, and with that of another version, which differs for image 1."""
    return f"{n}.jpg,{pet(n)},{pet(n + (n == 1))}"


def test_a_version_of_the_class_beside_it_is_asked_about_and_a_prediction_is_not() -> None:
    with pytest.raises(LabelsUndecided, match="several columns .*label, final_label"):
        read(table("filename,label,final_label", corrected))
    for column in ("predicted_label", "prediction", "pred_class"):
        told = read(table(f"filename,label,{column}", corrected))
        assert told.class_of == CLASSES
    with pytest.raises(
        BadData, match=r"no column is named like a class \(found: predicted_class\)"
    ):
        read(table("filename,predicted_class", lambda n: f"{n}.jpg,{pet(n)}"))


def test_the_same_one_in_all_rows_is_no_class() -> None:
    """VGG's annotator counts regions from 0: `region_count` is 1 and `region_id` 0 where an image has one."""
    text = table("filename,region_count,region_id", lambda n: f"{n}.jpg,1,0").encode()
    files = Files({"l.csv": partial(io.BytesIO, text)})

    assert find_tables(files, MEMBERS, format_name="one_hot") == []


@pytest.mark.parametrize(
    ("record", "columns"),
    [
        (
            lambda n: {"path": f"{n}.jpg", "category": "test" if n > 7 else "train", "label": {"label": pet(n)}},
            "classes in label.label, splits in category",
        ),
        (lambda n: {"image": f"{n}.jpg", "job": {"categories": [{"name": pet(n)}]}}, "classes in job.categories.name"),
        (lambda n: {"image": f"{n}.jpg", "tags": [{"tagId": n % 2, "tagName": pet(n)}]}, "classes in tags.tagName"),
        (
            lambda n: {"id": n + 1, "data": {"image": f"{n}.jpg"}, "result": {"choices": [pet(n)]}},
            "images in column data.image",
        ),
    ],
    ids=["Edge Impulse", "Kili", "Azure Custom Vision", "Label Studio, tasks counted from 1"],
)  # fmt: skip
def test_objects_of_json_name_their_class_by_the_keys_above(record: Any, columns: str) -> None:
    labels = read(json.dumps([record(n) for n in range(N)]), name="l.json")

    assert columns in labels.columns
    assert labels.class_of == CLASSES


def test_several_lines_about_one_image_are_asked_about_and_read_as_is_said() -> None:
    text = table("filename,label", lambda n: f"{n}.jpg,{pet(n)}") + "0.jpg,dog\n1.jpg,dog\n"

    with pytest.raises(
        LabelsUndecided, match="1 images have two classes .*lines 2 and 14"
    ) as asked:
        read(text)
    assert asked.value.key == "several"
    assert set(asked.value.choices) == {"leave_out", "combined"}
    assert "0.jpg" not in read(text, several="leave_out").class_of
    assert read(text, several="combined").class_of == CLASSES | {"0.jpg": "cat|dog"}


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("img_1.jpg", ["IMG_1.JPG"]),
        ("Cats/A.jpg", ["cats/a.JPG"]),
        ("IMG_1", ["IMG_1.JPG"]),
        ("twin.jpg", ["Twin.jpg", "twIn.jpg"]),
        ("dogs/A.jpg", []),
        ("https://x.com/a/B%20c.png?w=300", ["a/B c.png"]),
    ],
)
def test_a_name_in_other_capitals_or_with_a_query_is_found_where_no_other_is(
    cell: str, found: list[str]
) -> None:
    members = frozenset({"IMG_1.JPG", "cats/a.JPG", "Twin.jpg", "twIn.jpg", "a/B c.png"})

    assert sorted(Finder(members).find(cell)) == found
