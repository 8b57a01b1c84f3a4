"""What `perennial init` asks about a source, on a terminal: how its folders are read, and what tells its subjects.

What the command line says comes first, then what params.yaml has recorded of the same source.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

    from pipeline_lib.labels.params import LabelsFile
    from pipeline_lib.settings import Settings
    from pipeline_lib.sources.doubt import Doubt
    from pipeline_lib.survey import LabelsDoubt, SourceAnswer, Subjects, Survey

INDEPENDENT = NOTHING = "none"
FOLDERS = "folders"
# of the keys of `labels`
OPTIONS = {"label": "--label-column", "several": "--several", "split_values": "--split-values"}


def said_of_names(options: argparse.Namespace) -> dict[str, Any]:
    """The keys of a SourceAnswer that the command line states. Raises UsageError for what no source could mean."""
    from pipeline_lib.errors import UsageError
    from pipeline_lib.sources.layout import LAYOUTS

    if options.layout is not None and options.layout not in LAYOUTS:
        remedy = f"name one of {', '.join(LAYOUTS)}"
        raise UsageError("no such layout", file="--layout", value=options.layout, remedy=remedy)
    said: dict[str, Any] = {
        key: value
        for key in ("layout", "depth", "class_from", "split_from")
        if (value := getattr(options, key)) is not None
    }
    if options.splits is not None:
        said["splits"] = splits_of(options.splits, "--splits")
    if options.include:
        said["include"] = tuple(options.include)
    if options.exclude:
        said["exclude"] = tuple(one for one in options.exclude if one != NOTHING)
        said["sets_aside"] = NOTHING not in options.exclude
    return said


def told_of_labels(options: argparse.Namespace) -> dict[str, Any]:
    """The keys of a LabelsFile that the command line states. Raises UsageError."""
    text = options.split_values
    told = {
        "label": options.label_column,
        "several": options.several,
        "split_values": splits_of(text, OPTIONS["split_values"]) if text else None,
    }
    return {key: value for key, value in told.items() if value}


def splits_of(text: str, option: str) -> dict[str, str]:
    """`fold0=train,fold1=val` as a mapping. option: that says it. Raises UsageError."""
    from pipeline_lib.errors import UsageError

    splits = {}
    for pair in filter(None, text.split(",")):
        folder, sign, split = (part.strip() for part in pair.rpartition("="))
        if not sign or not folder or split not in ("train", "val", "test"):
            remedy = (
                "write TEXT=SPLIT with train, val or test, such as fold0=train,fold1=val,fold2=test"
            )
            raise UsageError("not TEXT=SPLIT", file=option, value=pair, remedy=remedy)
        splits[folder] = split
    return splits


def survey_and_ask(
    uri: str,
    settings: Settings,
    origin: Path,
    said: Mapping[str, Any],
    *,
    labels: str | None,
    subject: str | None,
    told: Mapping[str, Any],
    role: str | None = None,
) -> Survey:
    """Survey the source, and ask what its names leave open.

    said: keys of a SourceAnswer, as `said_of_names` has them; told: of its labels. All come from the command line. Raises
    UsageError for keys that no source may have together, and, listing the choices, for doubtful folders if there is no
    terminal to ask on; subjects are only suggested then.
    """
    from flows.cli.project import inside
    from pipeline_lib.harness.terminal import live
    from pipeline_lib.sources.subjects import is_pattern
    from pipeline_lib.survey import (
        DECLINED,
        NO_LABELS,
        answer_before,
        look_at,
        still_fits,
        survey_of,
    )

    answer = answer_before(origin, uri)
    if labels == FOLDERS:
        answer = replace(answer, labels=NO_LABELS)
    elif labels is not None:
        address = labels if "://" in labels else inside(origin, labels)
        answer = replace(answer, labels=address, class_from=None)
    answer = replace(answer, told=told)
    if subject is not None:
        answer = replace(answer, subject_from=DECLINED if subject == INDEPENDENT else subject)
    elif answer.subject_from and not answer.labels and not is_pattern(answer.subject_from):
        answer = replace(
            answer, subject_from=None
        )  # a column of a table that is not named any more

    looked = look_at(uri, settings, root=origin)
    answer = still_fits(answer, looked)
    if says_how(said):  # a new answer: nothing of the old one, which may contradict it
        answer = replace(
            answer, layout=None, splits=None, depth=None, class_from=None, split_from=None
        )
    if "class_from" in said and labels is None:
        answer = replace(answer, labels=NO_LABELS)
    answer = replace(answer, **said)
    _refuse_contradictions(answer, uri, role)

    def read(answer: SourceAnswer) -> Survey:
        with live("read folders and names"):
            return survey_of(looked, settings, root=origin, answer=answer)

    found, answer = _read_labels(read, answer, uri)
    if found.labels_doubt:
        answer = replace(answer, labels=_ask_labels(found.labels_doubt, uri, answer.told))
        found, answer = _read_labels(read, answer, uri)
    if found.doubt:
        chosen = _ask_layout(found.doubt, uri)
        answer = (
            replace(answer, class_from=chosen)
            if "{class}" in chosen
            else replace(answer, layout=chosen)
        )
        found = read(answer)
    if found.subjects.offered and sys.stdin.isatty():
        answer = replace(answer, subject_from=_ask_subject(found.subjects))
        found = read(answer)
    return found


def _read_labels(
    read: Callable[[SourceAnswer], Survey], answer: SourceAnswer, uri: str
) -> tuple[Survey, SourceAnswer]:
    """Survey, and ask which column holds the class and which class an image of several has.

    Raises UsageError, naming the choices, without a terminal or an answer.
    """
    from pipeline_lib.errors import LabelsUndecided, UsageError

    told = dict(answer.told)
    while True:
        try:
            return read(answer), answer
        except LabelsUndecided as found:
            if found.key in told or not found.choices:
                raise
            of_class = found.key == "label"
            question = (
                "Which one holds the class?" if of_class else "Which class has such an image?"
            )
            _say(f"{found.file}: {found.what}: {found.value}")
            for number, one in enumerate(found.choices, 1):
                _say(f"  {number}. {one}")
            numbers = f"1 to {len(found.choices)}"
            chosen = _choose(f"{question} {numbers}, or its name (empty: stop) ", found.choices)
            if not chosen:
                option = OPTIONS[found.key]
                names = ", ".join(found.choices)
                remedy = (
                    f"choose one: `perennial init {uri} {option} NAME` with NAME one of {names}; "
                    f"`--labels {FOLDERS}`: go without this file"
                )
                raise UsageError(
                    found.what, file=found.file, value=found.value, remedy=remedy
                ) from found
            told[found.key] = chosen
            answer = replace(answer, told=told)


def _ask_labels(doubt: LabelsDoubt, uri: str, told: Mapping[str, Any]) -> str | LabelsFile:
    """Ask which files tell the classes. told: what was asked before. Raises UsageError without a terminal or an answer."""
    from pipeline_lib.errors import UsageError
    from pipeline_lib.survey import NO_LABELS, describe_labels_doubt

    names = list(doubt.choices)
    _say(f"{uri}: {describe_labels_doubt(doubt)}")
    chosen = _choose(f"Which one? 1 to {len(names)}, or its name (empty: stop) ", names)
    if chosen:
        return doubt.choices[chosen] or NO_LABELS
    what = "several things can tell the classes, and nothing was written"
    ways = ", ".join(
        FOLDERS if stated is None else _as_option(uri, stated) for stated in doubt.choices.values()
    )
    before = "".join(f" {OPTIONS[key]} {_as_typed(value)}" for key, value in told.items())
    remedy = f"choose one: `perennial init {uri}{before} --labels WHAT` with WHAT one of {ways}"
    raise UsageError(what, file=uri, value=doubt.why, remedy=remedy)


def _as_typed(value: str | Mapping[str, str]) -> str:
    if isinstance(value, str):
        return value
    return ",".join(f"{text}={split}" for text, split in value.items())


def _as_option(uri: str, stated: LabelsFile) -> str:
    """What `--labels` takes for these files."""
    name = stated.file or f"{uri.rstrip('/')}/{stated.inside[0]}"
    return f"'{name}'" if "*" in name or " " in name else name


def says_how(said: Mapping[str, Any]) -> bool:
    """Whether the command line says how names are read."""
    return bool(said.keys() & {"layout", "splits", "depth", "class_from", "split_from"})


def _refuse_contradictions(answer: SourceAnswer, uri: str, role: str | None) -> None:
    """Raise UsageError for what params.yaml would refuse of a source, before anything is read by it."""
    from pydantic import ValidationError

    from pipeline_lib.errors import UsageError
    from pipeline_lib.sources.source import Source

    keys = ("splits", "depth", "class_from", "split_from", "include", "exclude")
    stated = {key: getattr(answer, key) for key in keys}
    layout = answer.layout or "auto"
    try:
        Source.model_validate(
            {
                "name": "images",
                "uri": "images",
                "role": role,
                "layout": layout,
                "labels": answer.labels or None,
                **stated,
            }
        )
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]).replace("_", "-")
        value = answer.labels if not key else getattr(answer, str(first["loc"][0]), None)
        raise UsageError(
            first["msg"].removeprefix("Value error, "),
            file=f"--{key}" if key else uri,
            value=value,
            remedy="`perennial init --help` has examples",
        ) from error


def _ask_layout(doubt: Doubt, uri: str) -> str:
    """Ask for a layout and return its name. Raises UsageError without a terminal or without an answer."""
    from pipeline_lib.errors import UsageError
    from pipeline_lib.survey import describe_doubt

    names = [one.name for one in doubt.readings]
    _say(f"{uri}: {describe_doubt(doubt)}")
    _say("  If you only want one of the folders, name it: `perennial init FOLDER`.")
    chosen = _choose(f"Which one? 1 to {len(names)}, or its name (empty: stop) ", names)
    if chosen:
        return chosen
    what = "the folders can be read in several ways, and nothing was written"
    layouts = [name for name in names if "{" not in name]
    remedy = (
        f"choose one: `perennial init {uri} --layout NAME` with NAME one of {', '.join(layouts)}"
    )
    remedy += "".join(f", or `--class-from '{name}'`" for name in names if "{" in name)
    raise UsageError(what, file=uri, value=doubt.why, remedy=remedy)


def _ask_subject(subjects: Subjects) -> str | None:
    """Ask what tells the subjects, and return it; DECLINED if images are independent, None without an answer."""
    from pipeline_lib.survey import DECLINED, describe_offers

    ways = [one.subject_from for one in subjects.offered]
    _say(describe_offers(subjects))
    numbers = "1" if len(ways) == 1 else f"1 to {len(ways)}"
    question = f"Keep the images of a subject in one split? {numbers} (empty: no, all images are independent) "
    chosen = _choose(question, [*ways, INDEPENDENT])
    return DECLINED if chosen in ("", INDEPENDENT) else chosen


def _choose(question: str, names: Sequence[str]) -> str | None:
    """Ask up to three times for one of the names or its number, and return it or ""; None without an answer."""
    if not sys.stdin.isatty():
        return None
    for _ in range(3):
        _say(question, end="")
        try:
            said = input().strip()
        except EOFError:
            return None
        if not said or said in names:
            return said
        if said.isdecimal() and 0 < int(said) <= len(names):
            return names[int(said) - 1]
    return None


def _say(text: str, *, end: str = "\n") -> None:
    """Write to stderr: stdout may be a file that params.yaml goes into."""
    from pipeline_lib.safe_text import shown

    print(shown(text), end=end, file=sys.stderr, flush=True)
