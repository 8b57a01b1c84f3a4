"""What holds no image or no label that we read is named for what it is, with what a person can do."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest

from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer, Survey, survey
from scripts.odd_folders import Files, below
from testing.curated import small_image, write_source


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, b"x")
    return stream.getvalue()


def surveyed(tmp_path: Path, files: Files) -> Survey:
    write_source(tmp_path / "pics", files)
    return survey("pics", Settings(workers=1), root=tmp_path)


PICKLE = b"\x80\x04\x95rest."


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("camelyon_train_x.h5.gz", b"\x1f\x8b", r"HDF5: camelyon_train_x.h5.gz\). Remedy: write its arrays out as image"),
        ("train_32x32.mat", b"MATLAB", "MATLAB: train_32x32.mat"),
        ("x_train.npy", b"\x93NUMPY", "NumPy arrays: x_train.npy"),
        ("cifar-10-batches-py/data_batch_1", PICKLE, "a Python pickle: cifar-10-batches-py/data_batch_1"),
        ("MNIST/raw/train-images-idx3-ubyte", b"\0\0\x08\3", "MNIST's IDX: MNIST/raw/train-images-idx3-ubyte"),
        ("x-00000-of-00001.tfrecord", b"\1", "TensorFlow records: x-00000-of-00001.tfrecord"),
        ("mnist_train.csv", b"label" + b",0" * 784, "a table of pixels: mnist_train.csv"),
        ("fer.csv", b"emotion,pixels\n0,70 80", "a table of pixels: fer.csv"),
        ("train.7z", b"7z", "a 7z archive: train.7z.*unpack it, and name the folder"),
        ("data.rar", b"Rar!", "a RAR archive: data.rar"),
        ("scan/1.dcm", b"\0" * 128 + b"DICM", "DICOM: scan/1.dcm.*save its slices as PNG"),
        ("clip.mp4", b"x", "video: clip.mp4"),
        ("data.zip.001", b"PK", "a part of a divided archive: data.zip.001.*join the parts"),
    ],
)  # fmt: skip
def test_a_source_without_images_is_named_for_what_it_is(
    name: str, data: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadData, match=f"no image is there .*{message}"):
        surveyed(tmp_path, {name: data})


def test_pointers_of_git_lfs_are_no_images(tmp_path: Path) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"

    with pytest.raises(BadData, match="the images are pointers of Git LFS .*run `git lfs pull`"):
        surveyed(tmp_path, dict.fromkeys(below("cat", "dog"), pointer))


def test_archives_inside_an_archive_are_to_be_unpacked(tmp_path: Path) -> None:
    write_source(tmp_path / "pics", {"cat.zip": zipped("1.jpg"), "dog.zip": zipped("1.jpg")}, "zip")

    with pytest.raises(BadData, match="cat.zip and 1 more.*unpack the outer one"):
        survey("pics.zip", Settings(workers=1), root=tmp_path)


LABELME = json.dumps({"version": "5.0.1", "flags": {"cat": True}, "shapes": []}).encode()
CAPTIONS = "".join(f'{{"file_name": "{n}.jpg", "text": "number {n}"}}\n' for n in range(3)).encode()


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (dict.fromkeys(below("jpg")) | {"imagelabels.mat": b"MATLAB"}, r"\(MATLAB\) \(found: imagelabels.mat"),
        (
            dict.fromkeys(below("cars_train", "cars_test")) | {"devkit/cars_meta.mat": b"MATLAB"},
            r"\(MATLAB\) \(found: devkit/cars_meta.mat",
        ),
        (dict.fromkeys(below("img")) | {"labels.xlsx": b"PK"}, r"\(a spreadsheet\) \(found: labels.xlsx"),
        (
            {"00.jpg": None, "01.jpg": None, "train.csv": b"Id,species\n0,oak\n1,elm\n"},
            "none of its lines names an image.*train.csv",
        ),
        (
            {"0.jpg": None, "1.jpg": None, "labels.csv": "画像,分類\n0.jpg,猫\n1.jpg,犬".encode("shift_jis")},
            "it is not UTF-8 text.*labels.csv",
        ),
        (
            {f"training/image_2/{n}.png": None for n in range(2)}
            | {f"training/label_2/{n}.txt": b"Car 0.00 0 -1.58 587.01 173.33 614.12 200.12" for n in range(2)},
            "beside each image.*label_2/0.txt",
        ),
        ({"0.jpg": None, "0.json": LABELME, "1.jpg": None, "1.json": LABELME}, "beside each image.*0.json"),
        ({"0.jpg": None, "1.jpg": None, "2.jpg": None, "metadata.jsonl": CAPTIONS}, "but no class.*metadata.jsonl"),
    ],
)  # fmt: skip
def test_a_file_that_seems_to_hold_the_labels_and_is_not_read_is_named(
    files: Files, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"{message}.*or say --layout flat to go without"):
        surveyed(tmp_path, files)

    found = survey(
        "pics", Settings(workers=1), root=tmp_path, answer=SourceAnswer(layout="flat", splits={})
    )
    assert found.classes == ()


def test_an_archive_beside_images_that_cannot_be_opened_is_said(tmp_path: Path) -> None:
    found = surveyed(tmp_path, dict.fromkeys(below("cat", "dog")) | {"more.rar": b"Rar!"})

    assert any("more.rar cannot be opened" in one for one in found.problems)


def test_votes_are_no_file_of_labels_that_is_not_read(tmp_path: Path) -> None:
    votes = b"image,annotator,label\n0.jpg,ana,cat\n0.jpg,ben,dog\n1.jpg,ana,dog\n"

    found = surveyed(tmp_path, {"0.jpg": None, "1.jpg": None, "votes.csv": votes})

    assert found.classes == ()


@pytest.mark.parametrize("is_said", [True, False], ids=["cp932", "UTF-8 without its flag"])
def test_names_of_a_zip_in_an_unknown_code_page_are_remarked(is_said: bool, tmp_path: Path) -> None:
    """Windows in Japan writes names in its own code page, which the zip does not state."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in ("XXXX/1.jpg", "YY/2.jpg"):
            archive.writestr(name, small_image(len(name), "JPEG"))
    spelt = {"XXXX": "\u732b\u732b", "YY": "\u72ac"}  # cats, dogs
    data = stream.getvalue()
    for letters, word in spelt.items():
        data = data.replace(f"{letters}/".encode(), word.encode("cp932") + b"/")
    if not is_said:  # as many bytes of UTF-8, as macOS writes them
        data = (
            stream.getvalue()
            .replace(b"XXXX/", "\u00e4\u00f6/".encode())
            .replace(b"YY/", "\u00fc/".encode())
        )
    (tmp_path / "pics.zip").write_bytes(data)

    found = survey("pics.zip", Settings(workers=1), root=tmp_path)

    assert any("code page that it does not state" in one for one in found.problems) == is_said
