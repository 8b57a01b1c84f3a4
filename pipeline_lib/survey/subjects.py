"""Where names or columns suggest that several images show one subject, and with what pattern they can be kept together.

Nothing is decided here: `perennial init` asks on a terminal, and prints a suggestion elsewhere. Two photographs of one
person, eye or burst on both sides of a split make a test look better than the model is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline_lib.errors import UsageError
from pipeline_lib.sources.doubt import CAMERA
from pipeline_lib.sources.split_names import split_names
from pipeline_lib.sources.subjects import (
    PATTERN_MEANING,
    SUBJECT,
    check_pattern,
    is_pattern,
    subjects_by_name,
)

# When a pattern is offered; choices, tried on the names of docs/labels.md.
FITS = 0.9  # share of images that fit it
SHARED = 0.5  # of these, share that show the subject of another image
SHARED_IN_BURSTS = 0.2  # the same where subjects are bursts: most photographs are of none
WITHIN_CLASSES = 0.5  # share of images in a class of several subjects: otherwise it is the class
LEAST_SUBJECTS = 3
MOST_OFFERED = 3

DEEPEST = 3  # folders, or parts of a name
SEPARATORS = "_-. "
# The last parts of a name that number the images of a subject, or say which of its views they are.
NUMBER = re.compile(
    r"\(?\d{1,6}\)?|[a-z]{1,5}\d{1,6}|([a-z]\d{1,3})+|left|right|front|back|side|top|bottom|l|r|od|os|cc|mlo"
    r"|frame|crop|img|image|view|page|tile|slice",
    re.IGNORECASE,
)
PARTS_OF_A_DATA_SET = re.compile(
    r"(fold|part|batch|shard|chunk|set|split|cv|kfold)[ _-]?\d+", re.IGNORECASE
)
TAKEN_AT = re.compile(r"(.*?)((?:19|20)\d{6}[_-]?\d{4})(\d{2}.*)")
MINUTE, AUGMENTED, BURST = (
    "a minute in which several were taken",
    "{subject}.rf.*",
    "{subject}_BURST*",
)
# Columns of a table of labels that name subjects; compared in lower case, without `_`, `-` and blanks.
COLUMNS = frozenset(
    {
        "subject", "person", "patient", "participant", "identity", "individual", "user", "lesion", "specimen", "animal",
        "object", "group", "session", "sequence", "burst", "video", "clip",
    }
)  # fmt: skip


@dataclass(frozen=True)
class SubjectOffer:
    """A way to tell subjects. subject_from: for params.yaml. what: the subjects, for people.

    n_images: that have one; n_subjects: how many differ. example: a subject with the most images; n_example: how many.
    """

    subject_from: str
    what: str
    n_images: int
    n_subjects: int
    example: str
    n_example: int


@dataclass(frozen=True)
class Subjects:
    """taken: what a person said, and what it gives; declined: they said that images are independent.

    pairs: class and subject of the images whose split is drawn. offered: what names and columns suggest, the likeliest
    first, where nobody has said anything.
    """

    taken: SubjectOffer | None = None
    pairs: frozenset[tuple[str, str]] = frozenset()
    declined: bool = False
    offered: tuple[SubjectOffer, ...] = ()


NO_SUBJECTS = Subjects()
DECLINED = ""


def find_subjects(
    subject_from: str | None,
    class_of: Mapping[str, str | None],
    split_of: Mapping[str, str | None],
    columns: Mapping[str, Mapping[str, str]],
    *,
    uri: str,
) -> Subjects:
    """What tells the subjects of images, as a person said or as it can be offered.

    subject_from: as in discover.sources; DECLINED where a person said that images are independent, None where nobody
    said anything. class_of, split_of: by name, for all images; the split that folders or a table say. columns: of a
    table of labels, those that may name subjects: column -> name -> cell. Raises UsageError for what no image fits.
    """
    if subject_from == DECLINED:
        return Subjects(declined=True)
    if subject_from is None:
        return Subjects(offered=(*_column_offers(columns), *subject_offers(class_of)))
    subject_of: Mapping[str, str]
    if not is_pattern(subject_from):
        subject_of = columns.get(subject_from, {})
    else:
        try:
            check_pattern(subject_from)
        except ValueError as error:
            remedy = f"write it as '{SUBJECT}_*' or '{SUBJECT}/*': {PATTERN_MEANING}"
            raise UsageError(
                str(error), file="--subject", value=subject_from, remedy=remedy
            ) from error
        subject_of = subjects_by_name(subject_from, class_of)
    if not subject_of:
        remedy = f"write a pattern such as '{SUBJECT}_*', a column of the table of labels, or none: {PATTERN_MEANING}"
        what = f"no image of {uri} has a subject by it, such as {next(iter(class_of))}"
        raise UsageError(what, file="--subject", value=subject_from, remedy=remedy)
    pairs = frozenset(
        (label, subject)
        for name, subject in subject_of.items()
        if (label := class_of.get(name)) is not None and split_of.get(name) in (None, "train")
    )
    return Subjects(taken=_offer(subject_from, "as was said", subject_of), pairs=pairs)


def subject_offers(class_of: Mapping[str, str | None]) -> tuple[SubjectOffer, ...]:
    """The patterns that the names of images suggest, the likeliest first. class_of: by name, as folders or a table say."""
    offers: list[SubjectOffer] = []
    partitions: set[tuple[int, int]] = set()
    for pattern, what, least_shared in _candidates(list(class_of)):
        subject_of = subjects_by_name(pattern, class_of)
        if not _is_likely(subject_of, class_of, least_shared):
            continue
        offer = _offer(pattern, what, subject_of)
        if (offer.n_subjects, offer.n_images) not in partitions:
            partitions.add((offer.n_subjects, offer.n_images))
            offers.append(offer)
    return tuple(offers[:MOST_OFFERED])


def names_subjects(column: str) -> bool:
    """Whether the name of a column says that it names subjects: person, patient_id, `Lesion ID`."""
    return re.sub(r"[\W_]|ids?$", "", column.lower()) in COLUMNS


def _column_offers(columns: Mapping[str, Mapping[str, str]]) -> tuple[SubjectOffer, ...]:
    return tuple(
        _offer(column, f"column {column} of the table", subject_of)
        for column, subject_of in columns.items()
        if len(set(subject_of.values())) < len(subject_of)
    )


def _offer(subject_from: str, what: str, subject_of: Mapping[str, str]) -> SubjectOffer:
    """Count what a pattern or column gives. subject_of: by name; not empty."""
    counts = Counter(subject_of.values())
    example, n_example = max(counts.items(), key=lambda item: (item[1], item[0]))
    return SubjectOffer(subject_from, what, len(subject_of), len(counts), example, n_example)


def _candidates(names: Sequence[str]) -> Iterator[tuple[str, str, float]]:
    """Patterns to try: each with what its subjects are, and the share of images that must share one."""
    yield AUGMENTED, "images made from one original", SHARED
    yield BURST, "bursts", SHARED_IN_BURSTS
    if minute := _by_minute(names):
        yield minute, MINUTE, SHARED_IN_BURSTS
    for depth in range(1, DEEPEST + 1):
        if _are_subject_folders(names, depth):
            where = "the folder that holds the image" if depth == 1 else "a folder above the image"
            yield SUBJECT + "/*" * depth, where, SHARED
    for n_parts in range(1, DEEPEST + 1):
        for separator in SEPARATORS:
            pattern = SUBJECT + f"{separator}*" * n_parts
            if _are_numbered(names, separator, n_parts):
                yield pattern, "the beginning of the name", SHARED


def _is_likely(
    subject_of: Mapping[str, str], class_of: Mapping[str, str | None], least_shared: float
) -> bool:
    if len(subject_of) < FITS * len(class_of):
        return False
    counts = Counter(subject_of.values())
    n_shared = sum(n for n in counts.values() if n > 1)
    if len(counts) < LEAST_SUBJECTS or n_shared < least_shared * len(subject_of):
        return False
    if sum(n for subject, n in counts.items() if CAMERA.fullmatch(subject)) > n_shared / 2:
        return False
    subjects: dict[str | None, set[str]] = defaultdict(set)
    for name, subject in subject_of.items():
        subjects[class_of[name]].add(subject)
    n_within = sum(len(subjects[class_of[name]]) > 1 for name in subject_of)
    return n_within >= WITHIN_CLASSES * len(subject_of)


def _are_subject_folders(names: Sequence[str], depth: int) -> bool:
    """Whether most images lie that deep, in folders that are neither splits nor parts of a data set."""
    counts = Counter(parts[-1 - depth] for name in names if len(parts := name.split("/")) > depth)
    is_part = split_names(counts) or all(map(PARTS_OF_A_DATA_SET.fullmatch, counts))
    return sum(counts.values()) >= FITS * len(names) and not is_part


def _are_numbered(names: Sequence[str], separator: str, n_parts: int) -> bool:
    """Whether most names end in that many numbers or views."""
    n_numbered = 0
    for name in names:
        stem = name.rpartition("/")[2].rpartition(".")[0]
        first, *last = stem.rsplit(separator, n_parts)
        n_numbered += len(last) == n_parts and bool(first) and all(map(NUMBER.fullmatch, last))
    return n_numbered >= FITS * len(names)


def _by_minute(names: Sequence[str]) -> str | None:
    """The pattern of names that hold date and time, such as IMG_20240101_120001: the subject is the minute."""
    shapes: Counter[tuple[str, int]] = Counter()
    for name in names:
        found = TAKEN_AT.fullmatch(name.rpartition("/")[2].rpartition(".")[0])
        if found:
            shapes[found[1], len(found[3])] += 1
    if not shapes:
        return None
    (before, n_after), _ = shapes.most_common(1)[0]
    return f"{before}{SUBJECT}{'?' * n_after}"
