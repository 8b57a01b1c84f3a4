"""What files of labels say, one statement per line or record, before it is matched with images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline_lib.labels.params import Several
from pipeline_lib.sources.split_names import split_names

# What programs write for no value. `None` and `NA` may be classes.
NO_VALUE = frozenset({"", "nan", "NaN", "NAN", "null", "NULL", "<NA>", "#N/A", "N/A", "n/a"})


@dataclass(frozen=True, slots=True)  # there may be millions, one at a time
class Statement:
    """One line about one image. line: its number, from 1. image: a path as people write it, which may be absolute.

    member: the image as the source stores its name, where that is known without a search. label and split: "" for none.
    extras: all other cells. subject: the cell of the column of subjects. by_folder: the class is the folder of the image.
    """

    line: int
    image: str
    label: str = ""
    split: str = ""
    extras: Mapping[str, object] = field(default_factory=dict)
    subject: str = ""
    member: str | None = None
    by_folder: bool = False


@dataclass(frozen=True)
class Part:
    """The statements of one file. folder: of the file, as the source stores names; None for a file beside the source.

    split: what the file's name says of all its images. unit: what its numbers count. images_of: the split whose folder
    holds the images, of those with one name.
    """

    file: str
    statements: Iterator[Statement]
    folder: str | None = None
    split: str = ""
    unit: str = "line"
    images_of: str = ""


@dataclass(frozen=True)
class Stated:
    """All that the files of one source say. said: what was read, for people. columns: all that a table has.

    parts: each is read once, in order. image_column, split_column: for messages. several: what becomes of images of
    several classes, where labels are texts that may name several; are_lists: they are meant to.
    """

    said: str
    parts: Iterator[Part]
    columns: tuple[str, ...] = ()
    image_column: str = ""
    split_column: str = ""
    several: Several | None = None
    are_lists: bool = False


def splits_of_files(names: Sequence[str]) -> dict[str, str]:
    """File -> split, for files of labels whose names or folders say it: `train/metadata.csv`, `instances_val2017.json`.

    The last part of each path that contains a split counts. An empty dict where one has none, or all have the same.
    """
    found = {name: _last_split(re.sub(r"\.\w+$", "", name).split("/")) for name in names}
    return found if all(found.values()) and len(set(found.values())) > 1 else {}


def _last_split(parts: Sequence[str]) -> str:
    return next((split for part in reversed(parts) if (split := split_in(part))), "")


def split_of_images(name: str) -> str:
    """The split that the name of a file alone tells: `trainLabels.csv` is about the images in train."""
    return split_in(name.rpartition("/")[2].rpartition(".")[0]) or ""


def split_in(name: str) -> str | None:
    """The only split that the words of a name contain: `imagenet-train-000012`, `TestImages`; None for none or several."""
    name = re.sub(r"([^\W\d_A-Z])([A-Z])", r"\1 \2", name)
    words = re.findall(r"[^\W\d_]+", name.lower())
    found = {split for word in words for split in split_names([word]).values()}
    return found.pop() if len(found) == 1 else None
