"""One label per image in a CSV as people have it: a label as received, by rules that name what does not fit."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.recognise_tables import table_header
from testing.sources import Take, tar_of

MEMBERS = frozenset({"a/1.jpg", "a/2.jpg", "b/caf%E9 %231.jpg", "b/10.png"})


def read(text: str | bytes, members: frozenset[str] = MEMBERS) -> ReceivedLabels:
    stated = LabelsFile(file="labels.csv")
    return read_labels(beside(text), stated, file="labels.csv", members=members)


def beside(text: str | bytes, name: str = "labels.csv") -> Files:
    data = text.encode() if isinstance(text, str) else text
    return Files({name: lambda: io.BytesIO(data)})


@pytest.mark.parametrize(
    "text",
    [
        "filename,label\na/1.jpg,cat\na/2.jpg,dog\n",
        "\ufefffilename;label\r\na/1.jpg;cat\r\na/2.jpg;dog\r\n",
        "Image Path\tClass-Name\tcomment\n1.jpg\tcat\tx, y; z\n2.jpg\tdog\n",
        "id,breed,age\n1,cat,3\n2,dog,4\n",
        'label,file\n" cat ","./a/1.jpg"\ndog,a\\2.jpg\n',
        "image|category\nphotos/of mine/a/1.jpg|cat\n/data/a/2.jpg|dog\n",
        "id,filename,label\n7,1.jpg,cat\n8,2.jpg,dog\n",
        "filename,label\na/1.jpg,cat\n1.jpg,cat\na/2.jpg,dog\n",
        "filename,label\na/1.jpg,cat\na/2.jpg,dog\n\nb/10.png,\ngone.jpg,dog\n",
        "a/1.jpg,cat\na/2.jpg,dog\n",
        "TRAIN,gs://bucket/a/1.jpg,cat\nUNASSIGNED,gs://bucket/a/2.jpg,dog\n",
        "\ufeffdog;C:\\mine\\a\\2.jpg\r\ncat;C:\\mine\\a\\1.jpg\r\n",
        "image,Finding Labels\na/1.jpg,cat\na/2.jpg,dog\n",
        "sep=;\r\nfilename;label\r\na/1.jpg;cat\r\na/2.jpg;dog\r\n",
    ],
)
def test_tables_as_people_have_them_are_understood(text: str) -> None:
    assert read(text).class_of == {"a/1.jpg": "cat", "a/2.jpg": "dog"}
    assert table_header(beside(text), "labels.csv", Finder(MEMBERS), "table")


def test_a_spreadsheets_unicode_text_is_read() -> None:
    assert read("filename\tlabel\n1.jpg\tchien\n".encode("utf-16")).class_of == {"a/1.jpg": "chien"}


def test_what_was_read_and_what_is_left_over_is_told() -> None:
    labels = read("filename;label;Split\n1.jpg;cat;dev\ngone.jpg;dog;train\n2.jpg;;test\n")

    assert labels.columns == "images in column filename, classes in label, splits in Split"
    assert (labels.class_of, labels.split_of) == (
        {"a/1.jpg": "cat"},
        {"a/1.jpg": "val", "a/2.jpg": "test"},
    )
    assert labels.without == ("a/2.jpg", "b/10.png", "b/caf%E9 %231.jpg")
    assert labels.unknown.shown == ["line 3: gone.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "labels.csv:1: no column for the image and class"),
        ("a/1.jpg,x,cat\n2.jpg,x,dog\n10.png,x,dog\n", r"labels.csv:1: no column is named like a class \(found: column 3\)"),
        ("filename,MEL,NV\n1.jpg,1,0\n", r"labels.csv:1: no column for the class \(found: filename, MEL, NV\)"),
        ("filename,MEL,NV\n1.jpg,1,0\n2.jpg,0,1\n10.png,0,1\n", r"no column is named like a class \(found: MEL, NV\)"),
        ("filename,label,class\n", r"labels.csv:1: several columns are possible \(found: label, class\)"),
        ("filename,label,label\n", r"labels.csv:1: several columns have one name \(found: label\)"),
        ("member,annotator,label\n1.jpg,ana,cat\n", "labels.csv:1: these are votes .* name the file as `votes`"),
        ("filename,label\n,cat\n1.jpg,cat\n", r"1 lines name no image \(column filename\) \(found: line 2\)"),
        ("filename,label\nx.jpg,cat\nb/1.jpg,dog\n", r"no line names an image .*\(found: line 2: x.jpg, line 3: b"),
        ("filename,label\n1.jpg,cat\na/1.jpg,dog\n", r"1 images have two classes \(found: lines 2 and 3: a/1.jpg is"),
        ("filename,label,split\n1.jpg,cat,later\n", r"column split has values that are not splits \(found: later\)"),
        (b"filename,label\n1.jpg,cat\n2.jpg,caf\xe9\n", "labels.csv:3: not UTF-8 text .*Remedy: save it as CSV UTF-8"),
        ('filename,label\n"1.jpg"x,cat\n', "labels.csv:2: not valid CSV"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_of_labels_is_named(text: str | bytes, message: str) -> None:
    with pytest.raises(BadData, match=message):
        read(text)


def test_a_name_that_several_images_have_is_refused_unless_its_path_tells() -> None:
    members = frozenset({"x/1.jpg", "y/1.jpg", "1.png"})

    assert read("filename,label\nx/1.jpg,cat\n1.png,dog\n", members).class_of == {
        "x/1.jpg": "cat",
        "1.png": "dog",
    }
    with pytest.raises(
        BadData,
        match=r"1 lines fit several images \(found: line 2: 1.jpg \(x/1.jpg, y/1.jpg\)\)",
    ):
        read("filename,label\n1.jpg,cat\n", members)
    with pytest.raises(BadData, match="fit several images"):
        read("filename,label\nx/1.jpg,cat\n1,dog\n", members)


def test_a_table_stands_above_folders_and_gives_splits(take: Take, tmp_path: Path) -> None:
    tar_of(
        tmp_path / "pics.tar", {"a/1.jpg": b"1", "a/2.jpg": b"2", "b/3.jpg": b"3", "b/4.jpg": b"4"}
    )
    (tmp_path / "labels.csv").write_text("file,class,subset\n1,cat,train\n2,dog,dev\n3,cat,\n")

    members = take({"uri": "pics.tar", "labels": "labels.csv"}).members
    whole = take({"uri": "pics.tar", "labels": "labels.csv", "split": "test"}, out="whole").members

    assert members["label_received"].fillna("").to_list() == ["cat", "dog", "cat", ""]
    assert members["split_received"].fillna("").to_list() == ["train", "val", "", ""]
    assert set(whole["split_received"]) == {"test"}


def test_splits_that_params_state_are_read_and_other_folders_have_no_class(
    take: Take, tmp_path: Path
) -> None:
    names = ("train/cat/1", "dev/dog/2", "docs/x/3")
    tar_of(tmp_path / "pics.tar", {f"{name}.jpg": name.encode() for name in names})

    members = take(
        {
            "uri": "pics.tar",
            "layout": "split_class_folders",
            "splits": {"train": "train", "dev": "val"},
        }
    ).members

    told = members[["label_received", "split_received"]].fillna("")
    assert list(told.loc["pics/dev/dog/2.jpg"]) == ["dog", "val"]
    assert list(told.loc["pics/docs/x/3.jpg"]) == ["", ""]


@pytest.mark.parametrize(
    "text",
    [
        '{"train": [["a/1.jpg", 0, "cat"]], "test": [["a/2.jpg", 1, "dog"]]}',
        '{"train": [{"image": "1.jpg", "label": "cat"}], "test": [{"image": "2.jpg", "label": "dog"}]}',
    ],
)
def test_a_json_file_may_have_an_array_for_each_split(text: str) -> None:
    stated = LabelsFile(file="split.json")
    labels = read_labels(beside(text, "split.json"), stated, file="split.json", members=MEMBERS)

    assert labels.class_of == {"a/1.jpg": "cat", "a/2.jpg": "dog"}
    assert labels.split_of == {"a/1.jpg": "train", "a/2.jpg": "test"}
