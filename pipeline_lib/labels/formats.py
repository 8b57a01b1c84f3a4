"""The one table of formats of labels: how each is recognised among the files of a source, and how it is read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pipeline_lib.labels.class_names import NO_NAMES, ClassNames, read_class_names
from pipeline_lib.labels.coco import stated_by_coco
from pipeline_lib.labels.cvat import stated_by_cvat
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.image_parquet import stated_by_image_parquet
from pipeline_lib.labels.imagenet import labels_of_imagenet, stated_by_imagenet
from pipeline_lib.labels.imagenet_real import stated_by_real
from pipeline_lib.labels.known_sets import (
    stated_by_cub,
    stated_by_tiny_imagenet,
)
from pipeline_lib.labels.lists import stated_by_lists
from pipeline_lib.labels.match import ReceivedLabels, receive
from pipeline_lib.labels.params import FormatName, LabelsFile
from pipeline_lib.labels.recognise import (
    find_coco,
    find_cub,
    find_cvat,
    find_image_parquet,
    find_lists,
    find_sidecars,
    find_tiny_imagenet,
    find_voc,
    find_yolo,
)
from pipeline_lib.labels.recognise_tables import find_splits, find_tables
from pipeline_lib.labels.sidecar import stated_by_sidecars
from pipeline_lib.labels.split_tables import stated_by_split_tables
from pipeline_lib.labels.statements import Stated
from pipeline_lib.labels.tables import stated_by_tables
from pipeline_lib.labels.voc import stated_by_voc
from pipeline_lib.labels.yolo import stated_by_yolo

# Formats that explain all files of their data sets: no list or table beside them is asked about.
SURE: frozenset[FormatName] = frozenset(
    {"image_parquet", "yolo", "sidecar", "coco", "cvat", "cub", "tiny_imagenet", "ilsvrc"}
)


@dataclass(frozen=True)
class Asked:
    """What reading a source's labels takes. names: of the files."""

    files: Files
    names: Sequence[str]
    stated: LabelsFile
    members: frozenset[str]
    subject_column: str | None
    class_names: ClassNames


@dataclass(frozen=True)
class Format:
    """meaning: for people. recognise: what `labels` would say of files of this kind, () for none of it."""

    meaning: str
    recognise: Callable[[Files, frozenset[str]], Sequence[LabelsFile]]
    read: Callable[[Asked], Stated]


def read_labels(
    files: Files,
    stated: LabelsFile,
    *,
    file: str,
    members: frozenset[str],
    subject_column: str | None = None,
) -> ReceivedLabels:
    """The classes of a source's images. members: their names. file: for messages. See docs/labels.md for the rules.

    subject_column: the column of their subjects, where there is one. Raises SourceMissing for files that are not there;
    BadData: not text, no such columns, a line that names several images or none, two classes for one image, an unknown
    split, no line about an image of the source.
    """
    names = files.matching(stated.inside) if stated.inside else list(files.names)
    class_names = read_class_names(files, stated.classes) if stated.classes else NO_NAMES
    asked = Asked(files, names, stated, members, subject_column, class_names)
    return receive(FORMATS[stated.format].read(asked), members=members, file=file)


def recognise(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    """Every way in which these files may label these images, the surest format first."""
    found: list[LabelsFile] = []
    for name, one in FORMATS.items():
        offers = one.recognise(files, members)
        if offers and name in SURE:
            return list(offers)
        found += offers
    return found


def _read_tables(asked: Asked) -> Stated:
    return stated_by_tables(
        asked.files,
        asked.names,
        asked.stated,
        members=asked.members,
        subject_column=asked.subject_column,
        class_names=asked.class_names,
    )


FORMATS: Mapping[FormatName, Format] = {
    "ilsvrc": Format(
        "ImageNet's folders for train, and its file of the classes of val",
        labels_of_imagenet,
        lambda asked: stated_by_imagenet(asked.files, asked.names, members=asked.members),
    ),
    "imagenet_real": Format(
        "ReaL's acceptable classes of ImageNet's validation images (real.json), for an extra test set",
        lambda files, members: (),  # only an extra test set can have several classes per image
        lambda asked: stated_by_real(asked.files, asked.names[0], members=asked.members),
    ),
    "image_parquet": Format(
        "Parquet files that hold images and labels",
        find_image_parquet,
        lambda asked: stated_by_image_parquet(
            asked.files,
            asked.names,
            asked.stated,
            members=asked.members,
            class_names=asked.class_names,
        ),
    ),
    "yolo": Format(
        "YOLO's texts, a line for each object",
        find_yolo,
        lambda asked: stated_by_yolo(
            asked.files,
            asked.names,
            asked.stated,
            members=asked.members,
            class_names=asked.class_names,
        ),
    ),
    "sidecar": Format(
        "a file beside each image (.cls, .json, .txt), as WebDataset packs them",
        find_sidecars,
        lambda asked: stated_by_sidecars(
            asked.files, asked.stated, members=asked.members, class_names=asked.class_names
        ),
    ),
    "coco": Format(
        "COCO's JSON of objects",
        find_coco,
        lambda asked: stated_by_coco(asked.files, asked.names, asked.stated),
    ),
    "voc": Format(
        "Pascal VOC's XML of objects",
        find_voc,
        lambda asked: stated_by_voc(asked.files, asked.names, asked.stated),
    ),
    "cvat": Format(
        "CVAT's XML of tags and shapes",
        find_cvat,
        lambda asked: stated_by_cvat(asked.files, asked.names, asked.stated),
    ),
    "cub": Format(
        "the numbered lists of CUB-200",
        find_cub,
        lambda asked: stated_by_cub(asked.files, asked.names),
    ),
    "tiny_imagenet": Format(
        "the folders and val_annotations.txt of Tiny ImageNet",
        find_tiny_imagenet,
        lambda asked: stated_by_tiny_imagenet(asked.files, asked.names, members=asked.members),
    ),
    "lists": Format(
        "a list of images for each split, with or without classes",
        find_lists,
        lambda asked: stated_by_lists(
            asked.files, asked.names, asked.stated, class_names=asked.class_names
        ),
    ),
    "one_hot": Format(
        "a table with a column of 0 and 1 for each class",
        partial(find_tables, format_name="one_hot"),
        _read_tables,
    ),
    "table": Format("a table with a line for each image", find_tables, _read_tables),
    "splits": Format(
        "a table with the split of each image, whose folder is its class",
        find_splits,
        lambda asked: stated_by_split_tables(
            asked.files, asked.names, asked.stated, members=asked.members
        ),
    ),
}
