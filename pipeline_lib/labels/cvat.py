"""Statements of CVAT's XML, one file for many images: tags, or else the shapes drawn on them.

Source: https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/. It is read in parts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.objects import REFUSED, Box, as_extras, class_of
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement
from pipeline_lib.labels.undecided import several_classes
from pipeline_lib.labels.voc import DeclaredType, declared_type, strict_parser
from pipeline_lib.sources.split_names import split_names

CHUNK_BYTES = 1 << 16
CORNERS = ("xtl", "ytl", "xbr", "ybr")


@dataclass
class _Image:
    """An image and what was said of it so far. split: as CVAT's subset, "" for none."""

    name: str
    split: str
    tags: list[Box] = field(default_factory=list)
    shapes: list[Box] = field(default_factory=list)


def is_cvat(head: bytes) -> bool:
    """Whether an XML file begins like CVAT's."""
    return b"<annotations" in head and (b"<image " in head or b"<meta>" in head)


def stated_by_cvat(files: Files, names: Sequence[str], stated: LabelsFile) -> Stated:
    """What CVAT's files say. names: of the files. Raises BadData, and LabelsUndecided for images of several classes without
    a rule for them.
    """

    def parts() -> Iterator[Part]:
        for name in names:
            folder = name.rpartition("/")[0] if stated.file is None else None
            yield Part(files.at(name), _statements(files, name, stated), folder, unit="image")

    return Stated("the tag of an image, or else the class of its shapes", parts())


def _statements(files: Files, name: str, stated: LabelsFile) -> Iterator[Statement]:
    n_several, number, example, have_boxes = 0, 0, "", True
    for number, one in enumerate(_images(files, name), 1):
        said = one.tags or one.shapes
        label = class_of(said, stated.several)
        if label == REFUSED:
            n_several += 1
            have_boxes &= any(box.area for box in said)
            example = example or f"{one.name}: {', '.join(sorted({box.label for box in said}))}"
            continue
        split = split_names([one.split]).get(one.split, "")
        yield Statement(number, one.name, label, split, as_extras(one.shapes))
    if n_several:
        raise several_classes(
            n_several, number, example, file=files.at(name), have_boxes=have_boxes
        )


def _images(files: Files, name: str) -> Iterator[_Image]:
    """The images of a file, one by one."""
    done: list[_Image] = []
    current: list[_Image] = []

    def start(element: str, attributes: Mapping[str, str]) -> None:
        if element == "image":
            current[:] = [_Image(attributes.get("name", ""), attributes.get("subset", ""))]
        elif current and attributes.get("label"):
            of_image = current[0].tags if element == "tag" else current[0].shapes
            of_image.append(_box(attributes))

    def end(element: str) -> None:
        if element == "image":
            done.extend(current)
            current.clear()

    parser = strict_parser()
    parser.StartElementHandler, parser.EndElementHandler = start, end
    file = files.at(name)
    with files.stream(name) as opened:
        while True:
            chunk = opened.read(CHUNK_BYTES)
            try:
                parser.Parse(chunk, not chunk)
            except DeclaredType as error:
                raise declared_type(file) from error
            except (expat.ExpatError, ValueError) as error:
                remedy = "fetch the file again"
                raise BadData("not valid XML", file=file, value=error, remedy=remedy) from error
            yield from done
            done.clear()
            if not chunk:
                return


def _box(attributes: Mapping[str, str]) -> Box:
    """The box of a shape, or around its points; a tag has none."""
    try:
        if points := attributes.get("points"):
            x, y = zip(*(map(float, point.split(",")) for point in points.split(";")), strict=True)
            left, top, right, bottom = min(x), min(y), max(x), max(y)
        else:
            left, top, right, bottom = (float(attributes.get(key, 0)) for key in CORNERS)
    except ValueError:
        left = top = right = bottom = 0.0
    return Box(attributes["label"], left, top, right - left, bottom - top)
