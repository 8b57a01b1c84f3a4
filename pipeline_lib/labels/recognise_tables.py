"""Recognise tables of labels, and of splits, among the files of a source."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import BinaryIO

from pipeline_lib.errors import BadData, LabelsUndecided
from pipeline_lib.labels.blank_tables import blank_table
from pipeline_lib.labels.class_names import class_name_files, read_class_names
from pipeline_lib.labels.columns import (
    SPLIT_COLUMNS,
    class_columns,
    find_columns,
    has_file_column,
    is_surely_class,
    plain,
)
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.folder_classes import folder_of
from pipeline_lib.labels.params import FormatName, LabelsFile
from pipeline_lib.labels.statements import split_in, splits_of_files
from pipeline_lib.labels.table_columns import (
    columns_of_zeros_and_ones,
    columns_that_repeat,
    image_column,
    split_of_table,
    told_by,
    whole,
)
from pipeline_lib.labels.table_files import TableFile, read_table
from pipeline_lib.sources.places import TABLE_ENDINGS

MOST_TABLES = 400  # some sets have one for each class
ROWS = 50  # of a table, one of which must name an image


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
    for header, all_names in by_header.items():
        names = of_splits(all_names)
        patterns = tuple(_patterns(names, files.names))
        one = LabelsFile(format=format_name, inside=patterns, image=image_of[header])
        if not any(plain(column) in SPLIT_COLUMNS for column in header):
            one = one.model_copy(update={"split": split_column(files, names[0])})
        if format_name == "table" and is_named:
            one = one.model_copy(update={"classes": _names_of_numbers(files, names[0], one)})
        found.append(one)
    return found


def find_splits(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    """Tables that name images and their splits and nothing that may be a class, where folders tell the classes."""
    folders = {
        folder for member in members if (folder := folder_of(member)) and not split_in(folder)
    }
    if len(folders) < 2:
        return []
    finder = Finder(members)
    found: dict[tuple[str, ...], list[str]] = {}
    image_of: dict[tuple[str, ...], str | None] = {}
    tables = [name for name in files.names if name.lower().endswith(TABLE_ENDINGS)]
    for name in [one for one in tables if "submission" not in one.lower()][:MOST_TABLES]:
        image = image_column(files, name, finder)
        with contextlib.suppress(BadData):
            if name.lower().endswith(".txt") and not blank_table(partial(files.stream, name), name):
                continue  # a list, see `find_lists`
            table = read_table(partial(files.stream, name), name=name)
            if tells_splits_alone(table, name, image) and names_images(table, name, image, finder):
                found.setdefault(table.names, []).append(name)
                image_of[table.names] = image
    offers = []
    for header, every in found.items():
        names = of_splits(every)
        if split_column(files, names[0]) or splits_of_files(names):
            patterns = tuple(_patterns(names, files.names))
            offers.append(LabelsFile(format="splits", inside=patterns, image=image_of[header]))
    return offers


def tells_splits_alone(table: TableFile, name: str, image: str | None) -> bool:
    """Whether a table names images, and no column of it is named like a class or may be one."""
    if class_columns(table.names, tuple(table.inside)) or not (
        image or has_file_column(table.names)
    ):
        return False
    split = split_of_table(table)
    return not [one for one in columns_that_repeat(table) if one not in (image, split)]


def names_images(table: TableFile, name: str, image: str | None, finder: Finder) -> bool:
    """Whether one of the first rows names an image of the source."""
    folder = name.rpartition("/")[0]
    columns = [image] if image else [one for one in table.names if has_file_column([one])]
    return any(
        finder.find(str(table.value(cells, column)), folder)
        for _, (_, cells) in zip(range(ROWS), table.rows(), strict=False)
        for column in columns
    )


def split_column(files: Files, name: str) -> str | None:
    """The column of splits of a table, by its name or its cells."""
    return split_of_table(read_table(partial(files.stream, name), name=name))


def of_splits(names: Sequence[str]) -> list[str]:
    """The files of one kind that are about a split each, without one that repeats them all: Ebay_info.txt beside Ebay_train.txt
    and Ebay_test.txt.
    """
    of_split = [name for name in names if split_in(name.rpartition("/")[2].rpartition(".")[0])]
    return of_split if splits_of_files(of_split) else list(names)


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
        find = partial(
            find_columns,
            table.names,
            where=name,
            inside=tuple(table.inside),
        )
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
