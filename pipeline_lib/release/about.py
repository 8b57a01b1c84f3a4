"""curation/datasheet.yaml: what only people know of the data. No stage reads it, so an edit re-runs nothing."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import Field, ValidationError

from pipeline_lib.errors import BadData, ConfigError
from pipeline_lib.params_file import Params
from pipeline_lib.yaml_files import read_yaml

QUESTIONS = {  # of Gebru et al., "Datasheets for Datasets", CACM 64(12), 2021, that no table of the line answers
    "purpose": "For what purpose was the dataset created?",
    "funding": "Who created and funded it?",
    "represents": "What do the pictures show, and of what larger set are they a sample?",
    "confidential": "Might anything be confidential, offensive or sensitive?",
    "people": "Does it show people? Can they be identified?",
    "acquired": "How were the pictures acquired, by whom, and over what time?",
    "consent": "Were those shown told, and did they consent? Can they withdraw?",
    "ethics": "Was there an ethical review?",
    "uses": "For which tasks has it been used, and for which could it be?",
    "not_for": "For which tasks should it not be used?",
    "distribution": "How will it be distributed, and under which terms?",
    "maintenance": "Who maintains it, and how can they be reached?",
}


class Licence(Params):
    """The terms of one source."""

    name: str = Field(min_length=1, description="SPDX identifier or the name of the terms")
    url: str = Field("", description="where the terms can be read")
    note: str = Field("", description="what has to be observed: attribution, non-commercial use, ...")


class About(Params):
    """The content of the file. licences: by source, as named in params.yaml. answers: by key of QUESTIONS."""

    title: str = Field(min_length=1)
    description: str = Field(min_length=1)
    url: str = Field(min_length=1, description="where the dataset is described")
    creators: tuple[str, ...] = Field(min_length=1)
    licences: dict[str, Licence]
    answers: dict[str, str] = Field(default_factory=dict)


def read_about(file: Path, sources: Iterable[str]) -> About:
    """Read the file. Raises ConfigError for wrong keys, BadData when a source has no licence note."""
    remedy = "docs/releases.md shows the file"
    content = read_yaml(file)
    try:
        about = About.model_validate(content)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError("wrong keys or values", file=file, value="; ".join(faults), remedy=remedy) from error
    unknown = sorted(set(about.answers) - set(QUESTIONS))
    if unknown:
        raise ConfigError("no such questions", file=file, value=", ".join(unknown), remedy=remedy)
    silent = sorted(set(sources) - set(about.licences))
    if silent:
        remedy = "add name, url and note of each source's terms under `licences`"
        raise BadData("sources without a licence note", file=file, value=", ".join(silent), remedy=remedy)
    return about
