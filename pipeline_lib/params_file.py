"""Read sections of params.yaml into their frozen models, reporting every mistake at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline_lib.errors import ConfigError
from pipeline_lib.files.yaml_files import read_yaml


class Params(BaseModel):
    """The base of every section: frozen, and unknown keys are mistakes. Fields hold type, bounds, unit and meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    GONE: ClassVar[Mapping[str, str]] = {}  # key of an earlier version -> what to set in its place
    DEFAULTS_IN_WORDS: ClassVar[
        Mapping[str, str]
    ] = {}  # key -> where its default comes from, if from elsewhere


Section = TypeVar("Section", bound=BaseModel)


def load_section(path: Path, name: str, model: type[Section]) -> Section:
    """Read one section of params.yaml. Raises ConfigError naming the file and each wrong key with its value."""
    content = read_yaml(path)
    return parse(path, {name: content.get(name)} if name in content else {}, {name: model})[name]


def parse(
    path: Path, content: dict[str, Any], models: dict[str, type[Section]]
) -> dict[str, Section]:
    """Check all sections against their models. Raises one ConfigError with every fault."""
    faults: list[str] = [
        _unknown(name, list(models), "section") for name in content if name not in models
    ]
    sections: dict[str, Section] = {}
    for name, model in models.items():
        if name not in content:
            faults.append(f"{name}: the section is missing")
            continue
        try:
            sections[name] = model.model_validate(content[name] or {})
        except ValidationError as error:
            faults += [_describe(name, fault, model) for fault in error.errors()]
    if faults:
        count = f"{len(faults)} wrong parameter{'s' if len(faults) > 1 else ''}"
        remedy = "fix these keys; docs/parameters.md lists every key with its bounds"
        raise ConfigError(count, file=path, value="; ".join(faults), remedy=remedy)
    return sections


def _describe(section: str, fault: Any, model: type[BaseModel]) -> str:
    key = ".".join([section, *map(str, fault["loc"])])
    if fault["type"] == "extra_forbidden":
        if instead := getattr(model, "GONE", {}).get(fault["loc"][-1]):
            return f"{key} no longer exists: {instead}"
        return _unknown(key, [f"{section}.{name}" for name in model.model_fields], "key")
    if fault["type"] == "missing":
        return f"{key}: missing"
    said = str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "literal_error":
        near = difflib.get_close_matches(
            str(fault["input"]), re.findall("'([^']+)'", fault["ctx"]["expected"]), n=1
        )
        said += f"; nearest is {near[0]}" if near else ""
    is_of_several = fault["type"] == "value_error" and isinstance(
        fault["input"], dict
    )  # a rule about keys that do not go together: it names them
    return f"{key}: {said}" if is_of_several else f"{key} = {fault['input']!r}: {said}"


def _unknown(name: str, known: list[str], kind: str) -> str:
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
    return f"{name}: no such {kind}" + (f", nearest is {near[0]}" if near else "")
