"""Statements of YOLO's labels: a text beside each image, or in `labels/` for those in `images/`, with a line for each object.

A line is the number of a class and a box in shares of the image: `0 0.5 0.5 0.2 0.1`, or the corners of an outline
(https://docs.ultralytics.com/datasets/detect/).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pipeline_lib.errors import BadData
from pipeline_lib.labels.class_names import ClassNames
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.lists import lines_of
from pipeline_lib.labels.objects import REFUSED, Box, class_of
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement
from pipeline_lib.labels.undecided import several_classes
from pipeline_lib.sources.names import without_image_ending

LINE = re.compile(r"\d+(?:\s+-?\d*\.?\d+(?:[eE][-+]?\d+)?){4,}")
PER_CENT = 100  # of the sides, so that two digits behind the point are enough


def text_of(member: str) -> tuple[str, str]:
    """The names that the text of an image may have: beside it, and in the folder `labels`."""
    beside = f"{without_image_ending(member)}.txt"
    above, images, below = f"/{beside}".rpartition("/images/")
    return beside, f"{above}/labels/{below}".lstrip("/") if images else beside


def texts_of(files: Files, members: frozenset[str]) -> dict[str, str]:
    """Image -> its text, of images that have one."""
    return {
        member: name
        for member in sorted(members)
        for name in text_of(member)
        if name in files.open_by_name
    }


def stated_by_yolo(
    files: Files,
    names: Sequence[str],
    stated: LabelsFile,
    *,
    members: frozenset[str],
    class_names: ClassNames,
) -> Stated:
    """What the texts say. names: of the files. Raises BadData, and LabelsUndecided for images of several classes without a
    rule for them.
    """
    wanted = set(names)
    texts = {one: text for one, text in texts_of(files, members).items() if text in wanted}

    def statements() -> Iterator[Statement]:
        n_several, example, have_boxes = 0, "", True
        for number, (member, name) in enumerate(texts.items(), 1):
            boxes = _boxes(files, name, class_names)
            label = class_of(boxes, stated.several)
            if label == REFUSED:
                n_several += 1
                have_boxes &= any(box.area for box in boxes)
                example = example or f"{name}: {', '.join(sorted({box.label for box in boxes}))}"
                continue
            extras = {"boxes_percent": [box.as_json() for box in boxes]} if boxes else {}
            yield Statement(number, member, label, extras=extras, member=member)
        if n_several:
            raise several_classes(
                n_several, len(texts), example, file=files.address, have_boxes=have_boxes
            )

    said = "the class of an image's objects"
    said += f", named by {class_names.file}" if class_names.file else ""
    return Stated(said, iter([Part(files.address, statements(), unit="text")]))


def _boxes(files: Files, name: str, class_names: ClassNames) -> list[Box]:
    found = []
    for number, line in lines_of(files, name):
        if not LINE.fullmatch(line):
            remedy = "write `class x y width height`, numbers alone"
            where = f"{files.at(name)}:{number}"
            raise BadData("not a line of YOLO", file=where, value=line[:60], remedy=remedy)
        label, *shares = line.split()
        sides = [float(share) * PER_CENT for share in shares]
        found.append(Box(class_names.name(label), *_box(sides)))
    return found


def _box(sides: Sequence[float]) -> tuple[float, float, float, float]:
    """Left, top, width and height, of a box with its middle or of the corners of an outline."""
    if len(sides) <= 5:  # a fifth is the detector's certainty
        x, y, width, height = sides[:4]
        return x - width / 2, y - height / 2, width, height
    across, down = sides[::2], sides[1::2]
    return min(across), min(down), max(across) - min(across), max(down) - min(down)
