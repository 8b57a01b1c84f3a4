"""Labels that name several acceptable classes per image: ReaL's real.json, and tables."""

from __future__ import annotations

import io
import json

import pytest

from pipeline_lib.backbones.imagenet import imagenet_classes
from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.imagenet_real import find_real
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.sources.source import Source

VAL = [f"val/ILSVRC2012_val_{n:08d}.JPEG" for n in (1, 2, 3)]
REAL = LabelsFile(format="imagenet_real", inside=("real.json",))
WNIDS = [wnid for wnid, _ in imagenet_classes()]


def files(name: str, text: str) -> Files:
    return Files({name: lambda: io.BytesIO(text.encode())}, "pics")


def test_list_k_is_of_validation_image_k_and_an_empty_list_is_no_class() -> None:
    found = files("real.json", json.dumps([[999, 0], [], [7], [1]]))

    labels = read_labels(found, REAL, file="pics", members=frozenset(VAL))

    assert labels.class_of == {VAL[0]: f"{WNIDS[999]}|{WNIDS[0]}", VAL[2]: WNIDS[7]}
    assert labels.without == (VAL[1],)
    assert labels.unknown.n == 1  # the fourth image is not in this source


def test_real_is_found_beside_imagenets_validation_images_only() -> None:
    found = files("real.json", "[]")

    assert find_real(found, frozenset(VAL)) == [REAL]
    assert find_real(found, frozenset({"cat/1.jpg"})) == []
    assert find_real(files("labels.json", "[]"), frozenset(VAL)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "not JSON"),
        ('{"a": 1}', "not a list .found: dict"),
        ("[[1], [1000]]", r"list 2 is no list of class numbers from 0 to 999 .found: \[1000\]"),
        ("[[1], 2]", "list 2 is no list of class numbers"),
        ('[["n01440764"]]', "list 1 is no list of class numbers"),
    ],
)
def test_what_is_not_real_json_is_named(text: str, said: str) -> None:
    with pytest.raises(BadData, match=rf"pics/real\.json: {said}"):
        read_labels(files("real.json", text), REAL, file="pics", members=frozenset(VAL))


def test_the_combined_classes_of_a_table_are_all_right_for_an_extra_test_set() -> None:
    beside = {
        "labels.csv": b"filename,label\n1.jpg,cat;owl\n2.jpg,dog\n",
    }
    found = Files({name: lambda data=data: io.BytesIO(data) for name, data in beside.items()})  # type: ignore[misc]
    stated = LabelsFile(inside=("labels.csv",), several="combined")

    labels = read_labels(found, stated, file="pics", members=frozenset({"1.jpg", "2.jpg"}))

    assert labels.class_of == {"1.jpg": "cat|owl", "2.jpg": "dog"}
    assert Source(name="x", uri="x", role="test", labels=stated).label_separator == "|"
    assert Source(name="x", uri="x", labels=stated).label_separator is None
