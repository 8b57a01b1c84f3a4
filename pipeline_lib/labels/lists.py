"""Statements of plain lists: a line per image with its path, and its class where the folder does not tell it.

Files of one list per split (Food-101, Places365, FGVC-Aircraft, Describable Textures, Oxford Pets) are of this kind.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from pipeline_lib.errors import BadData
from pipeline_lib.labels.class_names import ClassNames
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement, splits_of_files
from pipeline_lib.sources.names import IMAGE_ENDINGS
from pipeline_lib.sources.split_names import SPLIT_FOLDERS, words_of

LINES = 30  # of a list, which must all name images

_WITH_ENDING = re.compile(
    rf"(.+\.(?:{'|'.join(sorted(IMAGE_ENDINGS))}))(?:[\s,;]+(.*))?", re.IGNORECASE
)
# MXNet's and SageMaker's .lst: number, class, path, with tabs between
_RECORDIO = re.compile(r"\d+\t(-?\d+(?:\.\d+)?)\t(\S.*)")
_PLAIN = re.compile(r"([^\s,;]+)(?:[\s,;]+(.*))?")


def stated_by_lists(
    files: Files, names: Sequence[str], stated: LabelsFile, *, class_names: ClassNames
) -> Stated:
    """What lists say. names: of the files."""
    splits = splits_of_files(names)

    def parts() -> Iterator[Part]:
        for name in names:
            folder = name.rpartition("/")[0] if stated.file is None else None
            statements = _statements(files, name, class_names)
            yield Part(files.at(name), statements, folder, splits.get(name, ""))

    said = "a path on each line, with the class or split behind it, or else its folder as the class"
    said += ", splits by the files' names" if splits else ""
    return Stated(said, parts(), several=stated.several)


def _statements(files: Files, name: str, class_names: ClassNames) -> Iterator[Statement]:
    are_splits = tell_splits(name, [rest for _, rest in first_lines(files, name)])
    for number, line in lines_of(files, name):
        path, rest = image_and_rest(line)
        if are_splits:
            yield Statement(number, path, split=rest, by_folder=True)
            continue
        label = _label(rest)
        yield Statement(number, path, class_names.name(label), by_folder=not label)


def first_lines(files: Files, name: str) -> list[tuple[str, str]]:
    """Path and rest of the first lines. Raises BadData for what is not UTF-8."""
    return [image_and_rest(line) for _, line in islice(lines_of(files, name), LINES)]


def tell_splits(name: str, rests: Sequence[str]) -> bool:
    """Whether what follows the images is their split: its name, or a number in a file that is called so (CelebA's
    list_eval_partition.txt).
    """
    if rests and all(rest.lower() in SPLIT_FOLDERS for rest in rests):
        return True
    is_named = bool({"partition", "partitions", "split", "splits"} & {*words_of(name)})
    return is_named and bool(rests) and all(rest in ("0", "1", "2") for rest in rests)


def lines_of(files: Files, name: str) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is neither empty nor a comment. Raises BadData for what is not UTF-8."""
    with files.stream(name) as file:
        for number, raw in enumerate(file, 1):
            try:
                line = raw.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError as error:
                remedy = "save it as UTF-8"
                where = f"{files.at(name)}:{number}"
                raise BadData("not UTF-8 text", file=where, value=error, remedy=remedy) from error
            if line and not line.startswith("#"):
                yield number, line


def image_and_rest(line: str) -> tuple[str, str]:
    """The path that a line begins with, blanks in it included where it ends like an image's, and what follows; or path and
    class of a line of an .lst.
    """
    if of_recordio := _RECORDIO.fullmatch(line):
        return of_recordio[2], _as_whole(of_recordio[1])
    found = _WITH_ENDING.fullmatch(line) or _PLAIN.fullmatch(line)
    return (found[1], (found[2] or "").strip()) if found else (line, "")


def _as_whole(number: str) -> str:
    """`2.000000` is class 2."""
    return str(int(float(number))) if float(number).is_integer() else number


def _label(rest: str) -> str:
    """The whole rest, unless it is several numbers: then the first, as Oxford Pets has it (class, species, breed)."""
    cells = rest.split()
    is_numbers = len(cells) > 1 and all(re.fullmatch(r"-?\d+", cell) for cell in cells)
    return cells[0] if is_numbers else rest
