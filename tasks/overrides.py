"""Values set for one run only: `train.epochs=2` on the command line, or a field of the Prefect form."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline_lib.atomic_files import write_text
from pipeline_lib.errors import UsageError
from pipeline_lib.yaml_files import read_yaml


def parse_overrides(arguments: list[str]) -> dict[str, Any]:
    """`["train.epochs=2"]` -> `{"train": {"epochs": 2}}`; values are YAML. Raises UsageError.

    Null is refused: in the flow's form it means that a field was left alone.
    """
    overrides: dict[str, Any] = {}
    for argument in arguments:
        key, sign, text = argument.partition("=")
        *path, last = key.split(".")
        if not (sign and path and all(path) and last):
            remedy = "write section.key=value, as in `--set train.epochs=2`; `perennial params` lists the keys"
            raise UsageError("not an override", file="--set", value=argument, remedy=remedy)
        below = overrides
        for step in path:
            below = below.setdefault(step, {})
        below[last] = _value(argument, text)
    return overrides


def apply_overrides(params: Path, overrides: dict[str, Any]) -> None:
    """Set values in params.yaml, keeping its comments and order. Whether they are allowed is for the models to say."""
    if not overrides:
        return
    read_yaml(params)  # for its words, should the file be absent or broken
    yaml = YAML()
    yaml.preserve_quotes = True
    content = yaml.load(params)
    merge(content, overrides)
    text = StringIO()
    yaml.dump(content, text)
    write_text(params, text.getvalue())


def flat(overrides: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"train": {"epochs": 2}}` -> `{"train.epochs": 2}`."""
    values: dict[str, Any] = {}
    for key, value in overrides.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return values


def merge(content: Any, overrides: dict[str, Any]) -> None:
    """Set the overrides in the content of params.yaml, in place."""
    for key, value in overrides.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            merge(content[key], value)
        else:
            content[key] = value


def _value(argument: str, text: str) -> Any:
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        remedy = "quote it for the shell, as in `--set 'train.name=\"a: b\"'`"
        raise UsageError("the value is not YAML", file="--set", value=argument, remedy=remedy) from error
    if value is None:
        remedy = "set it to null in params.yaml; a run takes your uncommitted edits in"
        raise UsageError("null cannot be set for one run", file="--set", value=argument, remedy=remedy)
    return value
