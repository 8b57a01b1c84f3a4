"""Which files of the repository speak of earlier data (the demo's, at first), and what `perennial init` makes of them.

Only what nobody wrote is started anew without asking: the demo's own datasheet, and a fresh one that nobody filled in.

The name under which models are registered is one of these things: under the name of earlier data its champion would
answer for the new classes, and be compared with the first new model.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pipeline_lib.errors import ConfigError
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.release.datasheet_answers import TODO, fresh_about
from pipeline_lib.sources.layout import LAYOUTS
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.withdrawn import decision, other_address
from pipeline_lib.survey.answers import NO_LABELS, SourceAnswer
from pipeline_lib.survey.class_words import ClassWord, lines_of_words
from pipeline_lib.survey.earlier_entries import EarlierSource, earlier_sources
from pipeline_lib.survey.entries import SurveyedSource, pooled
from pipeline_lib.survey.subjects import DECLINED

DATASHEET, OVERRIDES, GROUPS, CLASSES = (
    "curation/datasheet.yaml",
    "curation/overrides.csv",
    "curation/groups.csv",
    "curation/classes.csv",
)
LAST_CLASSES = "line/curate/classes.csv"
DEMO_DATASHEETS = (  # sha256 of each that was shipped; a contract test adds today's
    "bda8d2f964759659d3191226281c82be5b563c1e542a585ac0fceb1be6f8c94b",
    "7da7b0fdc7e5042424c6fb440993e53a799160c2b756d8d48048dba9e4ef18fe",
)
MARK = "# by `perennial init`, for the source"
OURS = re.compile(rf"^model_name = .*{re.escape(MARK)} .*\n?", re.MULTILINE)


@dataclass(frozen=True)
class NewData:
    """The labelled sources that the repository is about from now on, beside what params.yaml named before.

    name, uri: of the first; others: of those after it, name -> address. classes: as surveyed; empty where names tell none.
    words: what the sources say of them. earlier: the sources before. is_new: whether it is other data; a source that only
    moved has its name and some of its classes still.
    """

    name: str
    uri: str
    classes: frozenset[str]
    earlier: tuple[EarlierSource, ...]
    is_new: bool
    words: tuple[ClassWord, ...] = ()
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def addresses(self) -> dict[str, str]:
        """Name -> address."""
        return {self.name: self.uri, **self.others}


@dataclass(frozen=True)
class Renewal:
    """A file to start anew. text: what it will hold. why: a clause. words: what people wrote and would lose, or ""."""

    file: str
    text: str
    why: str
    words: str = ""


def is_other_data(
    labelled: Sequence[SurveyedSource], earlier: Sequence[EarlierSource], origin: Path
) -> bool:
    """Whether no source that was surveyed is one of those before, compared with what was last known of their classes."""
    classes, known = _classes_of(labelled), _classes_before(origin)
    may_have_moved = not (classes and known) or bool(classes & known)
    now = {one.name: one.found.uri for one in labelled}
    return not any(
        one.name in now and (now[one.name] == one.uri or may_have_moved) for one in earlier
    )


def new_data(
    labelled: Sequence[SurveyedSource], earlier: tuple[EarlierSource, ...], *, is_new: bool
) -> NewData:
    """The data that these sources are."""
    first = labelled[0]
    others = {one.name: one.found.uri for one in labelled[1:]}
    words = pooled(labelled).words
    classes = _classes_of(labelled)
    return NewData(first.name, first.found.uri, classes, earlier, is_new, words, others)


def _classes_of(labelled: Sequence[SurveyedSource]) -> frozenset[str]:
    return frozenset(class_id for one in labelled for class_id, _ in one.found.classes)


def decision_on_address(
    params: str, addresses: Mapping[str, str], earlier: Sequence[EarlierSource]
) -> str:
    """The text of params.yaml with the decision that names of sources stand for other data from now on, where they do.

    addresses: of all sources now, in their order. Without the decision `discover` would ask: a name whose new address holds
    nothing of the old images may be a mistake.
    """
    before = {one.name: one.uri for one in earlier}
    moved = {
        name: other_address(name, before[name], uri)
        for name, uri in addresses.items()
        if before.get(name, uri) != uri
    }
    if not moved:
        return params
    be = "is" if len(moved) == 1 else "are"
    why = f"`perennial init`: {', '.join(moved)} {be} at another address now"
    line = f"  withdrawn_accepted: '{decision(list(moved.values()))}'  # {why}\n"
    return params.replace("discover:\n", f"discover:\n{line}", 1)


def answer_before(origin: Path, uri: str) -> SourceAnswer:
    """What people have said of this address before, as params.yaml states it: layout with splits, and subjects."""
    answer = SourceAnswer()
    for earlier in earlier_sources(origin / "params.yaml"):
        source = earlier.content
        if earlier.uri != uri:
            continue
        splits, layout = source.get("splits"), source.get("layout")
        if isinstance(splits, dict) and layout in {"auto", *LAYOUTS}:
            stated = {str(folder): str(split) for folder, split in splits.items()}
            answer = replace(answer, layout=str(layout), splits=stated, sets_aside=False)
        answer = _patterns_before(answer, source)
        if source.get("labels"):
            answer = replace(answer, labels=_labels_before(source["labels"], origin))
        elif "labels" in source and layout != "flat":
            answer = replace(answer, labels=NO_LABELS)
        if "subject_from" in source:
            answer = replace(answer, subject_from=str(source["subject_from"] or DECLINED))
    return answer


def _patterns_before(answer: SourceAnswer, source: Mapping[str, Any]) -> SourceAnswer:
    """The patterns that params.yaml states. A depth alone says nothing: `init` writes it for any folder above others."""
    class_from, split_from = source.get("class_from"), source.get("split_from")
    include, exclude = source.get("include") or (), source.get("exclude") or ()
    if not (class_from or split_from or include or exclude or answer.layout):
        return answer
    return replace(
        answer,
        depth=source.get("depth") if answer.layout or class_from or split_from else None,
        class_from=class_from,
        split_from=split_from,
        include=tuple(map(str, include)),
        exclude=tuple(map(str, exclude)),
        sets_aside=answer.sets_aside and not exclude,
    )


def _labels_before(stated: Any, origin: Path) -> LabelsFile | None:
    """None for a file that is not there any more: the labels are looked for anew."""
    labels = _stated(stated)
    if labels is None or labels.file is None or "://" in labels.file:
        return labels
    return labels if (origin / Path(labels.file).expanduser()).exists() else None


def _stated(labels: Any) -> LabelsFile | None:
    try:
        return LabelsFile.model_validate({"file": labels} if isinstance(labels, str) else labels)
    except ValueError:  # it is about to be written anew
        return None


def renewals(origin: Path, data: NewData) -> list[Renewal]:
    """The files of curation/ that speak of earlier data, and a datasheet where there is none."""
    each = (
        _datasheet(origin, data),
        _overrides(origin, data),
        _groups(origin, data),
        _class_words(origin, data),
    )
    return [renewal for renewal in each if renewal]


def no_longer_read(earlier: Sequence[EarlierSource], now: Sequence[Source]) -> list[str]:
    """The labels, votes and subjects of sources before that none names any more."""
    named: list[object] = [
        one for source in now for one in (source.labels_stated, source.votes, source.subjects)
    ]
    gone = [
        (one, key)
        for one in earlier
        for key in ("labels", "votes", "subjects")
        if (stated := one.content.get(key))
        and (_stated(stated) if key == "labels" else stated) not in named
    ]
    return [f"{one.content[key]} ({key} of {one.name})" for one, key in gone]


def _classes_before(origin: Path) -> frozenset[str]:
    """Those of the last run and of the datasheet."""
    _, rows = _rows(origin / LAST_CLASSES)
    _, named = _named_in_datasheet(origin / DATASHEET)
    return frozenset([*named, *(row[1] for row in rows if len(row) > 1)])


def _datasheet(origin: Path, data: NewData) -> Renewal | None:
    path = origin / DATASHEET
    fresh = fresh_about(data.addresses, data.classes)
    if not path.exists():
        return Renewal(DATASHEET, fresh, "there was none")
    text = path.read_bytes()
    if text == fresh.encode():
        return None
    addresses, classes = _named_in_datasheet(path)
    if text == fresh_about(addresses, classes).encode():
        return Renewal(
            DATASHEET, fresh, "nobody had filled it in, and it was of other sources or classes"
        )
    if any(addresses.get(name) == uri for name, uri in data.addresses.items()):
        return None
    if hashlib.sha256(text).hexdigest() in DEMO_DATASHEETS:
        return Renewal(DATASHEET, fresh, "it was the demo's")
    if not data.is_new and addresses.keys() & data.addresses.keys():
        return None  # of another address: a release asks for it
    return Renewal(
        DATASHEET,
        fresh,
        "it was of earlier data",
        f"of {', '.join(addresses) or 'unknown sources'}",
    )


def _named_in_datasheet(path: Path) -> tuple[dict[str, str], list[str]]:
    """Sources with their addresses, and classes; none of what is malformed or a placeholder."""
    try:
        content = read_yaml(path)
    except ConfigError:
        return {}, []
    licences, classes = content.get("licences"), content.get("classes")
    entries = licences.items() if isinstance(licences, dict) else ()
    addresses = {
        str(name): str(entry.get("uri", "")) for name, entry in entries if isinstance(entry, dict)
    }
    names = [str(name) for name in classes] if isinstance(classes, list) else []
    return addresses, [name for name in names if not name.startswith(TODO)]


def _overrides(origin: Path, data: NewData) -> Renewal | None:
    """Of earlier data when the data are new, or when every line names an image of a source that is no more."""
    header, rows = _rows(origin / OVERRIDES)
    ids = [row[1] if row[:1] == ["image_id"] and row[1:] else None for row in rows]
    return _of_images(OVERRIDES, header, ids, data)


def _groups(origin: Path, data: NewData) -> Renewal | None:
    """As for overrides; the columns go too, which were words about earlier data."""
    header, rows = _rows(origin / GROUPS)
    by_id = header.partition(",")[0].strip() == "image_id"
    return _of_images(GROUPS, "image_id\n", [row[0] if by_id else None for row in rows], data)


def _of_images(file: str, fresh: str, ids: Sequence[str | None], data: NewData) -> Renewal | None:
    """Lines about images. ids: of each line its image_id, None where it names the image otherwise."""
    before = () if data.is_new else (one.name for one in data.earlier)
    names = {*data.addresses, *before}
    all_strange = all(one is not None and one.partition("/")[0] not in names for one in ids)
    if not ids or not (all_strange or (data.is_new and data.earlier)):
        return None
    n_lines = f"{len(ids)} line{'s' if len(ids) > 1 else ''}"
    return Renewal(file, fresh, "it was of earlier data", n_lines)


def _class_words(origin: Path, data: NewData) -> Renewal | None:
    """Of earlier data when not one of the classes surveyed is in it; empty, when the source has names or parents."""
    header, rows = _rows(origin / CLASSES)
    fresh = lines_of_words(data.words) if data.words else header
    if not rows and data.words:
        return Renewal(
            CLASSES, fresh, f"{len(data.words)} classes with what the source says of them"
        )
    if not (rows and data.is_new and data.classes) or data.classes & {row[0] for row in rows}:
        return None
    n_classes = f"{len(rows)} class{'es' if len(rows) > 1 else ''}"
    return Renewal(CLASSES, fresh, "none of its classes is in this data", n_classes)


def _rows(path: Path) -> tuple[str, list[list[str]]]:
    """The first line, and the cells of each that says something; none where the file is absent."""
    text = path.read_text(encoding="utf-8-sig", errors="replace") if path.exists() else ""
    header, _, rest = text.partition("\n")
    rows = [[cell.strip() for cell in cells] for cells in csv.reader(io.StringIO(rest))]
    return header.rstrip("\r") + "\n", [
        row for row in rows if any(row) and not row[0].startswith("#")
    ]


def free_name(source: str, is_taken: Callable[[str], bool]) -> str:
    """The source's name as a model's, with a number behind it when models of that name are registered already."""
    name = source.replace("_", "-")
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(one for one in names if not is_taken(one))


def is_our_line(settings: str) -> bool:
    """Whether it was `init` that named the model in settings.toml, and not a person."""
    return bool(OURS.search(settings))


def with_model_name(settings: str, name: str, source: str) -> str:
    """The text of settings.toml with the name in a line of our own, in place of the one before."""
    kept = OURS.sub("", settings)
    end = "" if kept.endswith("\n") or not kept else "\n"
    return f'{kept}{end}model_name = "{name}"  {MARK} {source}\n'
