"""Say how the names of a source are read, and what a person should know of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path

from pipeline_lib.download.ground_truth import is_ground_truth, read_ground_truth
from pipeline_lib.download.labels_file import ReceivedLabels
from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.pixels.other_formats import READ_HEIC, reads_heic
from pipeline_lib.settings import Settings
from pipeline_lib.sources.doubt import find_doubt
from pipeline_lib.sources.layout import READS_SPLITS
from pipeline_lib.sources.names import is_archive, respelled, without_archive_ending
from pipeline_lib.sources.places import Place, place_of
from pipeline_lib.sources.reading import NameReading, left_out, patterns_without_effect, read_names
from pipeline_lib.sources.recognise import Listing, recognise, set_aside
from pipeline_lib.survey.answers import (
    Keys,
    SourceAnswer,
    keys_of,
    read_table,
    refuse_classless,
    remaining_doubt,
    tables_of_labels,
)
from pipeline_lib.survey.class_words import class_words
from pipeline_lib.survey.contents import Contents, Seen
from pipeline_lib.survey.look import LeftOut, Looked, Survey, look_at
from pipeline_lib.survey.subjects import find_subjects

FEW = 20
HEIC_ENDINGS = (".heic", ".heif", ".hif")
EXAMPLES = 3
NO_ANSWER = SourceAnswer()


def survey(uri: str, settings: Settings, *, root: Path, answer: SourceAnswer = NO_ANSWER) -> Survey:
    """Look at a source and read its folders; see `look_at` and `survey_of`."""
    return survey_of(look_at(uri, settings, root=root), settings, root=root, answer=answer)


def survey_of(
    looked: Looked, settings: Settings, *, root: Path, answer: SourceAnswer = NO_ANSWER
) -> Survey:
    """Read the names of a source as `answer` says; it may name a table of labels, and what tells the subjects.

    Raises BadData when the table is wrong, UsageError for a layout that gives no class or a pattern that no image fits.
    """
    uri, contents = looked.uri, looked.contents
    every = [one.name for one in looked.taken]

    # What is none to learn from: as a person said, and what only accompanies images.
    aside = set_aside(every) if answer.sets_aside else {}
    answer = replace(answer, exclude=(*answer.exclude, *(aside.keys() - {*answer.exclude})))
    names = _kept(every, answer, uri)
    doubt = find_doubt(names, _archives(looked))

    # Labels of a table, or what was recognised.
    truth = _ground_truth(answer.labels, settings, root=root)
    table = None if truth else read_table(answer, names, settings, root=root)
    received = table.labels if table else None
    shape = None
    if received is None and not answer.says_how:
        shape = recognise(Listing(tuple(names), _others(looked)))
    if shape:
        doubt = None
        aside |= shape.exclude
        answer = replace(answer, exclude=(*answer.exclude, *shape.exclude))
        names = _kept(names, answer, uri)
        if shape.labels and not answer.labels:
            answer = replace(answer, labels=_inside(looked, shape.labels))
            truth = _ground_truth(answer.labels, settings, root=root)

    # Each image with its class and split.
    keys = keys_of(answer, shape, doubt, names, received)
    reading = _read(names, keys, uri)
    refuse_classless(reading, keys, doubt, names, uri=uri)
    class_of, split_of = _classes_and_splits(names, reading, received)
    if truth:
        val = [name for name in names if split_of[name] == "val"]
        by_truth = read_ground_truth(truth, file=answer.labels or "", members=val)
        class_of |= {name: by_truth.get(name) for name in val}
    labels, splits = Counter(map(class_of.get, names)), Counter(map(split_of.get, names))
    columns = table.subject_columns if table else {}
    subjects = find_subjects(answer.subject_from, class_of, split_of, columns, uri=uri)

    # What a person should know before starting.
    taken = [one for one in looked.taken if one.name in class_of]
    problems = _unreadable_formats(taken, looked.formats)
    problems += _problems(reading, labels, splits, contents, looked.n_unreadable, received)
    if received is None:
        problems += _respelled(reading, names)
    if received is None and not truth:
        problems += tables_of_labels(uri, contents, names, root=root)
    if looked.n_unopened:
        problems.append(f"{looked.n_unopened} more files have names that do not say what they are.")
    return Survey(
        uri=uri,
        kind=_kind(looked.place, contents, uri),
        layout=reading.layout.kind,
        n_images=len(taken),
        size_bytes=sum(one.size_bytes for one in taken),
        is_complete=contents.is_complete,
        classes=_named(labels),
        splits=_named(splits),
        refused=tuple(sorted(looked.refused.items())),
        formats=tuple(looked.formats.most_common()),
        short_sides_px=looked.sides_px,
        problems=tuple(problems),
        samples=tuple(one for one in looked.samples if one.name in class_of),
        keys=_stated(keys, reading, is_complete=contents.is_complete),
        why=shape.why if shape else "",
        doubt=remaining_doubt(answer, doubt, received),
        left_out=_left_out(every, answer, aside),
        examples=_examples(names, class_of, split_of),
        class_of=class_of,
        split_of=split_of,
        labels=answer.labels,
        columns=received.columns if received else "the classes of val" if truth else "",
        subjects=subjects,
        words=class_words(looked.contents, reading, names, class_of),
    )


def still_fits(answer: SourceAnswer, looked: Looked) -> SourceAnswer:
    """What params.yaml states, without patterns whose files are gone: nobody has typed them now."""
    names = [one.name for one in looked.taken]
    keys = Keys("auto", include=answer.include, exclude=answer.exclude)
    idle = patterns_without_effect(names, keys)
    return replace(
        answer,
        include=tuple(one for one in answer.include if f"include {one}" not in idle),
        exclude=tuple(one for one in answer.exclude if f"exclude {one}" not in idle),
    )


def _archives(looked: Looked) -> list[str]:
    """The archives whose names count as folders."""
    if looked.place.is_single:
        return []
    return [without_archive_ending(one.key) for one in looked.contents.archives]


def _others(looked: Looked) -> tuple[str, ...]:
    """The files that are no images, and the archives."""
    files = [one.name for one in looked.contents.files if one.refused is not None]
    return (*files, *(one.key for one in looked.contents.archives))


def _kept(names: Sequence[str], answer: SourceAnswer, uri: str) -> list[str]:
    """The names that the patterns leave. Raises UsageError for one that fits nothing, or all."""
    keys = Keys("auto", include=answer.include, exclude=answer.exclude)
    if idle := patterns_without_effect(names, keys):
        remedy = "write it as in .gitignore: 'masks' (a folder or file anywhere), '/a/b' (from the top), '*_mask.png'"
        raise UsageError(f"--{idle[0]} fits no image", file=uri, value=names[0], remedy=remedy)
    out = left_out(names, keys)
    if len(out) == len(set(names)):
        patterns = ", ".join([*answer.include, *answer.exclude])
        remedy = "leave some of --include and --exclude away"
        raise UsageError("the patterns leave no image", file=uri, value=patterns, remedy=remedy)
    return [name for name in names if name not in out]


def _read(names: Sequence[str], keys: Keys, uri: str) -> NameReading:
    """As `read_names`, with its faults as those of the command line."""
    try:
        return read_names(names, keys, source=uri)
    except BadData as error:
        raise UsageError(error.what, file=uri, value=error.value, remedy=error.remedy) from error


def _ground_truth(labels: str | None, settings: Settings, *, root: Path) -> bytes:
    """The bytes of a file of ImageNet's validation classes; none where `labels` is another one."""
    if labels is None:
        return b""
    place = place_of(labels, settings, root=root)
    data = place.read(next(place.list()))
    return data if is_ground_truth(data) else b""


