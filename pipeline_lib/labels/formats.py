"""The one table of formats of labels: how each is recognised among the files of a source, and how it is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from pipeline_lib.errors import BadData, LabelsUndecided
from pipeline_lib.labels.class_names import NO_NAMES, ClassNames, read_class_names
from pipeline_lib.labels.coco import is_coco, stated_by_coco
from pipeline_lib.labels.columns import find_columns
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.image_parquet import holds_images, stated_by_image_parquet
from pipeline_lib.labels.known_sets import (
    CUB_FILES,
    TINY_FILE,
    TINY_TRAIN,
    stated_by_cub,
    stated_by_tiny_imagenet,
)
from pipeline_lib.labels.lists import image_and_rest, lines_of, stated_by_lists
from pipeline_lib.labels.match import Finder, ReceivedLabels, receive
from pipeline_lib.labels.params import FormatName, LabelsFile
from pipeline_lib.labels.sidecar import beside_images, choices, class_name_files, stated_by_sidecars
from pipeline_lib.labels.statements import Stated, split_in, splits_of_files
from pipeline_lib.labels.table_files import columns_of_zeros_and_ones, read_table
from pipeline_lib.labels.tables import stated_by_tables
from pipeline_lib.labels.voc import SPLIT_LIST, stated_by_voc
from pipeline_lib.sources.places import TABLE_ENDINGS

TRIED = 40  # files that are looked into
LINES = 30  # of a list, which must all name images
ROWS = 50  # of a table, one of which must
# Formats that explain all files of their data sets: no list or table beside them is asked about.
SURE: frozenset[FormatName] = frozenset(
    {"image_parquet", "sidecar", "coco", "cub", "tiny_imagenet"}
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
        found += one.recognise(files, members)
        if found and name in SURE:
            break
    return found


def _tables(
    files: Files, members: frozenset[str], *, format_name: FormatName = "table"
) -> list[LabelsFile]:
    """Tables with columns for image and class, of which lines name images; those of equal columns belong together."""
    finder = Finder(members)
    by_header: dict[tuple[str, ...], list[str]] = {}
    of_header: Counter[tuple[str, int]] = Counter()
    for name in files.names:
        # of many tables of one kind (GT-00000.csv ...) a few are enough
        kind = (name.rpartition("/")[2].strip("0123456789"), name.count("/"))
        if not name.lower().endswith(TABLE_ENDINGS) or sum(of_header.values()) > 10 * TRIED:
            continue
        of_header[kind] += 1
        header = table_header(files, name, finder, format_name)
        if header:
            by_header.setdefault(header, []).append(name)
    return [
        LabelsFile(format=format_name, inside=tuple(_patterns(names, files.names)))
        for names in by_header.values()
    ]


def table_header(
    files: Files, name: str, finder: Finder, format_name: FormatName
) -> tuple[str, ...]:
    """The columns of a table of labels of these images; () for what is none."""
    stated = LabelsFile(format=format_name, file=name)
    try:
        table = read_table(partial(files.stream, name), name=name)
        one_hot = columns_of_zeros_and_ones(table) if format_name == "one_hot" else ()
        try:
            columns = find_columns(table.names, where=name, stated=stated, one_hot=one_hot)
        except LabelsUndecided as error:
            columns = find_columns(
                table.names, where=name, stated=replace_label(stated, error.choices[0])
            )
        if bool(columns.one_hot) != (format_name == "one_hot"):
            return ()
        folder = name.rpartition("/")[0]
        for number, (_, cells) in enumerate(table.rows()):
            if any(finder.find(str(cells.get(one, "")), folder) for one in columns.files):
                return table.names
            if number >= ROWS:
                break
    except BadData:
        return ()
    return ()


def replace_label(stated: LabelsFile, label: str) -> LabelsFile:
    """The same with another column of classes."""
    return stated.model_copy(update={"label": label})


def _patterns(names: Sequence[str], all_names: Sequence[str]) -> list[str]:
    """Names, or a pattern for many: `Images/*/GT-*.csv`; only where no other file fits the pattern."""
    if len(names) <= 4:
        return list(names)
    groups: dict[str, list[str]] = {}
    for name in names:
        folder, _, last = name.rpartition("/")
        stem, dot, ending = last.rpartition(".")
        above, _, inner = folder.rpartition("/")
        starts = stem.rstrip("0123456789_-")
        of_folder = f"{above}/*" if above else "*" if inner else ""
        groups.setdefault(f"{of_folder}/{starts}*{dot}{ending}".lstrip("/"), []).append(name)
    patterns: list[str] = []
    for pattern, members in groups.items():
        fits = (
            Files(dict.fromkeys(all_names, _never)).matching([pattern]) if len(members) > 1 else ()
        )
        patterns += [pattern] if sorted(fits) == sorted(members) else members
    return patterns


def _never() -> BinaryIO:  # names are compared only
    raise AssertionError


def _lists(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    """Text files whose lines all begin with an image; with several, one of each split."""
    finder = Finder(members)
    found, with_label = [], set()
    texts = [one for one in files.names if one.lower().endswith((".txt", ".lst", ".list"))]
    for name in [one for one in texts if "ImageSets" not in one.split("/")][:TRIED]:
        try:
            lines = [
                line for _, (_, line) in zip(range(LINES), lines_of(files, name), strict=False)
            ]
        except BadData:
            continue
        pairs = [image_and_rest(line) for line in lines]
        if pairs and all(finder.find(path) for path, _ in pairs):
            found.append(name)
            if all(rest for _, rest in pairs):
                with_label.add(name)
    # Lists without classes matter for their splits, and only where folders tell the classes.
    has_folders = len({member.rpartition("/")[0] for member in members}) > 1
    of_split = [name for name in found if split_in(name.rpartition("/")[2])]
    found = [name for name in found if name in with_label or (name in of_split and has_folders)]
    found = [name for name in found if name in of_split] if len(of_split) > 1 else found
    stems = {name: name.rpartition("/")[2].lower() for name in found}
    if any("train" in stem and "trainval" not in stem for stem in stems.values()) and any(
        "val" in stem and "trainval" not in stem for stem in stems.values()
    ):
        found = [name for name in found if "trainval" not in stems[name]]
    if not found or (len(found) > 1 and len(splits_of_files(found)) < len(found)):
        return [
            LabelsFile(format="lists", inside=(name,), classes=_names_of(files, found))
            for name in found
        ]
    return [LabelsFile(format="lists", inside=tuple(found), classes=_names_of(files, found))]


def _names_of(files: Files, lists: Sequence[str]) -> str | None:
    """A file that names the numbers of the lists, where they have numbers."""
    for name in lists:
        rest = next((image_and_rest(line)[1] for _, line in lines_of(files, name)), "")
        if rest.split() and rest.split()[0].isdecimal():
            return next(iter(class_name_files(files.names)), None)
    return None


def _sidecars(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    beside = beside_images(files, members)
    if len(beside) < len(members) / 2:
        return []
    try:
        possible = choices(files, beside)
    except BadData:
        return []
    if not possible:
        return []
    numbered = possible[0] == "cls" and _first_cls(files, beside).isdecimal()
    names = next(iter(class_name_files(files.names)), None) if numbered else None
    return [LabelsFile(format="sidecar", inside=("**",), classes=names)]


def _first_cls(files: Files, beside: Mapping[str, Mapping[str, str]]) -> str:
    name = next((names["cls"] for names in beside.values() if "cls" in names), None)
    return files.head(name, 64).decode("utf-8", "replace").strip() if name else ""


def _image_parquet(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    names = [name for name in files.names if name.lower().endswith(".parquet")]
    if not names or not holds_images(files.stream(names[0])):
        return []
    return [LabelsFile(format="image_parquet", inside=tuple(_patterns(names, files.names)))]


def _coco(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    found = [name for name in files.names if name.lower().endswith(".json")][:TRIED]
    found = [name for name in found if is_coco(files, name)]
    instances = [name for name in found if "instances" in name.rpartition("/")[2]]
    return [LabelsFile(format="coco", inside=tuple(instances or found))] if found else []


def _voc(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    xml = [name for name in files.names if name.lower().endswith(".xml")]
    if not xml or b"<annotation" not in files.head(xml[0], 4096):
        return []
    folders = sorted({name.rpartition("/")[0] for name in xml})
    lists = [
        name
        for name in files.names
        if "ImageSets" in name.split("/") and SPLIT_LIST.fullmatch(name)
    ]
    of_main = [name for name in lists if "Main" in name.split("/")]
    patterns = [f"{folder}/*.xml".lstrip("/") for folder in folders]
    return [LabelsFile(format="voc", inside=(*patterns, *(of_main or lists)))]


def _cub(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    for name in files.names:
        folder, _, last = name.rpartition("/")
        needed = [f"{folder}/{one}".lstrip("/") for one in CUB_FILES]
        if last == CUB_FILES[0] and all(one in files.open_by_name for one in needed):
            return [LabelsFile(format="cub", inside=(name,))]
    return []


def _tiny_imagenet(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    listed = [name for name in files.names if name.rpartition("/")[2] == TINY_FILE]
    if not listed or not any(TINY_TRAIN.fullmatch(member) for member in members):
        return []
    return [LabelsFile(format="tiny_imagenet", inside=(listed[0],))]


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
    "image_parquet": Format(
        "Parquet files that hold images and labels",
        _image_parquet,
        lambda asked: stated_by_image_parquet(
            asked.files,
            asked.names,
            asked.stated,
            members=asked.members,
            class_names=asked.class_names,
        ),
    ),
    "sidecar": Format(
        "a file beside each image (.cls, .json, .txt), as WebDataset packs them",
        _sidecars,
        lambda asked: stated_by_sidecars(
            asked.files, asked.stated, members=asked.members, class_names=asked.class_names
        ),
    ),
    "coco": Format(
        "COCO's JSON of objects",
        _coco,
        lambda asked: stated_by_coco(asked.files, asked.names, asked.stated),
    ),
    "voc": Format(
        "Pascal VOC's XML of objects",
        _voc,
        lambda asked: stated_by_voc(asked.files, asked.names, asked.stated),
    ),
    "cub": Format(
        "the numbered lists of CUB-200", _cub, lambda asked: stated_by_cub(asked.files, asked.names)
    ),
    "tiny_imagenet": Format(
        "the folders and val_annotations.txt of Tiny ImageNet",
        _tiny_imagenet,
        lambda asked: stated_by_tiny_imagenet(asked.files, asked.names, members=asked.members),
    ),
    "lists": Format(
        "a list of images for each split, with or without classes",
        _lists,
        lambda asked: stated_by_lists(
            asked.files, asked.names, asked.stated, class_names=asked.class_names
        ),
    ),
    "one_hot": Format(
        "a table with a column of 0 and 1 for each class",
        partial(_tables, format_name="one_hot"),
        _read_tables,
    ),
    "table": Format("a table with a line for each image", _tables, _read_tables),
}
