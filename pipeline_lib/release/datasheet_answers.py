"""curation/datasheet.yaml: what only people know of the data. No stage reads it, so an edit re-runs nothing.

It names the sources and classes it speaks of, so that a release of other data under its words is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.params_file import Params

QUESTIONS = {  # of Gebru et al., "Datasheets for Datasets", CACM 64(12), 2021, that no table of the line answers
    "purpose": "For what purpose was the dataset created?",
    "funding": "Who created and funded it?",
    "represents": "What do the images show, and of what larger set are they a sample?",
    "confidential": "Might anything be confidential, offensive or sensitive?",
    "people": "Does it show people? Can they be identified?",
    "acquired": "How were the images acquired, by whom, and over what time?",
    "consent": "Were those shown told, and did they consent? Can they withdraw?",
    "ethics": "Was there an ethical review?",
    "uses": "For which tasks has it been used, and for which could it be?",
    "not_for": "For which tasks should it not be used?",
    "distribution": "How will it be distributed, and under which terms?",
    "maintenance": "Who maintains it, and how can they be reached?",
}
TODO = "TODO:"  # how every placeholder of the fresh file begins
SHOWN = 5  # classes in a message
WIDTH = 120
TEMPLATE = """\
# What only people know of the data; `perennial dataset release NAME` puts it into the datasheet (docs/releases.md).
# Started by `perennial init`; a release is refused until each TODO is replaced by what is true.
title: "TODO: the name of the dataset"
description: "TODO: what the images show, and where they come from"
url: "TODO: where the dataset is described"
creators:
  - "TODO: who made it"
licences: # one entry for each source of params.yaml
{licences}classes: {classes}
answers: # what is absent is shown as not answered
{questions}"""
LICENCE = """\
  {name}:
    uri: {uri}
    name: "TODO: SPDX identifier, or the name of the terms"
    url: "" # where the terms can be read
    note: "" # what has to be observed
"""


class Licence(Params):
    """The terms of one source."""

    uri: str = Field(min_length=1, description="address of the source, as in params.yaml")
    name: str = Field(min_length=1, description="SPDX identifier or the name of the terms")
    url: str = Field("", description="where the terms can be read")
    note: str = Field(
        "", description="what has to be observed: attribution, non-commercial use, ..."
    )


class About(Params):
    """The content of the file. licences: by source, as named in params.yaml. answers: by key of QUESTIONS.

    classes: class_id of every class of the data, in any order, after renames and merges.
    """

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    url: str = Field(min_length=1, description="where the dataset is described")
    creators: tuple[str, ...] = Field(min_length=1)
    licences: dict[str, Licence]
    classes: tuple[str, ...] = Field(min_length=1)
    # `answers:` with nothing but comments below it is null
    answers: Annotated[dict[str, str], BeforeValidator(lambda answers: answers or {})] = Field(
        default_factory=dict
    )


def read_about(file: Path, sources: Mapping[str, str]) -> About:
    """Read the file. sources: name -> address of the data to be released.

    Raises ConfigError for wrong keys and for placeholders, BadData when it speaks of other sources.
    """
    remedy = "docs/releases.md shows the file"
    content = read_yaml(file)
    if left := list(_placeholders(content)):
        what, answer = (
            "it still has the placeholders that it was started with",
            "replace each TODO by what is true",
        )
        raise ConfigError(what, file=file, value=", ".join(left), remedy=f"{answer}; {remedy}")
    try:
        about = About.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError(
            "wrong keys or values", file=file, value="; ".join(faults), remedy=remedy
        ) from error
    unknown = sorted(set(about.answers) - set(QUESTIONS))
    if unknown:
        raise ConfigError("no such questions", file=file, value=", ".join(unknown), remedy=remedy)
    _refuse_other_sources(about, file, sources)
    return about


def check_classes(about: About, file: Path, classes: Iterable[str]) -> None:
    """Raise BadData when the file names other classes than the data have. classes: class_id of each."""
    known, named = set(classes), set(about.classes)
    found = [("the data have", sorted(known - named)), ("it names", sorted(named - known))]
    differences = [f"{of} {_some(names)}" for of, names in found if names]
    if differences:
        what = "its classes are not those of this data"
        remedy = "describe this data in it: `classes` as in line/curate/classes.csv, and the words that go with them"
        raise BadData(what, file=file, value="; ".join(differences), remedy=remedy)


def _refuse_other_sources(about: About, file: Path, sources: Mapping[str, str]) -> None:
    silent = sorted(set(sources) - set(about.licences))
    strange = sorted(set(about.licences) - set(sources))
    moved = sorted(
        name
        for name in set(sources) & set(about.licences)
        if about.licences[name].uri != sources[name]
    )
    if strange or moved:
        others = [f"{name} at {about.licences[name].uri}" for name in (*strange, *moved)]
        these = ", ".join(f"{name} at {sources[name]}" for name in sorted(sources))
        what = f"it speaks of other sources than this data's ({these})"
        remedy = "describe this data in it, with name and uri of each source under `licences` as in params.yaml"
        raise BadData(what, file=file, value=", ".join(others), remedy=remedy)
    if silent:
        remedy = "add uri, name, url and note of each source's terms under `licences`"
        raise BadData(
            "sources without a licence note", file=file, value=", ".join(silent), remedy=remedy
        )


def _placeholders(content: Any, place: str = "") -> Iterator[str]:
    """Where a placeholder stands: licences.photos.name, say."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield from _placeholders(value, f"{place}.{key}" if place else str(key))
    elif isinstance(content, list):
        for value in content:
            yield from _placeholders(value, place)
    elif isinstance(content, str) and content.startswith(TODO):
        yield place


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def fresh_about(sources: Mapping[str, str], classes: Iterable[str]) -> str:
    """The text of the file. sources: name -> address, as in params.yaml. classes: class_id of each, none if unknown."""
    return TEMPLATE.format(
        licences="".join(
            LICENCE.format(name=_scalar(name), uri=_scalar(uri)) for name, uri in sources.items()
        ),
        classes=_list(
            sorted(classes) or [f"{TODO} the classes, as line/curate/classes.csv names them"]
        ),
        questions="".join(f"  # {key}: {question}\n" for key, question in QUESTIONS.items()),
    )


def _scalar(text: str) -> str:
    """As JSON, which YAML reads: a source called 007 or a class called no stays what it is."""
    return json.dumps(text, ensure_ascii=False)


def _list(names: list[str]) -> str:
    """On one line where that is short, else on lines of WIDTH."""
    cells = [_scalar(name) for name in names]
    line = f"[{', '.join(cells)}]"
    if len(line) <= WIDTH - len("classes: "):
        return line
    rows: list[str] = []
    for cell in cells:
        if rows and len(rows[-1]) + len(f" {cell},") <= WIDTH:
            rows[-1] += f" {cell},"
        else:
            rows.append(f"    {cell},")
    return "\n".join(["[", *rows, "  ]"])
