"""Find the columns of a table of labels by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pipeline_lib.errors import BadData
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.undecided import IN_PARAMS, several_columns
from pipeline_lib.sources.web.url_list import COLUMNS as URL_COLUMNS

FILE_COLUMNS = (
    "member", "filename", "file", "filepath", "path", "imagepath", "imagefile", "imagefilename", "imagename", "image",
    "img", "imageid", "imgid", "imgname", "imgfile", "imgfilename", "photo", "picture", "name", "id", "relpath",
    "relativepath", "imgpath", "imagefilepath", "imagegcsuri", "sourceref", *URL_COLUMNS,
)  # fmt: skip
CLASS_COLUMNS = (
    "label", "class", "category", "target", "classname", "labelname", "categoryname", "species", "breed", "diagnosis",
    "dx", "classid", "labelid", "categoryid", "classlabel", "displayname",
)  # fmt: skip
LISTS = frozenset({"labels", "classes", "categories", "choices", "tags"})
# Where no column has such a name: `Finding Labels`, `choice`
LAST_WORDS = LISTS | {"label", "class", "category", "choice"}
SPLIT_COLUMNS = ("split", "subset", "set", "partition", "mluse")
ANNOTATOR = "annotator"
LABEL_STUDIO = frozenset({"annotationid", "leadtime"})  # it names the annotator of its only answer


@dataclass(frozen=True)
class Columns:
    """The columns of a table of labels, as it spells them. files: each that may name the image.

    one_hot: columns that hold 1 for the class, where no column holds its name. are_lists: of its name, the class may be
    several.
    """

    names: tuple[str, ...]
    files: tuple[str, ...]
    label: str | None
    split: str | None
    one_hot: tuple[str, ...] = ()

    @property
    def are_lists(self) -> bool:
        """Whether the name of the column of classes stands for several."""
        return _last_word(self.label or "") in LISTS


def plain(name: str) -> str:
    """A column's name without what people write in different ways."""
    return re.sub(r"[\W_]", "", name.lower())


def is_surely_class(name: str) -> bool:
    """Whether a column's whole name is one that classes have."""
    return plain(name) in CLASS_COLUMNS


def class_columns(names: Sequence[str], inside: Sequence[str] = ()) -> list[str]:
    """The columns that hold classes, by their names; inside: those in objects of JSON, where none beside them does."""
    for found in (
        [one for name in names if is_surely_class(name) for one in _opened(name, inside)],
        [name for name in inside if _plain_key(name) in CLASS_COLUMNS],
        [one for name in names if _last_word(name) in LAST_WORDS for one in _opened(name, inside)],
        [name for name in inside if _last_word(name) in LAST_WORDS],
    ):
        if found:
            return found
    return []


def _opened(name: str, inside: Sequence[str]) -> list[str]:
    """A column, or in place of one that holds objects those keys in it that hold classes: `label.label` of Edge Impulse."""
    keys = [one for one in inside if one.startswith(f"{name}.")]
    return [one for one in keys if _plain_key(one) in CLASS_COLUMNS] if keys else [name]


def _plain_key(inside: str) -> str:
    """The innermost key of a column inside objects: `mluse` of `resourceLabels.aiplatform.googleapis.com/ml_use`."""
    return plain(re.split(r"[./]", inside)[-1])


def _last_word(name: str) -> str:
    words = re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+", name)
    return words[-1].lower() if words else ""


def has_file_column(names: Sequence[str]) -> bool:
    """Whether a column names images, by its own name."""
    return any(_plain_key(name) in FILE_COLUMNS or plain(name) in FILE_COLUMNS for name in names)


def find_columns(
    names: Sequence[str],
    *,
    where: str,
    stated: LabelsFile,
    one_hot: Sequence[str] = (),
    inside: Sequence[str] = (),
    possible: Callable[[], Sequence[str]] = tuple,
    same: Callable[[Sequence[str]], str | None] = lambda _: None,
) -> Columns:
    """Find the columns, or take those that params.yaml states. one_hot: columns with 1 for the class. inside: columns in
    objects of JSON. possible: gives those that may hold the class, where no name tells. same: gives one of several that say
    the same.

    Raises BadData naming the columns found and the names that are accepted; LabelsUndecided.
    """
    known = {name: plain(name) for name in names}
    known |= {name: _plain_key(name) for name in inside}
    found = ", ".join(names)
    for key, column in (("image", stated.image), ("label", stated.label), ("split", stated.split)):
        if column is not None and column not in known:
            remedy = f"fix `labels.{key}` of {IN_PARAMS}"
            raise BadData(f"no column {column}", file=where, value=found, remedy=remedy)
    files = tuple(name for name in known if known[name] in FILE_COLUMNS)
    files = (stated.image,) if stated.image else files
    labels = [stated.label] if stated.label else class_columns(names, inside)
    splits = [name for name in known if known[name] in SPLIT_COLUMNS and name not in labels]
    splits = [stated.split] if stated.split else splits
    is_of_one = set(known.values()) >= LABEL_STUDIO
    is_votes = ANNOTATOR in known.values() and not is_of_one
    if is_votes and files and labels and not stated.label:
        remedy = "name the file as `votes` in place of `labels` in discover.sources of params.yaml"
        what = "these are votes of several people, not one label each"
        raise BadData(what, file=where, value=found, remedy=remedy)
    if len(set(names)) < len(names):
        remedy = "rename all but one of them in the file's first line"
        twice = sorted({name for name in names if names.count(name) > 1})
        raise BadData(
            "several columns have one name", file=where, value=", ".join(twice), remedy=remedy
        )
    if one_hot and files and not stated.label:
        one_hot = [name for name in one_hot if name not in files]
        return Columns(tuple(names), files, None, splits[0] if splits else None, tuple(one_hot))
    if files and not labels and (choices := possible()):
        raise several_columns("no column is named like a class", choices, file=where)
    if not files or not labels:
        lacking = " and ".join(
            what for what, there in (("image", files), ("class", labels)) if not there
        )
        remedy = (
            "make its first line name the columns, such as `filename,label` (docs/labels.md lists the names), or name them: "
            f"`labels: {{file: FILE, image: COLUMN, label: COLUMN}}` of {IN_PARAMS}"
        )
        raise BadData(f"no column for the {lacking}", file=where, value=found, remedy=remedy)
    if len(labels) > 1 and (one := same(labels)):
        labels = [one]
    if len(labels) > 1 or len(splits) > 1:
        if len(labels) > 1:
            raise several_columns("several columns are possible", labels, file=where)
        remedy = f"choose one: `split: NAME` in `labels` of {IN_PARAMS}"
        raise BadData(
            "several columns are possible", file=where, value=", ".join(splits), remedy=remedy
        )
    return Columns(tuple(names), files, labels[0], splits[0] if splits else None)
