"""Find folders that can be read in more than one way, by names and shape, with the result of each reading.

Nothing is decided here. `perennial init` asks, `discover` and `download` warn once; what params.yaml states is taken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from pipeline_lib.sources.layout import (
    Detected,
    FolderLayout,
    Folders,
    detect_layout,
    layout_of_folders,
    less_repeated,
    less_shared,
)
from pipeline_lib.sources.name_patterns import fields_by_name
from pipeline_lib.sources.names import class_name, without_archive_ending, without_image_ending
from pipeline_lib.sources.no_classes import are_parts, why_no_classes
from pipeline_lib.sources.reading import left_out
from pipeline_lib.sources.set_aside import OF_ANNOTATIONS, OF_IMAGES
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.split_names import split_names, splits_mentioned
from pipeline_lib.sources.strays import stray_folders

SHOWN = 5
LACKING = 0.5  # share of the folders of evaluation that train must lack for a question
DEEP = 0.1  # share of images below the class folders from which their folders may be the classes
# Class and number of an image, with what is between them
PATTERNS = (
    *(
        (f"{{class}}{sign}*{')' if '(' in sign else ''}", sign)
        for sign in ("_", ".", "-", " (", "(", " ")
    ),
    *((f"*{sign}{{class}}", sign) for sign in ("_", "-")),
)
NUMBERED = 0.95  # share of the images of a folder that must be named so
# The first part of names that a camera or a program gives to every image.
CAMERA = re.compile(
    r"(img|dsc[nf]?|pxl|mvi|vid|gopr|pict?|p|images?|photo|picture|screenshot|scan|file|frame|download|untitled"
    r"|whatsapp image|train|val|test)[\d_\- ]{0,2}",
    re.IGNORECASE,
)
_SHARD = re.compile(r"(.*\D)?\d{4,}")  # an archive of WebDataset: 000000.tar, train-0017.tar


@dataclass(frozen=True)
class Reading:
    """One way to read the folders. splits: folder -> split, {} where none names one. Counts are of images, by name.

    n_without: images that get no class.
    """

    layout: Detected
    splits: Mapping[str, str]
    classes: tuple[tuple[str, int], ...]
    split_counts: tuple[tuple[str, int], ...]
    n_without: int
    class_from: str | None = None

    @property
    def name(self) -> str:
        """What chooses it."""
        return self.class_from or self.layout


@dataclass(frozen=True)
class Doubt:
    """why: a clause. readings: those that the names allow, the likeliest first."""

    why: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True)
class SourceDoubt:
    """The doubt about a source, as a message. identity: a text that changes with the doubt, but not with the counts."""

    source: str
    text: str
    identity: str


def find_doubt(names: Collection[str], archives: Iterable[str] = ()) -> Doubt | None:
    """Find the doubt about the folders of some images; None if there is none. archives: those that count as folders."""
    folders = Counter(name.rpartition("/")[0] for name in names)
    counts = Counter({tuple(path.split("/")) if path else (): n for path, n in folders.items()})
    found = layout_of_folders(list(counts), "auto")
    if found.kind == "flat":
        return None
    below: Counter[Folders] = Counter()
    for path, n in counts.items():
        below[path[found.depth :]] += n
    why = _why(below, found.kind, frozenset(archives) if found.depth == 0 else frozenset())
    why = why or why_no_classes(_files_of_folders(names, found))
    return Doubt(why, _readings(counts, below, found)) if why else None


def doubt_of_file_names(names: Sequence[str]) -> Doubt | None:
    """Find classes in the names of files that lie in no class folders: Abyssinian_12.jpg, train/cat.0.jpg, 12_frog.png."""
    for pattern, between in PATTERNS:
        at_end = pattern.startswith("{class}")
        numbered = [name for name in names if _is_numbered(name, between, at_end=at_end)]
        fields = {name: one["class"] for name, one in fields_by_name(pattern, numbered)}
        classes = Counter(fields.values())
        folders = {name.rpartition("/")[0] for name in fields}
        n_there = sum(name.rpartition("/")[0] in folders for name in names)
        if len(classes) < 2 or min(classes.values()) < 2 or len(fields) < NUMBERED * n_there:
            continue
        if any(CAMERA.fullmatch(label) for label in classes):
            continue
        layout = detect_layout(names, "auto")
        splits = Counter(layout.split(name) for name in names)
        counts = _named(Counter({class_name(label): n for label, n in classes.items()}))
        by_name = Reading(
            layout.kind, {}, counts, _named(splits), len(names) - len(fields), pattern
        )
        flat = Reading("flat", {}, (), (), len(names))
        example = next(iter(fields))
        where = "begin" if at_end else "end"
        return Doubt(f"names of files may {where} with the class ({example})", (by_name, flat))
    return None


def _is_numbered(name: str, between: str, *, at_end: bool) -> bool:
    """Whether a number is the last part of a name, or the first."""
    stem = without_image_ending(name.rpartition("/")[2])
    if not at_end:
        number, _, label = stem.partition(between)
        return number.isdecimal() and bool(label) and not label.isdecimal()
    first, sign, number = stem.rpartition(between)
    return bool(first and sign) and number.removesuffix(")").isdecimal()


def doubt_of_source(
    source: Source, names: Sequence[str], archives: Sequence[str] = ()
) -> SourceDoubt | None:
    """Return a warning if the folders of a source are doubtful and params.yaml does not say how to read them; else None.

    archives: names of archives that hold the images, or whose own names stand for them.
    """
    if any(one is not None for one in (source.labels, source.class_from, source.split_from)):
        return None
    out = left_out([*names, *archives], source)
    names = [name for name in names if name not in out]
    is_stated = source.splits is not None or source.depth is not None
    in_archives = [without_archive_ending(name) for name in archives]
    doubt = None if is_stated else find_doubt(names, in_archives)
    if doubt is None:
        strays = stray_folders(source, names) if names and source.layout != "auto" else {}
        return _stray_doubt(source, strays) if strays else None
    taken = layout_of_folders([tuple(name.split("/")[:-1]) for name in names], source.layout).kind
    others = "; ".join(f"{one.layout}: {in_words(one)}" for one in doubt.readings)
    text = (
        f"source {source.name}: {doubt.why}. They are read as {taken}, by the default rules. Possible readings: {others}. "
        f"State one with `layout` and `splits` in discover.sources of params.yaml ({as_params(doubt.readings[0])}, "
        "for example; `splits: {}` if no folder is a split), or run `perennial init`."
    )
    identity = "\n".join([doubt.why, taken, *map(as_params, doubt.readings)])
    return SourceDoubt(source.name, text, identity)


def _stray_doubt(source: Source, strays: Mapping[str, str]) -> SourceDoubt:
    some = ", ".join(f"{pattern} ({why})" for pattern, why in list(strays.items())[:SHOWN])
    more = f" and {len(strays) - SHOWN} more" if len(strays) > SHOWN else ""
    text = (
        f"source {source.name}: folders that are probably no part of the data set: {some}{more}. Leave them out with "
        f"`exclude: [{next(iter(strays))}]` of the source in params.yaml, move them, or run `perennial init` to say how they "
        "are read."
    )
    return SourceDoubt(source.name, text, "\n".join(strays))


def stand_in(archive: str) -> str:
    """Make up the name of an image inside an archive that was not opened."""
    return f"{without_archive_ending(archive)}/an image"


def in_words(reading: Reading) -> str:
    """Its classes and splits with their counts."""
    classes = (
        f"{len(reading.classes)} classes: {_counts(reading.classes)}"
        if reading.classes
        else "no classes"
    )
    splits = f"; splits {_counts(reading.split_counts)}" if reading.split_counts else ""
    renamed = [
        f"{folder} is {split}"
        for folder, split in reading.splits.items()
        if folder.lower() != split
    ]
    splits += f" ({', '.join(renamed)})" if renamed else ""
    return (
        classes + splits + (f"; {reading.n_without} without a class" if reading.n_without else "")
    )


def as_params(reading: Reading) -> str:
    """`layout: class_folders, splits: {}`."""
    splits = ", ".join(f"{folder}: {split}" for folder, split in reading.splits.items())
    return f"layout: {reading.layout}, splits: {{{splits}}}"


def reading_of(layout: FolderLayout, counts: Mapping[Folders, int]) -> Reading:
    """Return the classes and splits that a layout gives. counts: images by their folders."""
    classes: Counter[str | None] = Counter()
    splits: Counter[str | None] = Counter()
    for path, n in counts.items():
        folder = layout.class_of(path)
        classes[None if folder is None else class_name(folder)] += n
        splits[layout.split_of(path)] += n
    n_without = classes[None]
    return Reading(
        layout.kind, dict(layout.splits or {}), _named(classes), _named(splits), n_without
    )


def _why(below: Counter[Folders], kind: Detected, archives: frozenset[str]) -> str:
    """The first thing that is strange; "" for ordinary folders. below: images by their folders below the shared."""
    if kind == "split_class_folders":
        inner: Counter[Folders] = Counter()
        for path, n in below.items():
            inner[path[1:]] += n
        splits = split_names({path[0] for path in below if path})
        lacking = _never_trained(below, splits)
        if lacking:
            return (
                f"no folder of train is named {_some(lacking)}, as folders of the other splits are"
            )
        return _not_classes(inner) or _deep(inner)
    tops = {path[0] for path in below if path}
    splits = split_names(tops)
    if len(set(splits.values())) > 1:
        return f"folders are named like splits ({_some(splits)})"
    if "train" in (mentioned := splits_mentioned(tops)) and len(mentioned) > 1:
        return f"folders are named like splits ({_some(tops)})"
    inside = {path[1] for path in below if len(path) > 1}
    inside_splits = split_names(inside)
    if inside and (set(inside_splits) == inside or len(set(inside_splits.values())) > 1):
        return f"the folders hold folders named like splits ({_some(inside_splits)})"
    if tops and tops <= archives and all(_SHARD.fullmatch(top) for top in tops):
        return f"the archives are numbered like parts of one data set ({_some(tops)})"
    return _not_classes(below) or _deep(below)


def _files_of_folders(names: Iterable[str], layout: FolderLayout) -> dict[str, list[str]]:
    """Class folder -> names of its files below it, without their endings."""
    at = layout.depth + (layout.kind == "split_class_folders")
    files: dict[str, list[str]] = {}
    for name in names:
        parts = name.split("/")
        if len(parts) > at + 1:
            files.setdefault(parts[at], []).append(without_image_ending("/".join(parts[at + 1 :])))
    return files


def _never_trained(below: Iterable[Folders], splits: Mapping[str, str]) -> set[str]:
    """The folders of evaluation that train lacks, if these are half or more: train/good, test/good, test/broken of MVTec."""
    found = {(splits.get(path[0], ""), path[1]) for path in below if len(path) == 2}
    trained = {folder for split, folder in found if split == "train"}
    evaluated = {folder for split, folder in found if split in ("val", "test")}
    lacking = evaluated - trained
    return lacking if trained and len(lacking) >= LACKING * len(evaluated) else set()


def _not_classes(below: Counter[Folders]) -> str:
    tops = {path[0] for path in below if path}
    plain = {re.sub(r"[\W_]", "", top.lower()): top for top in tops}
    if are_parts(tops):
        return f"folders are numbered like parts of one data set ({_some(tops)})"
    if plain.keys() & OF_IMAGES and plain.keys() & OF_ANNOTATIONS:
        return f"folders are named like images and annotations ({_some(tops)})"
    return ""


def _deep(below: Counter[Folders]) -> str:
    """Whether folders below the first may be the classes: all images of a folder lie in them, or many of all."""
    below = less_repeated(below)
    inside = {path[0] for path in less_shared([path[1:] for path in below if len(path) > 1])}
    if len(inside) < 2:
        return ""
    n_deep = sum(n for path, n in below.items() if len(path) > 1)
    tops = {path[0] for path in below if path}
    without_own = tops - {path[0] for path in below if len(path) == 1}
    if n_deep < DEEP * sum(below.values()) and not without_own:
        return ""
    return f"images lie in folders inside folders ({_some(inside)} in {_some(tops)})"


def _readings(
    counts: Counter[Folders], below: Counter[Folders], found: FolderLayout
) -> tuple[Reading, ...]:
    """Return each layout that the names allow, except layouts with the same result as an earlier one."""
    tops = split_names({path[0] for path in below if path})
    inside = split_names({path[1] for path in below if len(path) > 1})
    deepest = max(map(len, below))
    is_split = found.kind == "split_class_folders"
    possible: list[tuple[Detected, Mapping[str, str]]] = []
    if tops:
        possible += [("split_class_folders", tops)]
        possible += [("split_leaf_folders", tops)] if deepest > 2 else []
        possible = possible[::-1] if is_split else possible
    if _never_trained(below, tops):  # the splits drawn anew, so that each class is trained
        possible = [("leaf_folders", {}), *possible]
    if inside and not is_split:
        possible += [("class_split_folders", inside)]
    if not is_split:
        possible += [("leaf_folders", {})] if deepest > 1 else []
        possible += [("path_folders", {})] if deepest > 1 and not tops and not inside else []
        possible += [("class_folders", {})]
    possible.insert(len(possible) if len(possible) > 1 else 0, ("flat", {}))
    readings: list[Reading] = []
    for kind, splits in possible:
        one = reading_of(FolderLayout(kind, found.depth, splits), counts)
        if all(
            (one.classes, one.split_counts) != (other.classes, other.split_counts)
            for other in readings
        ):
            readings.append(one)
    return tuple(readings)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:SHOWN]) + (", ..." if len(ordered) > SHOWN else "")


def _named(counts: Counter[str | None]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, count) for name, count in counts.items() if name is not None))


def _counts(pairs: Sequence[tuple[str, int]]) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in pairs[:SHOWN])
    return shown + (f", and {len(pairs) - SHOWN} more" if len(pairs) > SHOWN else "")
