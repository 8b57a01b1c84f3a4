"""Statements of Pascal VOC's annotations: an XML file per image, and lists of the images of each split.

XML from outside is read by the standard library's expat with every declaration of a document type refused, so that no
entity is ever defined: entities are what "billion laughs" and reading of local files are made of
(https://docs.python.org/3/library/xml.html#xml-vulnerabilities; defusedxml's forbid_dtd does the same).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NoReturn
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from pipeline_lib.errors import BadData
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.lists import image_and_rest, lines_of
from pipeline_lib.labels.objects import REFUSED, Box, as_extras, class_of
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement
from pipeline_lib.labels.undecided import several_classes

MOST_XML_BYTES = 1 << 24
SPLIT_LIST = re.compile(r"(?:.*/)?(train|val|trainval|test)\.txt")


class DeclaredType(Exception):
    """The document declares a type, which may define entities."""


def strict_parser() -> expat.XMLParserType:
    """A parser whose `Parse` raises DeclaredType before anything of a document type is used."""
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> NoReturn:
        raise DeclaredType

    parser.StartDoctypeDeclHandler = refuse
    return parser


def declared_type(file: str) -> BadData:
    """The fault of such a document."""
    remedy = "remove its <!DOCTYPE ...>, which no annotation needs and which could read files or fill the memory"
    return BadData("the XML declares a document type", file=file, remedy=remedy)


def stated_by_voc(files: Files, names: Sequence[str], stated: LabelsFile) -> Stated:
    """What VOC files say. names: of XML files, and of lists of splits such as ImageSets/Main/train.txt."""
    annotations = [name for name in names if name.lower().endswith(".xml")]
    split_of = _splits(files, [name for name in names if name.lower().endswith(".txt")])

    def statements() -> Iterator[Statement]:
        n_several, example, have_boxes = 0, "", True
        for number, name in enumerate(annotations, 1):
            data = files.head(name, MOST_XML_BYTES + 1)
            image, boxes = read_annotation(data, file=files.at(name))
            stem = name.rpartition("/")[2].rpartition(".")[0]
            label = class_of(boxes, stated.several)
            if label == REFUSED:
                n_several += 1
                have_boxes &= any(box.area for box in boxes)
                example = example or f"{name}: {', '.join(sorted({box.label for box in boxes}))}"
                continue
            extras = as_extras(boxes)
            # the file's own name is more often right than the one inside it, which tools leave behind
            yield Statement(number, stem or image, label, split_of.get(stem, ""), extras)
        if n_several:
            file = files.address or annotations[0]
            raise several_classes(
                n_several, len(annotations), example, file=file, have_boxes=have_boxes
            )

    said = "the class of an image's objects" + (", splits by ImageSets" if split_of else "")
    said += {
        "refuse": "",
        "largest": ", of the largest box where they differ",
        "leave_out": ", none where they differ",
    }[stated.several]
    folder = annotations[0].rpartition("/")[0]
    above = folder.rpartition("/")[0] if stated.file is None else None
    part = Part(files.address or folder, statements(), above, unit="annotation")
    return Stated(said, iter([part]))


def _splits(files: Files, lists: Sequence[str]) -> Mapping[str, str]:
    """Image -> split. trainval.txt counts for images that neither train.txt nor val.txt names."""
    found: dict[str, str] = {}
    of_list = {name: match[1] for name in lists if (match := SPLIT_LIST.fullmatch(name))}
    for name in sorted(of_list, key=lambda one: of_list[one] == "trainval"):
        split = "train" if of_list[name] == "trainval" else of_list[name]
        for _, line in lines_of(files, name):
            found.setdefault(image_and_rest(line)[0].rpartition("/")[2], split)
    return found


def read_annotation(data: bytes, *, file: str) -> tuple[str, list[Box]]:
    """The name of the image and its objects. Raises BadData for what is no annotation, or declares a document type."""
    if len(data) > MOST_XML_BYTES:
        raise BadData(
            "too large for an annotation",
            file=file,
            value=f"more than {MOST_XML_BYTES} bytes",
            remedy="remove it",
        )
    try:
        root = _parsed(data)
    except DeclaredType as error:
        raise declared_type(file) from error
    except (expat.ExpatError, ValueError, LookupError, AssertionError) as error:
        raise BadData(
            "not valid XML", file=file, value=error, remedy="fetch the file again"
        ) from error
    boxes = []
    for one in root.iter("object"):
        label = (one.findtext("name") or "").strip()
        corners = [
            _number(one.findtext(f"bndbox/{key}")) for key in ("xmin", "ymin", "xmax", "ymax")
        ]
        if label:
            left, top, right, bottom = corners
            boxes.append(Box(label, left, top, right - left, bottom - top))
    return (root.findtext("filename") or "").strip(), boxes


def _parsed(data: bytes) -> Element:
    builder = TreeBuilder()
    parser = strict_parser()
    parser.StartElementHandler = lambda name, attributes: builder.start(name, attributes)
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.Parse(data, True)
    return builder.close()


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0
