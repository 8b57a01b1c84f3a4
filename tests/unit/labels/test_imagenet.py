"""ImageNet's file of the classes of val: what is damaged, or of other images."""

from __future__ import annotations

import io

import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.formats import read_labels, recognise
from pipeline_lib.labels.imagenet import DEVKIT, KAGGLE, META
from scripts.odd_imagenet import GOLDFISH, TENCH, meta_mat

MEMBERS = frozenset(
    {f"ILSVRC2012_img_train/{TENCH}/{TENCH}_1.JPEG"}
    | {f"ILSVRC2012_img_val/ILSVRC2012_val_{n:08d}.JPEG" for n in (1, 2)}
)


def files(**data: bytes) -> Files:
    names = {"truth": f"devkit/{DEVKIT}", "meta": f"devkit/{META}", "kaggle": KAGGLE}
    return Files({names[key]: lambda one=one: io.BytesIO(one) for key, one in data.items()}, "pics")  # type: ignore[misc]


def labels_of(found: Files) -> dict[str, str]:
    (stated,) = recognise(found, MEMBERS)
    read = read_labels(found, stated, file="pics", members=MEMBERS).class_of
    return {name.rpartition("/")[2]: label for name, label in read.items()}


def test_an_id_is_a_wnid_by_the_devkit_and_not_by_the_order_of_wnids() -> None:
    """ID 1 is goldfish in this devkit, though tench is the first wnid in order."""
    found = labels_of(files(truth=b"1\n2\n2\n", meta=meta_mat()))

    assert found[f"{TENCH}_1.JPEG"] == TENCH
    assert found["ILSVRC2012_val_00000001.JPEG"] == GOLDFISH
    assert found["ILSVRC2012_val_00000002.JPEG"] == TENCH


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"truth": b"1\n77\n", "meta": meta_mat()}, rf"pics/devkit/{DEVKIT}:2: no ILSVRC2012_ID .found: 77.. Remedy"),
        ({"truth": b"1\nx\n", "meta": meta_mat()}, rf"{DEVKIT}:2: no ILSVRC2012_ID .found: x"),
        ({"truth": b"1\n2\n", "meta": b"MATLAB"}, "not the devkit's meta.mat"),
        ({"kaggle": b"ImageId,PredictionString\nILSVRC2012_val_00000001,\n"}, rf"{KAGGLE}:2: a line without a class"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_named_with_the_line(data: dict[str, bytes], said: str) -> None:
    with pytest.raises(BadData, match=said):
        labels_of(files(**data))
