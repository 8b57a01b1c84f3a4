"""Find the columns of a table of labels by their names."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

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
    "dx", "classid", "labelid", "categoryid", "classlabel", "displayname", "tagname",
)  # fmt: skip
LISTS = frozenset({"labels", "classes", "categories", "choices", "tags"})
# Where no column has such a name: `Finding Labels`, `choice`
LAST_WORDS = LISTS | {"label", "class", "category", "choice"}
NAMES = frozenset(
    {"name", "title", "value", "text"}
)  # of a class, in an object whose key says that it is one
PREDICTED = frozenset(
    {"pred", "preds", "predicted", "prediction", "predictions"}
)  # by a model, which labels nothing
SPLIT_COLUMNS = ("split", "subset", "set", "partition", "mluse")
# Columns of yes and no: the split of an image with yes, and of one with no.
SPLITS_OF_BITS: Mapping[str, tuple[str, str]] = MappingProxyType(
    dict.fromkeys(("isval", "isvalid", "isvalidation"), ("val", "train"))
    | dict.fromkeys(("istest", "istesting"), ("test", "train"))
    | dict.fromkeys(("istrain", "istraining", "istrainingimage"), ("train", "test"))
)
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


@dataclass(frozen=True)
class Told:
    """What the cells of a table tell of its columns, where their names leave something open.

    may_be_class: the columns that may hold the class. are_splits: whether all cells of a column name splits.
    rivals: columns beside that of the class that seem to hold another version of it. agreed: the one of several columns
    of classes to take, if they all say the same; None if they do not.
    """

    may_be_class: Callable[[], Sequence[str]] = tuple
    are_splits: Callable[[str], bool] = lambda _: False
    rivals: Callable[[str], Sequence[str]] = lambda _: ()
    agreed: Callable[[Sequence[str]], str | None] = lambda _: None


NOTHING_TOLD = Told()


def plain(name: str) -> str:
    """A column's name without what people write in different ways."""
    return re.sub(r"[\W_]", "", name.lower())


def is_surely_class(name: str) -> bool:
    """Whether a column's whole name is one that classes have."""
    return plain(name) in CLASS_COLUMNS


def class_columns(names: Sequence[str], inside: Sequence[str] = ()) -> list[str]:
    """The columns that hold classes, by their names; inside: those in objects of JSON, where none beside them does."""
    names = [name for name in names if not PREDICTED & set(_words(name))]
    inside = [name for name in inside if not PREDICTED & set(_words(name))]
    for found in (
        [one for name in names if is_surely_class(name) for one in _opened(name, inside)],
        [name for name in inside if _plain_key(name) in CLASS_COLUMNS],
        [one for name in names if _last_word(name) in LAST_WORDS for one in _opened(name, inside)],
        [name for name in inside if _last_word(name) in LAST_WORDS],
        [name for name in inside if _names_a_class(name)],
    ):
        if found:
            return found
    return []


def _opened(name: str, inside: Sequence[str]) -> list[str]:
    """A column, or in place of one that holds objects those keys in it that hold classes: `label.label` of Edge Impulse."""
    keys = [one for one in inside if one.startswith(f"{name}.")]
    return [one for one in keys if _plain_key(one) in CLASS_COLUMNS] if keys else [name]


def _names_a_class(inside: str) -> bool:
    """Whether a column is the name in an object whose key says that it is a class: `categories.name`."""
    *_, above, last = ["", *re.split(r"[./]", inside)]
    return plain(last) in NAMES and (
        plain(above) in CLASS_COLUMNS or _last_word(above) in LAST_WORDS
    )


def _plain_key(inside: str) -> str:
    """The innermost key of a column inside objects: `mluse` of `resourceLabels.aiplatform.googleapis.com/ml_use`."""
    return plain(re.split(r"[./]", inside)[-1])


def is_perhaps_class(name: str) -> bool:
    """Whether a column's last word is one that classes have: final_label, new_species."""
    is_predicted = PREDICTED & set(_words(name))
    return not is_predicted and _last_word(name) in LAST_WORDS.union(CLASS_COLUMNS)


def _last_word(name: str) -> str:
    return _words(name)[-1]


def _words(name: str) -> list[str]:
    words = re.findall(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+|\d+", name)
    return [word.lower() for word in words] or [""]


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
    told: Told = NOTHING_TOLD,
) -> Columns:
    """Find the columns, or take those that params.yaml states. one_hot: columns with 1 for the class. inside: columns in
    objects of JSON. told: what their cells tell, where no name does.

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
    labels = [stated.label] if stated.label else _less_splits(class_columns(names, inside), told)
    splits = [stated.split] if stated.split else _split_columns(known, {*files, *labels}, told)
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
    if files and not labels and (choices := told.may_be_class()):
        choices = [one for one in choices if one not in splits] or choices
        raise several_columns("no column is named like a class", choices, file=where)
    if len(labels) == 1 and not stated.label:
        labels += told.rivals(labels[0])
    if len(labels) > 1 and (agreed := told.agreed(labels)):
        labels = [agreed]
    if not files or not labels:
        lacking = " and ".join(
            what for what, there in (("image", files), ("class", labels)) if not there
        )
        remedy = (
            "make its first line name the columns, such as `filename,label` (docs/labels.md lists the names), or name them: "
            f"`labels: {{file: FILE, image: COLUMN, label: COLUMN}}` of {IN_PARAMS}"
        )
        raise BadData(f"no column for the {lacking}", file=where, value=found, remedy=remedy)
    if len(labels) > 1 or len(splits) > 1:
        if len(labels) > 1:
            raise several_columns("several columns are possible", labels, file=where)
        remedy = f"choose one: `split: NAME` in `labels` of {IN_PARAMS}"
        raise BadData(
            "several columns are possible", file=where, value=", ".join(splits), remedy=remedy
        )
    return Columns(tuple(names), files, labels[0], splits[0] if splits else None)


def _less_splits(labels: Sequence[str], told: Told) -> list[str]:
    """Of several columns that are named like classes, those whose cells are no splits: `category` of Edge Impulse."""
    if len(labels) < 2:
        return list(labels)
    return [name for name in labels if not told.are_splits(name)] or list(labels)


def _split_columns(known: Mapping[str, str], others: Container[str], told: Told) -> list[str]:
    """The columns of splits by their names, or else by their cells. known: plain name of each. others: not these."""
    left = [name for name in known if name not in others]
    named = [name for name in left if known[name] in SPLIT_COLUMNS]
    named = named or [name for name in left if known[name] in SPLITS_OF_BITS]
    return named or [name for name in left if told.are_splits(name)]
