"""The entries of discover.sources that `perennial init` writes, one for each source that it surveyed."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from ruamel.yaml import YAML

from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.safe_text import visible
from pipeline_lib.sources.roles import Role
from pipeline_lib.sources.schemes import scheme_of
from pipeline_lib.sources.source import Source
from pipeline_lib.survey.look import Survey
from pipeline_lib.survey.subjects import NO_SUBJECTS

LABELS = "      labels: null  # no class folders: name a CSV with the columns filename,label (docs/labels.md)\n"
VOTES = "      votes: null  # or what several people said: member,annotator,label\n"
LAYOUT = "  # what was recognised, or said; docs/parameters.md has the others"
SAID_OF_ROLES = {
    "unlabelled": "no class is read; they wait in the review queue (docs/operations.md)",
    "test": "an extra test set, scored apart and never trained on (docs/shift.md)",
}


@dataclass(frozen=True)
class SurveyedSource:
    """A source and what it holds. role: None for labelled images.

    carried: keys of its entry in params.yaml until now that no survey tells, such as its votes: they stay.
    """

    name: str
    found: Survey
    role: Role | None = None
    carried: Mapping[str, Any] = field(default_factory=dict)

    @property
    def entry(self) -> str:
        """Its lines in params.yaml."""
        head = f"    - name: {self.name}\n      uri: {quoted(self.found.uri)}\n"
        kept = "".join(
            f"      {key}: {json.dumps(value, ensure_ascii=False)}  # as before\n"
            for key, value in self.carried.items()
        )
        if self.role is None:
            layout = f"      layout: {self.found.keys.layout}{LAYOUT}\n"
            return head + layout + _more(self.found, self.carried) + kept
        head += f"      role: {self.role}  # {SAID_OF_ROLES[self.role]}\n"
        if self.role == "unlabelled":
            return head + _patterns_in_params(self.found) + kept
        layout = f"      layout: {self.found.keys.layout}\n{reading_in_params(self.found)}"
        if self.found.labels:
            layout += f"      labels: {labels_in_params(self.found.labels)}\n"
        return head + layout + kept

    @property
    def source(self) -> Source:
        """The entry as it will be read. Raises ValueError for a name that no source may have."""
        (content,) = YAML(typ="safe", pure=True).load(self.entry)
        return Source.model_validate(content)


def pooled(sources: Sequence[SurveyedSource]) -> Survey:
    """What the sources hold together, as one survey; classes of the same name are one class."""
    if len(sources) == 1:
        return sources[0].found
    found = [one.found for one in sources]
    words = {word.class_id: word for one in reversed(found) for word in one.words}
    return replace(
        found[0],
        uri=", ".join(one.uri for one in found),
        n_images=sum(one.n_images for one in found),
        size_bytes=sum(one.size_bytes for one in found),
        is_complete=all(one.is_complete for one in found),
        classes=tuple(sorted(_summed(one.classes for one in found))),
        splits=tuple(_summed(one.splits for one in found)),
        formats=tuple(_summed(one.formats for one in found)),
        short_sides_px=tuple(sorted(chain.from_iterable(one.short_sides_px for one in found))),
        samples=tuple(chain.from_iterable(one.samples for one in found)),
        class_of={},
        split_of={},
        subjects=NO_SUBJECTS,
        words=tuple(sorted(words.values(), key=lambda word: word.class_id)),
    )


def _summed(counts: Iterable[Sequence[tuple[str, int]]]) -> list[tuple[str, int]]:
    total: Counter[str] = Counter()
    for one in counts:
        total.update(dict(one))
    return total.most_common()


def _more(survey: Survey, carried: Mapping[str, Any]) -> str:
    """What a person answered, or must still say, of classes and splits."""
    lines = reading_in_params(survey)
    if survey.labels:
        columns = visible(" ".join(survey.columns.split()))  # one line: a comment ends with it
        lines += f"      labels: {labels_in_params(survey.labels)}  # {columns}\n"
    elif survey.labels_declined and survey.classes:
        lines += "      labels: null  # a person said that the folders tell the classes\n"
    if survey.subjects.taken:
        taken = survey.subjects.taken
        why = f"{taken.n_subjects} subjects, none of which spans two splits"
        lines += f"      subject_from: {quoted(taken.subject_from)}  # {why}\n"
    elif survey.subjects.declined:
        lines += "      subject_from: null  # a person said that no two images show one subject\n"
    if survey.classes:
        return lines
    return lines + (LABELS if carried.get("votes") else LABELS + VOTES)


def reading_in_params(survey: Survey) -> str:
    """Lines of a source: how names are read, and which are left out."""
    keys, lines = survey.keys, ""
    if keys.splits is not None:
        splits = ", ".join(f"{quoted(folder)}: {split}" for folder, split in keys.splits.items())
        why = "which folders are splits; others have no class" if splits else "no folder is a split"
        lines += f"      splits: {{{splits}}}  # {why}\n"
    if keys.depth:
        above = "folder" if keys.depth == 1 else "folders"
        lines += f"      depth: {keys.depth}  # {above} above the first that tells\n"
    if keys.class_from:
        lines += (
            f"      class_from: {quoted(keys.class_from)}  # what the class is called in a name\n"
        )
    if keys.split_from:
        lines += (
            f"      split_from: {quoted(keys.split_from)}  # what the split is called in a name\n"
        )
    return lines + _patterns_in_params(survey)


def _patterns_in_params(survey: Survey) -> str:
    keys, lines = survey.keys, ""
    if keys.include:
        lines += (
            f"      include: [{', '.join(map(quoted, keys.include))}]  # nothing else is taken\n"
        )
    if keys.exclude:
        n_files = sum(one.n_files for one in survey.left_out)
        lines += f"      exclude: [{', '.join(map(quoted, keys.exclude))}]  # files left out: {n_files}\n"
    return lines


def labels_in_params(stated: LabelsFile) -> str:
    """The value of `labels`: a path where that says all."""
    told = stated.model_dump(exclude_defaults=True)
    if set(told) == {"file"}:
        return quoted(told["file"])
    return _flow(told)


def _flow(value: Any) -> str:
    """YAML on one line."""
    if isinstance(value, dict):
        pairs = (f"{quoted(key)}: {_flow(one)}" for key, one in value.items())
        return "{" + ", ".join(pairs) + "}"
    return (
        f"[{', '.join(map(quoted, value))}]" if isinstance(value, (list, tuple)) else quoted(value)
    )


def quoted(text: str) -> str:
    """A YAML scalar: plain where that is safe, else as JSON, which YAML reads."""
    path = text.removeprefix(f"{scheme_of(text)}://")
    is_plain = text.isascii() and all(letter.isalnum() or letter in "/._-" for letter in path)
    return text if is_plain and text[0] not in "-." and not text[0].isdigit() else json.dumps(text)