def _inside(looked: Looked, name: str) -> str:
    """The address of a file of the source. Raises UsageError where it lies in an archive."""
    archived = {one.name for one in looked.contents.files[looked.contents.n_loose :]}
    if name in archived:
        remedy = "take it out of the archive, and name it: `--labels FILE`"
        raise UsageError(
            "the classes of val lie in a file inside the archive",
            file=looked.uri,
            value=name,
            remedy=remedy,
        )
    return f"{looked.uri.rstrip('/')}/{name}"


def _classes_and_splits(
    names: Sequence[str], reading: NameReading, received: ReceivedLabels | None
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    class_of = {name: reading.label(name) for name in names}
    split_of = {name: reading.split(name) for name in names}
    if received:
        class_of = {name: received.class_of.get(name) for name in names}
        split_of |= received.split_of
    return class_of, split_of


def _stated(keys: Keys, reading: NameReading, *, is_complete: bool) -> Keys:
    """The keys with what was found spelled out, so that a folder more does not change how the others are read."""
    if keys.class_from is not None or keys.split_from is not None:
        return keys
    layout = reading.layout
    depth = layout.depth if is_complete and layout.kind != "flat" else 0
    return replace(
        keys, layout=layout.kind, splits=layout.splits, depth=keys.depth or depth or None
    )


def _left_out(
    every: Sequence[str], answer: SourceAnswer, aside: Mapping[str, str]
) -> tuple[LeftOut, ...]:
    keys = Keys("auto", include=answer.include, exclude=answer.exclude)
    counts = Counter(left_out(every, keys).values())
    return tuple(
        LeftOut(pattern, aside.get(pattern, ""), n) for pattern, n in sorted(counts.items())
    )


def _examples(
    names: Sequence[str], class_of: Mapping[str, str | None], split_of: Mapping[str, str | None]
) -> tuple[str, ...]:
    """A few names, of as many different classes and splits as there are."""
    by_reading: dict[tuple[str | None, str | None], str] = {}
    for name in names:
        by_reading.setdefault((split_of[name], class_of[name]), name)
    by_split: dict[str | None, list[str]] = defaultdict(list)
    for (split, _), name in by_reading.items():
        by_split[split].append(name)
    turns = zip_longest(*by_split.values())
    return tuple(islice((name for turn in turns for name in turn if name), EXAMPLES))


def _unreadable_formats(taken: Sequence[Seen], formats: Counter[str]) -> list[str]:
    """What most of a phone's images are, and what reads them; named before anything is written."""
    n_heic = max(sum(one.name.lower().endswith(HEIC_ENDINGS) for one in taken), formats["HEIC"])
    if reads_heic() or not n_heic:
        return []
    return [
        f"{n_heic} of {len(taken)} images are HEIC and will be set aside: {READ_HEIC}, or save them as JPEG."
    ]


def _named(counts: Counter[str | None]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, count) for name, count in counts.items() if name is not None))


