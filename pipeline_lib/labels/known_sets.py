"""Statements of data sets whose labels have a form of their own: CUB-200 and Tiny ImageNet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.lists import lines_of
from pipeline_lib.labels.statements import Part, Stated, Statement

CUB_FILES = ("images.txt", "image_class_labels.txt")
CUB_BOX = ("x", "y", "width", "height")
TINY_TRAIN = re.compile(r"(?:.*/)?train/(n\d{8})/(?:images/)?[^/]+")
TINY_FILE = "val_annotations.txt"


def stated_by_cub(files: Files, names: Sequence[str]) -> Stated:
    """CUB-200-2011, and NABirds: images.txt and the files beside it, each with the number of an image on each line.

    names: of images.txt. The box goes along; train_test_split.txt says 1 for training.
    """
    listed = names[0]
    folder = listed.rpartition("/")[0]

    def beside(name: str) -> Mapping[str, str]:
        path = f"{folder}/{name}" if folder else name
        return _by_number(files, path) if path in files.open_by_name else {}

    def statements() -> Iterator[Statement]:
        label_of, class_of = beside("image_class_labels.txt"), beside("classes.txt")
        is_train, box_of = beside("train_test_split.txt"), beside("bounding_boxes.txt")
        for line, (number, path) in enumerate(_by_number(files, listed).items(), 1):
            label = label_of.get(number, "")
            split = {"1": "train", "0": "test"}.get(is_train.get(number, ""), "")
            box = dict(zip(CUB_BOX, map(float, box_of.get(number, "").split()), strict=False))
            extras = {"box": box} if box else {}
            yield Statement(line, path, class_of.get(label, label), split, extras)

    said = "images in images.txt, classes in image_class_labels.txt, splits in train_test_split.txt"
    return Stated(said, iter([Part(files.at(listed), statements(), folder)]))


def _by_number(files: Files, name: str) -> dict[str, str]:
    found = {}
    for number, line in lines_of(files, name):
        key, _, rest = line.partition(" ")
        if not rest:  # the key is a number, or of hex digits in NABirds
            where = f"{files.at(name)}:{number}"
            raise BadData(
                "not a line `number text`",
                file=where,
                value=line[:60],
                remedy="fetch the file again",
            )
        found[key] = rest.strip()
    return found


def stated_by_tiny_imagenet(
    files: Files, names: Sequence[str], *, members: frozenset[str]
) -> Stated:
    """Tiny ImageNet: train/<wnid>/images, and val_annotations.txt with file, wnid and box. Test has no classes.

    names: of val_annotations.txt.
    """
    listed = names[0]

    def by_folder() -> Iterator[Statement]:
        for line, member in enumerate(sorted(members), 1):
            if found := TINY_TRAIN.fullmatch(member):
                yield Statement(line, member, found[1], "train", member=member)

    def by_list() -> Iterator[Statement]:
        for number, line in lines_of(files, listed):
            name, _, rest = line.partition("\t")
            label, *box = rest.split("\t")
            extras = {"box": dict(zip(("x", "y", "x2", "y2"), box, strict=False))} if box else {}
            yield Statement(number, f"val/images/{name}", label, "val", extras)

    parts = [
        Part("train", by_folder(), unit="image"),
        Part(files.at(listed), by_list()),
    ]
    said = (
        "classes of train are its folders, those of val are in val_annotations.txt, test has none"
    )
    return Stated(said, iter(parts))
