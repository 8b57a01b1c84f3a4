"""Statements of ILSVRC2012: the classes of train are its folders or inner tars, those of val are in a file of their own.

Two forms of that file: the devkit's ground truth, one ILSVRC2012_ID per line, image number k in line k, with meta.mat
beside it, which says what wnid an ID is; and Kaggle's LOC_val_solution.csv (`ILSVRC2012_val_00048981,n03995372 85 1 499
272`: the first word is the class). IDs have another order than sorted wnids: `sea snake` is 490 there and 65 in networks.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence

from pipeline_lib.errors import BadData
from pipeline_lib.labels.devkit import opened_synsets, wnid_of_id
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.lists import lines_of
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement
from pipeline_lib.sources.names import without_image_ending

DEVKIT, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
KAGGLE = "LOC_val_solution.csv"
KAGGLE_HEADER = b"ImageId,PredictionString"
TRAIN = re.compile(r"(?:.*/)?(?:train|ILSVRC2012_img_train)/(?:.*/)?(n\d{8})/[^/]+")
VAL = re.compile(r"(?:.*/)?ILSVRC2012_val_(\d{8})")
REMEDY = "fetch it again from where it came"
_Line = tuple[int, str, str, list[dict[str, str]]]  # number, name of the image, wnid, boxes


def labels_of_imagenet(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    """What `labels` would say where the images are those of ILSVRC2012 and a file has the classes of val."""
    if not any(VAL.fullmatch(without_image_ending(member)) for member in members):
        return []
    for name in files.names:
        folder, _, last = name.rpartition("/")
        meta = f"{folder}/{META}".lstrip("/")
        if last == KAGGLE and files.head(name, len(KAGGLE_HEADER)) == KAGGLE_HEADER:
            return [LabelsFile(format="ilsvrc", inside=(name,))]
        if last == DEVKIT and meta in files.open_by_name:
            return [LabelsFile(format="ilsvrc", inside=(name, meta))]
    return []


def stated_by_imagenet(files: Files, names: Sequence[str], *, members: frozenset[str]) -> Stated:
    """What folders say of train and the file of val. names: of that file, and of meta.mat for the devkit's."""
    name = next((one for one in names if not one.endswith(META)), names[0])
    by_stem = {without_image_ending(one.rpartition("/")[2]): one for one in sorted(members)}

    def of_train() -> Iterator[Statement]:
        for line, member in enumerate(sorted(members), 1):
            if found := TRAIN.fullmatch(member):
                yield Statement(line, member, found[1], "train", member=member)

    def of_val() -> Iterator[Statement]:
        pairs = _by_kaggle(files, name) if name.endswith(KAGGLE) else _by_devkit(files, name)
        for line, stem, wnid, boxes in pairs:
            extras = {"boxes": boxes} if boxes else {}
            yield Statement(line, stem, wnid, "val", extras, member=by_stem.get(stem))

    parts = [Part("folders of train", of_train(), unit="image"), Part(files.at(name), of_val())]
    said = f"classes of train are its folders, those of val are in {name.rpartition('/')[2]}"
    return Stated(said, iter(parts))


def _by_kaggle(files: Files, name: str) -> Iterator[_Line]:
    with files.stream(name) as file:
        rows = csv.reader(io.TextIOWrapper(file, "utf-8", errors="replace", newline=""))
        next(rows, None)
        for cells in rows:
            words = cells[1].split() if len(cells) > 1 else []
            if not words:
                where = f"{files.at(name)}:{rows.line_num}"
                raise BadData(
                    "a line without a class", file=where, value=",".join(cells), remedy=REMEDY
                )
            yield rows.line_num, cells[0], words[0], _boxes(words)


def _boxes(words: list[str]) -> list[dict[str, str]]:
    """`wnid x y x2 y2`, repeated."""
    ends = ("label", "x", "y", "x2", "y2")
    return [dict(zip(ends, words[at : at + 5], strict=False)) for at in range(0, len(words), 5)]


def _by_devkit(files: Files, name: str) -> Iterator[_Line]:
    folder = name.rpartition("/")[0]
    meta = f"{folder}/{META}".lstrip("/")
    file = io.BytesIO(files.read(meta))
    with opened_synsets(file, shown=files.at(meta), remedy=REMEDY) as synsets:
        wnids = wnid_of_id(synsets)
    for line, text in lines_of(files, name):
        if not text.isdecimal() or int(text) not in wnids:
            where = f"{files.at(name)}:{line}"
            raise BadData("no ILSVRC2012_ID", file=where, value=text[:60], remedy=REMEDY)
        yield line, f"ILSVRC2012_val_{line:08d}", wnids[int(text)], []
