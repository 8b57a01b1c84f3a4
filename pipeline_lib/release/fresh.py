"""The curation/datasheet.yaml that `perennial init` starts: what it can know filled in, the rest as placeholders."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from pipeline_lib.release.about import QUESTIONS, TODO

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


def fresh_about(sources: Mapping[str, str], classes: Iterable[str]) -> str:
    """The text of the file. sources: name -> address, as in params.yaml. classes: class_id of each, none if unknown."""
    return TEMPLATE.format(
        licences="".join(LICENCE.format(name=_scalar(name), uri=_scalar(uri)) for name, uri in sources.items()),
        classes=_list(sorted(classes) or [f"{TODO} the classes, as line/curate/classes.csv names them"]),
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
