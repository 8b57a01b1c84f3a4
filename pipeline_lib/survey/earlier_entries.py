"""The entries of discover.sources in params.yaml, with their text: `init` keeps those it was not asked about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline_lib.errors import ConfigError
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.sources.source import Source
from pipeline_lib.survey.answers import NO_LABELS, SourceAnswer
from pipeline_lib.survey.subjects import DECLINED

INDENT = 4  # of an entry in the text that `init` writes
# What no survey tells of a source.
BY_HAND = (
    "split",
    "votes",
    "subjects",
    "class_map",
    "other_classes",
    "restrict_to_its_classes",
)


@dataclass(frozen=True)
class EarlierSource:
    """content: the entry as it is read, which may be wrong. text: its lines, comments included, as `init` indents them."""

    content: Mapping[str, Any]
    text: str

    @property
    def name(self) -> str:
        return str(self.content.get("name"))

    @property
    def uri(self) -> str:
        return str(self.content.get("uri"))

    @property
    def role(self) -> str | None:
        """None for labelled images."""
        return self.content.get("role")

    @property
    def in_words(self) -> str:
        """Name, address and role."""
        return f"{self.name} ({', '.join(filter(None, (self.uri, self.role)))})"

    def by_hand(self, *, subjects_told: bool) -> dict[str, Any]:
        """The keys that a person wrote and that no survey tells. subjects_told: it did tell the subjects."""
        told = {"subjects"} if subjects_told else set()
        return {
            key: self.content[key]
            for key in BY_HAND
            if key not in told and self.content.get(key) is not None
        }


def earlier_sources(params: Path) -> tuple[EarlierSource, ...]:
    """The sources of params.yaml; none of a file that is absent or not read: it is about to be written anew."""
    try:
        sources = (read_yaml(params).get("discover") or {}).get("sources") or ()
    except (ConfigError, AttributeError):
        return ()
    if not isinstance(sources, list):
        return ()
    texts = _texts(params.read_text(encoding="utf-8"), len(sources))
    return tuple(
        EarlierSource(content, _faithful(text, content))
        for content, text in zip(sources, texts, strict=True)
        if isinstance(content, dict)
    )


def _texts(text: str, n_sources: int) -> list[str]:
    """The lines of each entry; "" where they are not a block of lines."""
    lines = text.splitlines()
    entries = YAML(typ="rt", pure=True).load(text)["discover"]["sources"]
    starts = [entries.lc.data[number][0] for number in range(n_sources)]
    return [
        _block(lines[start:end])
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)
    ]


def _block(lines: list[str]) -> str:
    """The first lines, as far as they belong to one entry, at our indentation."""
    first = lines[0] if lines else ""
    column = len(first) - len(first.lstrip())
    if not first.lstrip().startswith("- "):
        return ""
    taken = [first]
    for line in lines[1:]:
        is_deeper = len(line) - len(line.lstrip()) > column
        if line.strip() and not is_deeper:
            break
        taken.append(line)
    while not taken[-1].strip():
        taken.pop()
    return "".join(f"{' ' * INDENT}{line[column:]}".rstrip() + "\n" for line in taken)


def _faithful(text: str, content: Mapping[str, Any]) -> str:
    """The text if it says what the entry says, else the entry written anew."""
    if text and YAML(typ="safe", pure=True).load(text) == [content]:
        return text
    pairs = [
        f"{key}: {json.dumps(value, ensure_ascii=False, default=str)}"
        for key, value in content.items()
    ]
    space = " " * INDENT
    return f"{space}- {pairs[0]}\n" + "".join(f"{space}  {pair}\n" for pair in pairs[1:])


def answer_of(source: Source) -> SourceAnswer:
    """All that a source says of how its names are read, so that nothing is asked."""
    return SourceAnswer(
        layout=None if source.layout == "auto" else source.layout,
        splits=source.splits,
        labels=source.labels_stated or NO_LABELS,
        subject_from=source.subject_from or DECLINED,
        depth=source.depth,
        class_from=source.class_from,
        split_from=source.split_from,
        include=source.include,
        exclude=source.exclude,
        sets_aside=False,
    )


def unlabelled_answer(before: SourceAnswer) -> SourceAnswer:
    """What is said of images without a class. before: as params.yaml has the source."""
    return SourceAnswer(
        layout="flat",
        labels=NO_LABELS,
        subject_from=DECLINED,
        include=before.include,
        exclude=before.exclude,
        sets_aside=before.sets_aside,
    )
