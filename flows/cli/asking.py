"""What `perennial init` asks about a source, on a terminal: how its folders are read, and what tells its subjects.

What the command line says comes first, then what params.yaml has recorded of the same source.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.labels.params import LabelsFile
    from pipeline_lib.settings import Settings
    from pipeline_lib.sources.doubt import Doubt
    from pipeline_lib.survey import LabelsDoubt, SourceAnswer, Subjects, Survey

INDEPENDENT = "none"
FOLDERS = "folders"


def survey_and_ask(
    uri: str,
    settings: Settings,
    origin: Path,
    *,
    layout: str | None,
    labels: str | None,
    subject: str | None,
    label_column: str | None = None,
    several: str | None = None,
) -> Survey:
    """Survey the source, and ask what its names leave open.

    layout, labels, subject: from the command line. Raises UsageError for an unknown layout, and, listing the choices,
    for doubtful folders if there is no terminal to ask on; subjects are only suggested then.
    """
    from flows.cli.project import inside
    from pipeline_lib.errors import UsageError
    from pipeline_lib.harness.terminal import live
    from pipeline_lib.sources.layout import LAYOUTS
    from pipeline_lib.sources.subjects import is_pattern
    from pipeline_lib.survey import DECLINED, NO_LABELS, answer_before, look_at, survey_of

    if layout is not None and layout not in LAYOUTS:
        remedy = f"name one of {', '.join(LAYOUTS)}"
        raise UsageError("no such layout", file="--layout", value=layout, remedy=remedy)
    answer = answer_before(origin, uri)
    if layout is not None:
        answer = replace(answer, layout=layout, splits=None)
    if labels == FOLDERS:
        answer = replace(answer, labels=NO_LABELS)
    elif labels is not None:
        answer = replace(answer, labels=labels if "://" in labels else inside(origin, labels))
    said = {"label": label_column, "several": several}
    answer = replace(answer, told={key: value for key, value in said.items() if value})
    if subject is not None:
        answer = replace(answer, subject_from=DECLINED if subject == INDEPENDENT else subject)
    elif answer.subject_from and not answer.labels and not is_pattern(answer.subject_from):
        answer = replace(
            answer, subject_from=None
        )  # a column of a table that is not named any more

    looked = look_at(uri, settings, root=origin)

    def read(answer: SourceAnswer) -> Survey:
        with live("read folders and names"):
            return survey_of(looked, settings, root=origin, answer=answer)

    found, answer = _read_labels(read, answer, uri)
    if found.labels_doubt:
        answer = replace(answer, labels=_ask_labels(found.labels_doubt, uri))
        found, answer = _read_labels(read, answer, uri)
    if found.doubt:
        answer = replace(answer, layout=_ask_layout(found.doubt, uri))
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
                option = "--label-column" if of_class else "--several"
                names = ", ".join(found.choices)
                remedy = (
                    f"choose one: `perennial init {uri} {option} NAME` with NAME one of {names}"
                )
                raise UsageError(
                    found.what, file=found.file, value=found.value, remedy=remedy
                ) from found
            told[found.key] = chosen
            answer = replace(answer, told=told)


def _ask_labels(doubt: LabelsDoubt, uri: str) -> str | LabelsFile:
    """Ask which files tell the classes. Raises UsageError without a terminal or without an answer."""
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
    remedy = f"choose one: `perennial init {uri} --labels WHAT` with WHAT one of {ways}"
    raise UsageError(what, file=uri, value=doubt.why, remedy=remedy)


def _as_option(uri: str, stated: LabelsFile) -> str:
    """What `--labels` takes for these files."""
    return stated.file or f"{uri.rstrip('/')}/{stated.inside[0]}"


def _ask_layout(doubt: Doubt, uri: str) -> str:
    """Ask for a layout and return its name. Raises UsageError without a terminal or without an answer."""
    from pipeline_lib.errors import UsageError
    from pipeline_lib.survey import describe_doubt

    names = [one.layout for one in doubt.readings]
    _say(f"{uri}: {describe_doubt(doubt)}")
    _say("  If you only want one of the folders, name it: `perennial init FOLDER`.")
    chosen = _choose(f"Which one? 1 to {len(names)}, or its name (empty: stop) ", names)
    if chosen:
        return chosen
    what = "the folders can be read in several ways, and nothing was written"
    remedy = f"choose one: `perennial init {uri} --layout NAME` with NAME one of {', '.join(names)}"
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
