"""Say how the names of a source are read: as a person said, as was recognised, or as is to be asked."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice, zip_longest
from pathlib import Path

from pipeline_lib.errors import BadData, LabelsUndecided, UsageError
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.settings import Settings
from pipeline_lib.sources.doubt import Doubt, doubt_of_file_names, find_doubt
from pipeline_lib.sources.layout import detect_layout
from pipeline_lib.sources.name_patterns import fields_by_name
from pipeline_lib.sources.names import (
    refusal,
    without_archive_ending,
)
from pipeline_lib.sources.objects import Place
from pipeline_lib.sources.reading import NameReading, left_out, patterns_without_effect, read_names
from pipeline_lib.sources.recognise import WITHOUT_CLASSES, Listing, recognise, set_aside
from pipeline_lib.sources.schemes import scheme_of
from pipeline_lib.sources.set_aside import path_pattern
from pipeline_lib.sources.split_names import split_names
from pipeline_lib.sources.web.urls import is_web
from pipeline_lib.survey.answers import (
    NO_LABELS,
    Keys,
    SourceAnswer,
    Table,
    keys_of,
    read_table,
    refuse_classless,
    remaining_doubt,
)
from pipeline_lib.survey.class_words import class_words
from pipeline_lib.survey.companions import companions
from pipeline_lib.survey.contents import Contents, Seen
from pipeline_lib.survey.label_choice import LabelChoice, choose_labels
from pipeline_lib.survey.look import SAMPLED, LeftOut, Looked, Survey, look_at
from pipeline_lib.survey.problems import (
    problems_of,
    respelled_classes,
    unreadable_formats,
    untrained_classes,
    unused_tables,
)
from pipeline_lib.survey.subjects import find_subjects
from pipeline_lib.survey.unread import SAVE_AS_CSV, unread_labels

EXAMPLES = 3
SERVICES = {"s3": "S3 ", "gs": "Google Cloud Storage ", "az": "Azure Blob Storage "}
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
    images = [one.name for one in looked.taken]

    # What is none to learn from: as a person said, and what only accompanies images.
    aside = _set_aside(looked, answer) if answer.sets_aside else {}
    answer = replace(answer, exclude=(*answer.exclude, *(aside.keys() - {*answer.exclude})))
    names = _kept(images, looked, answer)

    # Labels of files come first; then names tell what they tell in one way, or are asked about.
    choice = choose_labels(
        answer,
        contents,
        looked.place,
        names,
        detect_layout(names, "auto"),
        settings,
        folders_doubt=find_doubt(names, _archives(looked)) is not None,
        root=root,
        uri=uri,
    ).as_told(answer.told)
    table = _table_of(choice, answer.subject_from, names, uri)
    received = table.labels if table else None
    shape = None
    if not answer.says_how and not choice.doubt:
        shape = recognise(Listing(tuple(names), has_labels=received is not None))
    if shape:
        aside |= shape.exclude
        answer = replace(answer, exclude=(*answer.exclude, *shape.exclude))
        names = _kept(names, looked, answer)
    if received:
        shape = None
    doubt = None if shape else find_doubt(names, _archives(looked))
    if not (shape or received or answer.says_how):
        is_settled = choice.doubt is not None or answer.labels == NO_LABELS
        others = [] if is_settled else _others(looked)
        doubt = _with_file_names(doubt, names, uri, others)

    # Each image with its class and split.
    keys = keys_of(answer, shape, doubt, names, received)
    reading = _read(names, keys, uri)
    if received is None:
        refuse_classless(reading, keys, doubt, names, uri=uri)
    class_of, split_of = _classes_and_splits(names, reading, received)
    labels, splits = Counter(map(class_of.get, names)), Counter(map(split_of.get, names))
    columns = table.subject_columns if table else {}
    subjects = find_subjects(answer.subject_from, class_of, split_of, columns, uri=uri)
    if choice.taken and contents.archives and choice.taken.format in ("image_parquet", "sidecar"):
        subjects = replace(subjects, offered=())  # folders are shards, and names numbers

    # What a person should know before starting.
    taken = [one for one in looked.taken if one.name in class_of]
    headers = [header for name, header in looked.headers.items() if name in class_of]
    formats = Counter(one.format for one in headers if one.format)
    unreadable = [
        name for name, one in looked.headers.items() if name in class_of and not one.format
    ]
    problems = unreadable_formats(taken, formats)
    problems += problems_of(reading, labels, splits, contents, unreadable, received)
    problems += companions(names)
    problems += unused_tables(choice.unused)
    problems += untrained_classes(class_of, split_of)
    if received is None:
        problems += respelled_classes(reading, names)
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
        formats=tuple(formats.most_common()),
        short_sides_px=tuple(sorted(one.short_side_px for one in headers if one.short_side_px)),
        problems=tuple(problems),
        samples=tuple(one for one in looked.samples if one.name in class_of),
        keys=_stated(keys, reading, is_complete=contents.is_complete),
        why=shape.why if shape else "",
        doubt=remaining_doubt(answer, doubt, received, names),
        left_out=_left_out(looked, answer, aside),
        examples=_examples(names, class_of, split_of),
        class_of=class_of,
        split_of=split_of,
        labels=choice.taken,
        labels_declined=answer.labels == NO_LABELS,
        labels_why=choice.why,
        labels_doubt=choice.doubt,
        columns=received.columns if received else "",
        extras=_extras(received),
        subjects=subjects,
        words=class_words(looked.contents, reading, names, class_of),
    )


def _table_of(
    choice: LabelChoice, subject_from: str | None, names: Sequence[str], uri: str
) -> Table | None:
    """The labels that were chosen. Raises what reading them raises, with the way to go without what nobody named."""
    try:
        return read_table(choice.taken, subject_from, choice.files, names, uri=uri)
    except LabelsUndecided:
        raise
    except BadData as error:
        if not choice.why:
            raise
        remedy = f"{error.remedy}; or go without what was found: `--labels folders`"
        raise BadData(error.what, file=error.file, value=error.value, remedy=remedy) from error


def _set_aside(looked: Looked, answer: SourceAnswer) -> dict[str, str]:
    """What accompanies images: by their names, also of files that are none; and where no image fits `class_from`."""
    names = [one.name for one in looked.contents.files if refusal(one.name) is None]
    found = set_aside(names)
    if answer.class_from is None:
        return found
    fits = {name.rpartition("/")[0] for name, _ in fields_by_name(answer.class_from, names)}
    unfit = sorted({name.rpartition("/")[0] for name in names} - fits - {""})
    tests = [
        one for one in unfit if split_names([one.rpartition("/")[2], "train"]).keys() - {"train"}
    ]
    return found | {path_pattern(one): WITHOUT_CLASSES for one in tests if fits}


def _with_file_names(
    doubt: Doubt | None, names: Sequence[str], uri: str, others: Sequence[Seen]
) -> Doubt | None:
    """The doubt, with the classes that names of files may hold, where folders hold none.

    Raises UsageError for files that seem to hold labels in a form that is not read.
    """
    layout = detect_layout(names, "auto")
    classes = {*map(layout.label, names)} - {None}
    is_flat = doubt.readings[0].classes == () if doubt else not classes
    if not is_flat and (doubt or len(classes) > 1):
        return doubt
    by_name = doubt_of_file_names(names) if is_flat else None
    unread = None if by_name else unread_labels(others, names)
    if unread:
        file, what = unread
        what = f"the classes seem to lie in a file that is not read ({what})"
        raise UsageError(what, file=uri, value=file, remedy=SAVE_AS_CSV)
    if by_name and doubt:
        return replace(by_name, readings=(by_name.readings[0], *doubt.readings))
    return by_name or doubt


def still_fits(answer: SourceAnswer, looked: Looked) -> SourceAnswer:
    """What params.yaml states, without patterns whose files are gone: nobody has typed them now."""
    names = [one.name for one in looked.contents.files]
    idle = patterns_without_effect(names, _choices(answer))
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


def _others(looked: Looked) -> list[Seen]:
    """The files that are no images."""
    return [one for one in looked.contents.files if one.refused is not None]


def _kept(names: Sequence[str], looked: Looked, answer: SourceAnswer) -> list[str]:
    """The images that the patterns leave. Raises UsageError for a pattern that fits no file, or that leaves no image."""
    keys = _choices(answer)
    if idle := patterns_without_effect([one.name for one in looked.contents.files], keys):
        remedy = "write it as in .gitignore: 'masks' (a folder or file anywhere), '/a/b' (from the top), '*_mask.png'"
        what = f"--{idle[0]} fits no file"
        raise UsageError(what, file=looked.uri, value=names[0], remedy=remedy)
    out = left_out(names, keys)
    if len(out) == len(set(names)):
        patterns = ", ".join([*answer.include, *answer.exclude])
        remedy = "leave some of --include and --exclude away"
        what = "the patterns leave no image"
        raise UsageError(what, file=looked.uri, value=patterns, remedy=remedy)
    return [name for name in names if name not in out]


def _choices(answer: SourceAnswer) -> Keys:
    return Keys("auto", include=answer.include, exclude=answer.exclude)


def _read(names: Sequence[str], keys: Keys, uri: str) -> NameReading:
    """As `read_names`, with its faults as those of the command line."""
    try:
        return read_names(names, keys, source=uri)
    except BadData as error:
        raise UsageError(error.what, file=uri, value=error.value, remedy=error.remedy) from error


def _classes_and_splits(
    names: Sequence[str], reading: NameReading, received: ReceivedLabels | None
) -> tuple[dict[str, str | None], dict[str, str | None]]:
    class_of = {name: reading.label(name) for name in names}
    split_of = {name: reading.split(name) for name in names}
    if received:
        class_of = {name: received.class_of.get(name) for name in names}
        split_of |= received.split_of
        split_of = {name: split if class_of[name] else None for name, split in split_of.items()}
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
    looked: Looked, answer: SourceAnswer, aside: Mapping[str, str]
) -> tuple[LeftOut, ...]:
    counts = Counter(
        left_out([one.name for one in looked.contents.files], _choices(answer)).values()
    )
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


def _extras(received: ReceivedLabels | None) -> tuple[str, ...]:
    """The names of what else the labels say, of the first images."""
    texts = islice(received.extras_of.values(), SAMPLED) if received else ()
    return tuple(sorted({key for text in texts for key in json.loads(text)}))


def _named(counts: Counter[str | None]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted((name, count) for name, count in counts.items() if name is not None))


def _kind(place: Place, contents: Contents, uri: str) -> str:
    where = SERVICES.get(scheme_of(uri), "")
    if is_web(uri) and not place.is_single:
        return f"{contents.n_loose + contents.n_archives} web addresses"
    where = "web " if is_web(uri) else where
    if place.is_single:
        return f"{where}archive"
    folder = f"{where}prefix" if where else "folder"
    return f"{folder} of {contents.n_archives} archives" if contents.n_archives else folder
