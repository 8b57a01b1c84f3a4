"""Statements of COCO's annotations, for classification: the class of an image's objects, and their boxes.

Source: https://cocodataset.org/#format-data. Files are read in parts: instances_train2017.json has 450 MB.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.json_stream import JsonStream
from pipeline_lib.labels.objects import REFUSED, Box, as_extras, class_of
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement, splits_of_files
from pipeline_lib.labels.undecided import several_classes

TABLES = ("images", "annotations", "categories")


def stated_by_coco(files: Files, names: Sequence[str], stated: LabelsFile) -> Stated:
    """What COCO files say. names: of the files. Raises LabelsUndecided for images of several classes without
    a rule for them.
    """
    splits = splits_of_files(names)

    def parts() -> Iterator[Part]:
        for name in names:
            folder = name.rpartition("/")[0] if stated.file is None else None
            statements = _statements(files, name, stated)
            yield Part(files.at(name), statements, folder, splits.get(name, ""), "image")

    said = (
        "the class of an image's objects"
        + {
            "refuse": "",
            "largest": ", of the largest box where they differ",
            "leave_out": ", none where they differ",
        }[stated.several]
    )
    said += ", splits by the files' names" if splits else ""
    return Stated(said, parts())


def _statements(files: Files, name: str, stated: LabelsFile) -> Iterator[Statement]:
    file = files.at(name)
    names, objects, categories = _read(files, name)
    for category in objects.categories:
        if category not in categories:
            remedy = "add it to `categories`, or fetch the file again"
            raise BadData(
                f"annotations of category {category}, which has no name", file=file, remedy=remedy
            )
    n_several, example, have_boxes = 0, "", True
    for number, (image, path) in enumerate(names.items(), 1):
        boxes = [Box(categories[category], *box) for category, box in objects.of(image)]
        label = class_of(boxes, stated.several)
        if label == REFUSED:
            n_several += 1
            have_boxes &= any(box.area for box in boxes)
            example = example or f"{path}: {', '.join(sorted({box.label for box in boxes}))}"
            continue
        extras = as_extras(boxes)
        yield Statement(number, path, label, extras=extras)
    if n_several:
        raise several_classes(n_several, len(names), example, file=file, have_boxes=have_boxes)


class _Objects:
    """The objects of all images in 48 bytes each: COCO's training set has 860,000."""

    def __init__(self) -> None:
        self._row_of_image: dict[Any, int] = {}
        self._row_of_category: dict[Any, int] = {}
        self._images, self._kinds, self._sides = array("q"), array("l"), array("d")

    @property
    def categories(self) -> Iterable[Any]:
        """Those of all objects, each once."""
        return self._row_of_category.keys()

    def add(self, image: Any, category: Any, box: Sequence[float]) -> None:
        """Keep one object."""
        x, y, width, height = map(float, box)
        self._images.append(self._row_of_image.setdefault(image, len(self._row_of_image)))
        kinds = self._row_of_category
        self._kinds.append(kinds.setdefault(category, len(kinds)))
        self._sides.extend((x, y, width, height))

    @cached_property
    def _order(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The objects by image, and where each image's begin."""
        images = np.frombuffer(self._images, np.int64)
        starts = np.bincount(images, minlength=len(self._row_of_image)).cumsum()
        return np.argsort(images, kind="stable"), np.concatenate([[0], starts])

    def of(self, image: Any) -> Iterator[tuple[Any, tuple[float, ...]]]:
        """Category and box of each object of an image, in the file's order."""
        row = self._row_of_image.get(image)
        if row is None:
            return
        order, starts = self._order
        categories = list(self._row_of_category)
        for at in order[starts[row] : starts[row + 1]].tolist():
            yield categories[self._kinds[at]], tuple(self._sides[4 * at : 4 * at + 4])


def _read(files: Files, name: str) -> tuple[dict[Any, str], _Objects, dict[Any, str]]:
    """Image id -> name, the objects, category id -> name."""
    names: dict[Any, str] = {}
    objects = _Objects()
    categories: dict[Any, str] = {}
    with files.stream(name) as opened:
        stream = JsonStream(opened, files.at(name))
        for key in stream.members():
            if key not in TABLES:
                stream.skip()
                continue
            for number in stream.items():
                item = stream.value()
                try:
                    if key == "images":
                        names[item["id"]] = str(item["file_name"])
                    elif key == "categories":
                        categories[item["id"]] = str(item["name"])
                    elif not item.get("iscrowd"):
                        box = (item.get("bbox") or (0, 0, 0, 0))[:4]
                        objects.add(item["image_id"], item["category_id"], box)
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    where = f"{files.at(name)}: {key}[{number}]"
                    remedy = "COCO's images have id and file_name, annotations image_id and category_id, categories id and name"
                    raise BadData(
                        "not an entry of COCO", file=where, value=repr(error), remedy=remedy
                    ) from error
    return names, objects, categories


def is_coco(files: Files, name: str) -> bool:
    """Whether a JSON file has COCO's three tables with classes; captions have none."""
    found = set()
    try:
        with files.stream(name) as opened:
            stream = JsonStream(opened, name)
            if stream.peek() != "{":
                return False
            for key in stream.members():
                found.add(key)
                if key == "annotations" and stream.peek() == "[":
                    for _ in stream.items():
                        first = stream.value()
                        return isinstance(first, dict) and "category_id" in first
                    return False
                if found >= set(TABLES):
                    break
                stream.skip()
    except BadData:
        return False
    return found >= set(TABLES)
