"""Recognise files of labels: for each format, what `labels` would say of the files of a source."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from pipeline_lib.errors import BadData, LabelsUndecided
from pipeline_lib.labels.class_names import class_name_files, read_class_names
from pipeline_lib.labels.coco import is_coco
from pipeline_lib.labels.columns import (
    class_columns,
    find_columns,
    is_surely_class,
)
from pipeline_lib.labels.cvat import is_cvat
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.image_parquet import holds_images
from pipeline_lib.labels.known_sets import (
    CUB_FILES,
    TINY_FILE,
    TINY_TRAIN,
)
from pipeline_lib.labels.lists import image_and_rest, lines_of
from pipeline_lib.labels.match import folder_of
from pipeline_lib.labels.params import FormatName, LabelsFile
from pipeline_lib.labels.sidecar import beside_images, choices
from pipeline_lib.labels.statements import split_in, splits_of_files
from pipeline_lib.labels.table_columns import (
    columns_of_zeros_and_ones,
    image_column,
    told_by,
    whole,
)
from pipeline_lib.labels.table_files import read_table
from pipeline_lib.labels.voc import SPLIT_LIST
from pipeline_lib.labels.yolo import LINE as YOLO_LINE
from pipeline_lib.labels.yolo import texts_of
from pipeline_lib.sources.places import TABLE_ENDINGS

TRIED = 40  # files that are looked into
MOST_TABLES = 400  # some sets have one for each class
LINES = 30  # of a list, which must all name images
ROWS = 50  # of a table, one of which must


def find_tables(
    files: Files,
    members: frozenset[str],
    *,
    format_name: FormatName = "table",
    is_named: bool = True,
) -> list[LabelsFile]:
    """Tables with columns for image and class, of which lines name images; those of equal columns belong together.

    is_named: their columns of classes are named so; otherwise, those of which another column may hold it.
    """
    finder = Finder(members)
    by_header: dict[tuple[str, ...], list[str]] = {}
    image_of: dict[tuple[str, ...], str | None] = {}
    tables = [name for name in files.names if name.lower().endswith(TABLE_ENDINGS)]
    for name in [one for one in tables if "submission" not in one.lower()][:MOST_TABLES]:
        image = image_column(files, name, finder)
        header = table_header(files, name, finder, format_name, is_named=is_named, image=image)
        if header:
            by_header.setdefault(header, []).append(name)
            image_of[header] = image
    # {"0": "cat"} names classes, where images are numbered too
    naming = set(class_name_files(files.names))
    others = {one: of for one, of in by_header.items() if not set(of) <= naming}
    by_header = others or _less_those_of_folders(by_header, files, members)
    found = []
    for header, names in by_header.items():
        patterns = tuple(_patterns(names, files.names))
        one = LabelsFile(format=format_name, inside=patterns, image=image_of[header])
        if format_name == "table" and is_named:
            one = one.model_copy(update={"classes": _names_of_numbers(files, names[0], one)})
        found.append(one)
    return found


def _less_those_of_folders(
    by_header: Mapping[tuple[str, ...], list[str]], files: Files, members: frozenset[str]
) -> dict[tuple[str, ...], list[str]]:
    """The tables without those that name folders of images by number: {"0": "tench"} beside train/0/0.jpg."""
    folders = {folder for member in members for folder in member.split("/")[:-1]}
    found = {}
    for header, names in by_header.items():
        with contextlib.suppress(BadData):
            if read_class_names(files, names[0]).names.keys() <= folders:
                continue
        found[header] = names
    return found


def _names_of_numbers(files: Files, table: str, stated: LabelsFile) -> str | None:
    """The only file that names the classes, where a table gives numbers."""
    named = class_name_files(files.names)
    opened = read_table(partial(files.stream, table), name=table)
    try:
        inside = tuple(opened.inside)
        told = told_by(opened)
        column = find_columns(
            opened.names, where=table, stated=stated, inside=inside, told=told
        ).label
        numbers = {
            whole(str(opened.value(cells, column)))
            for _, (_, cells) in zip(range(ROWS), opened.rows(), strict=False)
        }
        if len(named) != 1 or not all(map(str.isdecimal, numbers)):
            return None
        known = read_class_names(files, named[0]).names
    except BadData:
        return None
    return named[0] if numbers <= known.keys() else None


def table_header(
    files: Files,
    name: str,
    finder: Finder,
    format_name: FormatName,
    *,
    is_named: bool = True,
    image: str | None = None,
) -> tuple[str, ...]:
    """The columns of a table of labels of these images; () for what is none. is_named: one is named like a class. image: the
    column of images, where its name does not tell.
    """
    stated = LabelsFile(format=format_name, file=name, image=image)
    try:
        table = read_table(partial(files.stream, name), name=name)
        one_hot = columns_of_zeros_and_ones(table) if format_name == "one_hot" else ()
        find = partial(find_columns, table.names, where=name, inside=tuple(table.inside))
        if not is_named and class_columns(table.names, tuple(table.inside)):
            return ()
        told = told_by(table) if not is_named else replace(told_by(table), may_be_class=tuple)
        try:
            columns = find(stated=stated, one_hot=one_hot, told=told)
        except LabelsUndecided as error:
            columns = find(stated=replace_label(stated, error.choices[0]))
        if bool(columns.one_hot) != (format_name == "one_hot"):
            return ()
        label = columns.label or ""
        if not is_surely_class(label) and label in columns_of_zeros_and_ones(table):
            return ()  # one of those with 1 for the class, such as `other_categories`
        folder = name.rpartition("/")[0]
        for number, (_, cells) in enumerate(table.rows()):
            if any(finder.find(str(table.value(cells, one)), folder) for one in columns.files):
                return (*table.names, *table.inside)
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


def find_lists(files: Files, members: frozenset[str]) -> list[LabelsFile]:
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
    folders = {folder_of(member) for member in members} - {""}
    has_folders = len([one for one in folders if not split_in(one)]) > 1
    of_split = [name for name in found if split_in(name.rpartition("/")[2])]
    found = [name for name in found if name in with_label or (name in of_split and has_folders)]
    found = [name for name in found if name in of_split] if len(of_split) > 1 else found
    groups: dict[str, list[str]] = {}
    is_one_each = len(set(splits_of_files(found).values())) == len(found)
    for name in found:
        groups.setdefault("" if is_one_each else _without_split(name), []).append(name)
    return [
        LabelsFile(format="lists", inside=tuple(group), classes=_names_of(files, group))
        for group in map(_without_trainval, groups.values())
    ]


def _without_split(name: str) -> str:
    """What lists of one kind share: `images_variant_*.txt`."""
    return "".join("*" if split_in(word) else word for word in re.split(r"([^\W\d_]+)", name))


def _without_trainval(names: list[str]) -> list[str]:
    """Without the list of train and val together where each has its own."""
    lasts = {name: name.rpartition("/")[2].lower() for name in names}
    own = [last for last in lasts.values() if "trainval" not in last]
    has_both = any("train" in last for last in own) and any("val" in last for last in own)
    return [name for name in names if not has_both or "trainval" not in lasts[name]]


def _names_of(files: Files, lists: Sequence[str]) -> str | None:
    """A file that names the numbers of the lists, where they have numbers."""
    for name in lists:
        rest = next((image_and_rest(line)[1] for _, line in lines_of(files, name)), "")
        if rest.split() and rest.split()[0].isdecimal():
            named = (one for one in class_name_files(files.names) if one not in lists)
            return next(named, None)
    return None


def find_sidecars(files: Files, members: frozenset[str]) -> list[LabelsFile]:
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


def find_image_parquet(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    names = [name for name in files.names if name.lower().endswith(".parquet")]
    if not names:
        return []
    with files.stream(names[0]) as file:
        if not holds_images(file):
            return []
    if len(names) == 1:
        return [LabelsFile(format="image_parquet", inside=(names[0],))]
    # patterns, so that further files of a folder count
    folders = sorted({name.rpartition("/")[0] for name in names})
    patterns = [f"{folder}/*.parquet".lstrip("/") for folder in folders]
    return [LabelsFile(format="image_parquet", inside=tuple(patterns))]


def find_coco(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    found = [name for name in files.names if name.lower().endswith(".json")][:TRIED]
    found = [name for name in found if is_coco(files, name)]
    instances = [name for name in found if "instances" in name.rpartition("/")[2]]
    return [LabelsFile(format="coco", inside=tuple(instances or found))] if found else []


def find_voc(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    xml = [name for name in files.names if name.lower().endswith(".xml")]
    if len(xml) < len(members) / 2 or b"<annotation" not in files.head(xml[0], 4096):
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


def find_yolo(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    texts = sorted(set(texts_of(files, members).values()))
    if len(texts) < len(members) / 2:
        return []
    try:
        lines = [line for name in texts[:TRIED] for _, line in lines_of(files, name)]
    except BadData:
        return []
    if not lines or not all(map(YOLO_LINE.fullmatch, lines)):
        return []
    folders = sorted({name.rpartition("/")[0] for name in texts})
    patterns = tuple(f"{folder}/*.txt".lstrip("/") for folder in folders)
    named = sorted(class_name_files(files.names), key=lambda name: name.count("/"))
    return [LabelsFile(format="yolo", inside=patterns, classes=next(iter(named), None))]


def find_cvat(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    xml = [name for name in files.names if name.lower().endswith(".xml")][:TRIED]
    found = [name for name in xml if is_cvat(files.head(name, 4096))]
    return [LabelsFile(format="cvat", inside=tuple(found))] if found else []


def find_cub(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    for name in files.names:
        folder, _, last = name.rpartition("/")
        needed = [f"{folder}/{one}".lstrip("/") for one in CUB_FILES]
        if last == CUB_FILES[0] and all(one in files.open_by_name for one in needed):
            return [LabelsFile(format="cub", inside=(name,))]
    return []


def find_tiny_imagenet(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    listed = [name for name in files.names if name.rpartition("/")[2] == TINY_FILE]
    if not listed or not any(TINY_TRAIN.fullmatch(member) for member in members):
        return []
    return [LabelsFile(format="tiny_imagenet", inside=(listed[0],))]