def _kind(place: Place, contents: Contents, uri: str) -> str:
    where = "S3 " if uri.startswith("s3://") else ""
    if place.is_single:
        return f"{where}archive"
    folder = "S3 prefix" if where else "folder"
    return f"{folder} of {contents.n_archives} archives" if contents.n_archives else folder


def _respelled(reading: NameReading, names: Sequence[str]) -> list[str]:
    folders = {text for name in names if (text := reading.class_text(name)) is not None}
    return [f"{sentence}." for sentence in respelled(folders)]


def _problems(
    reading: NameReading,
    labels: Counter[str | None],
    splits: Counter[str | None],
    contents: Contents,
    unreadable: int,
    received: ReceivedLabels | None,
) -> list[str]:
    """What a person should know before starting, one sentence each."""
    classes = {name: count for name, count in labels.items() if name is not None}
    problems = []
    if not classes:
        problems.append(
            "No class can be told from the folders: name a table of labels (`--labels FILE`, one line per image) or "
            "a votes file, or sort the images into class folders."
        )
    elif len(classes) == 1:
        problems.append("There is one class only; a classifier needs two.")
    if received and labels[None]:
        more = ", ..." if labels[None] > 5 else ""
        said = ", ".join(received.without[:5]) + more
        problems.append(
            f"{labels[None]} images have no class in the table; they will be quarantined: {said}."
        )
    elif classes and labels[None]:
        problems.append(f"{labels[None]} images lie outside the class folders and have no class.")
    if received and received.unknown:
        problems.append(
            f"{len(received.unknown)} lines of the table are about images that are not there."
        )
    nested = sum(is_archive(one.name) for one in contents.files)
    if nested:
        problems.append(
            f"{nested} archives lie inside an archive and are not opened: unpack the outer one first."
        )
    few = sorted(name for name, count in classes.items() if count < FEW)
    if few:
        problems.append(
            f"{len(few)} classes have fewer than {FEW} images: {', '.join(few[:5])}{' ...' if len(few) > 5 else ''}."
        )
    if unreadable:
        problems.append(
            f"{unreadable} of the sampled files are no images that can be read; they will be quarantined."
        )
    if not contents.is_complete:
        problems.append(
            "Only the beginning was looked at, since the rest would have to be fetched: counts are lower bounds."
        )
    if reading.split_of is not None or reading.layout.kind in READS_SPLITS:
        problems.append(_about_splits(splits))
    return problems


def _about_splits(splits: Counter[str | None]) -> str:
    """What curate will make of published splits, see curate/splits.py."""
    absent = [name for name in ("val", "test") if not splits[name]]
    if not absent:
        return "The splits are taken from the folders."
    missing = " and ".join(absent)
    return f"The splits are taken from the folders; what no source brings is drawn out of train: {missing} so far."
