"""Files of labels with faults: one line each that names file, place and remedy."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_lib.errors import BadData, LabelsUndecided, SourceMissing
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.voc import read_annotation

MEMBERS = frozenset({"1.jpg", "2.jpg", "3.jpg"})
CUT = b'[{"file_name": "1.jpg", "label": "cat"}, {"file_name": "2.jp'


def files(named: Mapping[str, bytes], address: str = "") -> Files:
    return Files({name: partial(io.BytesIO, data) for name, data in named.items()}, address)


def read(name: str, data: bytes, **stated: Any) -> ReceivedLabels:
    stated_file = LabelsFile(file=name, **stated)
    return read_labels(files({name: data}), stated_file, file=name, members=MEMBERS)


def parquet(**columns: list[object]) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("l.json", CUT, r"l.json: the JSON file is cut off at character \d+ .*fetch or write the file again"),
        ("l.json", b'[{"file_name": "1.jpg" "label": 1}]', r"l.json: not valid JSON at character 1 "),
        ("l.json", b'"cat"', "l.json: a JSON file without records"),
        ("l.json", b"[1, 2]", r"l.json: a JSON file without records \(found: 1\)"),
        ("l.json", b'{"1.jpg": ["cat", "dog"], "2.jpg": ["cat"]}', "l.json: a JSON file without records"),
        ("l.json", b'{"a": [{"image": "1.jpg", "label": 1}], "b": [{"image": "2.jpg", "label": 2}]}', "without records"),
        ("l.jsonl", b'{"image": "1.jpg", "category": "a", "label": {"type": 1, "label": "cat"}}', "category, label.label"),
        ("l.json", b"[" * 100_000, "l.json: not valid JSON"),
        ("l.json", b'[{"file_name": "\xff"}]', "l.json: not UTF-8 text"),
        ("l.jsonl", b'{"file_name": "1.jpg", "label": "cat"}\n[1]\n', "l.jsonl:2: a line that is no JSON object"),
        ("l.jsonl", b'{"file_name": "1.jpg", "label": "cat"}\n{"file', "l.jsonl:2: not a line of JSON"),
        ("l.jsonl", b'{"file_name": "1.jpg", "label": ["a", "b"]}\n', r"1 of 1 images have several classes .*1.jpg: a\|b"),
        ("l.csv", b"1.jpg,cat\n" * 200 + b"3.jpg,cat,dog\n", "l.csv:201: more cells than the first"),
        ("l.csv", b"image,level,age\n1.jpg,2,7\n2.jpg,2,8\n3.jpg,1,9\n", r"no column is named like a class \(found: level\)"),
        ("l.mat", b"MATLAB 5.0 MAT-file", r"l.mat: not a table .*a MATLAB file.*export it as CSV with a line per image"),
        ("l.xlsx", b"PK\3\4", "l.xlsx: not a table that is read here .*spreadsheet"),
        ("l.parquet", b"PAR1 and no more", "l.parquet: not a readable Parquet file"),
        ("l.parquet", parquet(x=[1], y=[2]), r"l.parquet: no column for the image and class \(found: x, y\)"),
        ("l.csv", "filename,label\n1.jpg,cat\n".encode("utf-16-le"), "l.csv: not UTF-8 text"),
        ("l.csv", b"filename,label,class\n1.jpg,1,cat\n", r"several columns are possible .*init --label-column NAME"),
        ("l.csv", b"file;label\n1.jpg;cat\n1.jpg;dog\n", "l.csv: 1 images have two classes .*lines 2 and 3"),
        ("l.csv", b'file,label\n"1.jpg,cat\n', "l.csv:2: not valid CSV"),
    ],
)  # fmt: skip
def test_a_fault_is_named_in_one_line(name: str, data: bytes, message: str) -> None:
    with pytest.raises(BadData, match=message) as caught:
        read(name, data)

    assert "\n" not in str(caught.value)


def test_no_value_in_any_spelling_is_no_class() -> None:
    csv = read("l.csv", b"file,label\n1.jpg,nan\n2.jpg,\n3.jpg,cat\n")
    table = read(
        "l.parquet", parquet(file=["1.jpg", "2.jpg", "3.jpg"], label=[1.0, float("nan"), None])
    )

    assert csv.class_of == {"3.jpg": "cat"}
    assert csv.without == ("1.jpg", "2.jpg")
    assert table.class_of == {"1.jpg": "1"}


def test_numbers_among_names_are_remarked() -> None:
    assert read("l.csv", b"file,label\n1.jpg,0\n2.jpg,cat\n").remarks == (
        "classes are numbers and names (0 beside cat): write one or the other if they mean the same",
    )


def test_a_number_without_a_name_is_refused_and_minus_one_is_no_class() -> None:
    def labels(text: bytes) -> ReceivedLabels:
        inside = files({"l.csv": text, "classes.txt": b"cat\ndog\n"})
        stated = LabelsFile(inside=("l.csv",), classes="classes.txt")
        return read_labels(inside, stated, file="pics", members=MEMBERS)

    assert labels(b"file,label\n1.jpg,1\n2.jpg,-1\n").class_of == {"1.jpg": "dog"}
    with pytest.raises(BadData, match="classes.txt: class 2 has no name .*2 names, 0: cat, 1: dog"):
        labels(b"file,label\n1.jpg,2\n")


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(
        SourceMissing, match=r"pics/labels\.csv: the source has no such file of labels"
    ):
        read_labels(
            files({"other.csv": b""}, "pics"),
            LabelsFile(inside=("labels.csv",)),
            file="pics",
            members=MEMBERS,
        )


def test_coco_with_several_classes_in_an_image_names_the_rules() -> None:
    objects = [{"image_id": 1, "category_id": n, "bbox": [0, 0, n, n]} for n in (1, 2)]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    content = {
        "images": [{"id": 1, "file_name": "1.jpg"}],
        "annotations": objects,
        "categories": categories,
    }
    data = json.dumps(content).encode()

    with pytest.raises(
        LabelsUndecided, match="1 of 1 images have objects of several classes"
    ) as caught:
        read("a.json", data, format="coco")
    assert caught.value.choices == ("largest", "leave_out")
    assert read("a.json", data, format="coco", several="largest").class_of == {"1.jpg": "dog"}
    assert read("a.json", data, format="coco", several="leave_out").without == tuple(
        sorted(MEMBERS)
    )
    with pytest.raises(BadData, match=r"a.json: images\[0\]: not an entry of COCO .*'file_name'"):
        read("a.json", data.replace(b"file_name", b"name"), format="coco")


@pytest.mark.parametrize(
    "document",
    [
        '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><annotation>&b;</annotation>',
        '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>',
        '<!DOCTYPE annotation SYSTEM "http://localhost/x.dtd"><annotation/>',
    ],
)
def test_xml_that_declares_a_document_type_is_refused(document: str) -> None:
    with pytest.raises(BadData, match=r"x\.xml: the XML declares a document type"):
        read_annotation(document.encode(), file="x.xml")


@pytest.mark.parametrize(
    "document", [b"", b"<annotation>", b"<a>&b;</a>", b"\xff\xfe<", b"<a/><b/>"]
)
def test_broken_xml_is_named(document: bytes) -> None:
    with pytest.raises(BadData, match=r"x\.xml: not valid XML"):
        read_annotation(document, file="x.xml")


def test_an_object_is_no_class_and_an_empty_one_is_none() -> None:
    record = b'{"image": "1.jpg", "kind": {"name": "cat", "id": 3}}\n'

    with pytest.raises(BadData, match=r"l.jsonl:1: an object, not a class .*such as label\.name"):
        read("l.jsonl", record, label="kind")
    assert read("l.jsonl", record, label="kind.name").class_of == {"1.jpg": "cat"}
    assert read("l.csv", b'file,label\n1.jpg,"{}"\n2.jpg,cat\n').class_of == {"2.jpg": "cat"}
