"""Names and parents of classes that a source brings along, as lines of curation/classes.csv.

ImageNet's classes are wnids: their words come from LOC_synset_mapping.txt, words.txt or the devkit's meta.mat where the
source has one, else from the table of the built-in backbone, which has the 1,000 classes of ILSVRC2012. Parents come from
wordnet.is_a.txt, from the structure that ImageNet released, or from the folders above where the innermost are the classes.
"""

from __future__ import annotations

import csv
import io
import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from itertools import pairwise
from xml.parsers import expat

from pipeline_lib.labels.voc import DeclaredType, strict_parser
from pipeline_lib.sources.names import class_name, without_image_ending
from pipeline_lib.sources.reading import NameReading
from pipeline_lib.survey.contents import Contents, Seen

log = logging.getLogger(__name__)
WNID = re.compile(r"n\d{8}")
NAMES = ("LOC_synset_mapping.txt", "words.txt", "synset_words.txt")
IS_A = ("wordnet.is_a.txt",)
STRUCTURE = ("structure_released.xml", "structure.xml")
MOST_BYTES = 1 << 26
BUILT_IN = "imagenet_classes.csv"


@dataclass(frozen=True)
class ClassWord:
    """A line of curation/classes.csv."""

    class_id: str
    name: str
    parents: tuple[str, ...] = ()


def lines_of_words(words: Sequence[ClassWord]) -> str:
    """The text of curation/classes.csv."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("class_id", "name", "definition", "parents"))
    writer.writerows((one.class_id, one.name, "", ";".join(one.parents)) for one in words)
    return stream.getvalue()


def class_words(
    contents: Contents,
    reading: NameReading,
    names: Sequence[str],
    class_of: Mapping[str, str | None],
) -> tuple[ClassWord, ...]:
    """The lines for these classes and for what lies above them; none where nothing is known beside the ids."""
    classes = sorted({name for name in class_of.values() if name is not None})
    if classes and all(map(WNID.fullmatch, classes)):
        return _of_wnids(contents, classes)
    if classes and all(map(str.isdecimal, classes)):
        return _of_numbers(names, class_of)
    if reading.layout.kind in ("leaf_folders", "split_leaf_folders"):
        return _of_folders(reading, names)
    return ()


def _of_wnids(contents: Contents, classes: Sequence[str]) -> tuple[ClassWord, ...]:
    released = _structure(_text(contents, STRUCTURE))
    words = dict(_built_in()) | released.words | dict(_lines(_text(contents, NAMES)))
    parents = defaultdict(set, {child: set(of) for child, of in released.parents.items()})
    for parent, child in _lines(_text(contents, IS_A)):
        parents[child].add(parent)
    above = {name: _ancestors(name, parents) for name in classes}
    if any(found & set(classes) for found in above.values()):
        above = {}  # a class above another in use cannot be learnt beside it: left to people
    every = sorted({*classes, *(name for found in above.values() for name in found)})
    if not above and not any(name in words for name in classes):
        return ()
    return tuple(
        ClassWord(
            name,
            words.get(name, "").split(",")[0].strip(),
            tuple(sorted(parents[name])) if above else (),
        )
        for name in every
    )


@dataclass(frozen=True)
class _Structure:
    """Words by wnid, and the wnids directly above each."""

    words: dict[str, str] = field(default_factory=dict)
    parents: dict[str, set[str]] = field(default_factory=dict)


def _structure(text: str) -> _Structure:
    """ImageNet's structure_released.xml: synsets inside synsets, each with wnid and words. Nothing, where it is damaged."""
    found, above = _Structure(), [""]

    def start(element: str, attributes: Mapping[str, str]) -> None:
        wnid = attributes.get("wnid", "") if element == "synset" else ""
        if WNID.fullmatch(wnid):
            found.words[wnid] = attributes.get("words", "")
            if WNID.fullmatch(above[-1]):
                found.parents.setdefault(wnid, set()).add(above[-1])
        above.append(wnid)

    parser = strict_parser()
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: above.pop()
    try:
        if text:
            parser.Parse(text, True)
    except (expat.ExpatError, DeclaredType) as error:
        log.warning("ImageNet's structure is left out, since it is no valid XML: %s", error)
        return _Structure()
    return found


def _of_numbers(names: Sequence[str], class_of: Mapping[str, str | None]) -> tuple[ClassWord, ...]:
    """The folders of numbered classes, or the beginnings of their images' names (Abyssinian_12.jpg), if each has its own."""
    for told in (_folder_of, _stem_of):
        pairs = {(label, told(name)) for name in names if (label := class_of.get(name))}
        labels, words = {label for label, _ in pairs}, {word for _, word in pairs}
        if len(pairs) == len(labels) == len(words) and all(
            word and not word.isdecimal() for word in words
        ):
            return tuple(ClassWord(label, word) for label, word in sorted(pairs))
    return ()


def _folder_of(name: str) -> str:
    return class_name(name.split("/")[-2]) if "/" in name else ""


def _stem_of(name: str) -> str:
    stem = without_image_ending(name.rpartition("/")[2])
    return class_name(stem.rstrip("0123456789").rstrip("_-. ("))


def _of_folders(reading: NameReading, names: Sequence[str]) -> tuple[ClassWord, ...]:
    """Each class with the folders above it, one above the other; none where a folder is a class too."""
    parents: dict[str, set[str]] = defaultdict(set)
    layout = reading.layout
    start = layout.depth + (layout.kind == "split_leaf_folders")
    for path in {name.rpartition("/")[0] for name in names}:
        folders = [class_name(one) for one in path.split("/")[start:]]
        for above, below in pairwise(folders):
            parents[below].add(above)
    classes = {label for name in names if (label := reading.label(name)) is not None}
    upper = {one for found in parents.values() for one in found}
    is_tree = all(
        len(found) == 1 for found in parents.values()
    )  # sessions and folds repeat classes
    if (
        not upper
        or not is_tree
        or upper & classes
        or any(_is_above_itself(n, parents) for n in upper)
    ):
        return ()
    return tuple(
        ClassWord(name, "", tuple(sorted(parents.get(name, ()))))
        for name in sorted(classes | upper)
    )


def _is_above_itself(name: str, parents: Mapping[str, Iterable[str]]) -> bool:
    return name in _ancestors(name, parents)


def _ancestors(name: str, parents: Mapping[str, Iterable[str]]) -> set[str]:
    above: set[str] = set()
    queue = list(parents.get(name, ()))
    while queue:
        one = queue.pop()
        if one not in above:
            above.add(one)
            queue += parents.get(one, ())
    return above


def _text(contents: Contents, wanted: Sequence[str]) -> str:
    """The first file of these names that can be read, whole."""
    found: dict[str, Seen] = {}
    for one in contents.files:
        if one.first and one.size_bytes <= MOST_BYTES:
            found.setdefault(one.name.rpartition("/")[2], one)
    seen = next((found[name] for name in wanted if name in found), None)
    data = seen.first(seen.size_bytes) if seen and seen.first else b""
    return data.decode("utf-8", "replace")


def _lines(text: str) -> Iterator[tuple[str, str]]:
    """The first word of each line, and the rest: `n01440764 tench, Tinca tinca`."""
    for line in text.splitlines():
        first, _, rest = line.strip().replace("\t", " ", 1).partition(" ")
        if WNID.fullmatch(first) and rest.strip():
            yield first, rest.strip()


def _built_in() -> Iterator[tuple[str, str]]:
    text = files("pipeline_lib.backbones").joinpath(BUILT_IN).read_text(encoding="utf-8")
    yield from ((row[0], row[1]) for row in csv.reader(io.StringIO(text)))
