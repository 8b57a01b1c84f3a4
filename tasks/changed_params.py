"""Parameters changed for one run only: `train.epochs=2` on the command line, or a field of the Prefect form."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from pipeline_lib.errors import UsageError
from pipeline_lib.files.atomic import write_text
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.params import check_params


def parse_changes(arguments: list[str]) -> dict[str, Any]:
    """Parse `["train.epochs=2"]` into `{"train": {"epochs": 2}}`; values are YAML. Raises UsageError.

    Null is refused: in the flow's form it stands for an untouched field.
    """
    return _nested({key: _value(argument, text) for argument, key, text in _split(arguments)})


def parse_grid(arguments: list[str]) -> list[dict[str, Any]]:
    """Parse `["train.epochs=2,4", "train.seed=0,1"]` into all four combinations; the last key varies fastest.

    Commas separate values as in a YAML list and in `dvc exp run -S`; a repeated value counts once. Raises UsageError,
    also for fewer than two combinations.
    """
    given = {key: _value(argument, f"[{text}]") for argument, key, text in _split(arguments)}
    values = {
        key: [one for at, one in enumerate(those) if one not in those[:at]]
        for key, those in given.items()
    }
    for key, choices in values.items():
        if None in choices:
            raise _null(f"{key}={choices}")
    grid = [
        _nested(dict(zip(values, chosen, strict=True)))
        for chosen in itertools.product(*values.values())
    ]
    if len(grid) < 2:
        remedy = "give a key several values, as in `--set train.peak_learning_rate=0.02,0.05,0.1`, or use `perennial run`"
        raise UsageError(
            "nothing to compare", file="--set", value=" ".join(arguments) or "no key", remedy=remedy
        )
    return grid


def check_changes(params: Path, changes: dict[str, Any]) -> None:
    """Raise ConfigError if params.yaml would be invalid with these values; nothing is written."""
    content = read_yaml(params)
    merge(content, changes)
    check_params(params, content)


def split_changes(params: Path, changes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split into values that change params.yaml, and (flat) those that repeat params.yaml or a default."""
    if not changes:
        return {}, {}
    content = read_yaml(params)
    now = flat(check_params(params, content).model_dump(mode="json", by_alias=True))
    merge(content, changes)
    wished = flat(check_params(params, content).model_dump(mode="json", by_alias=True))
    given = flat(changes)
    missing = object()
    repeated = {
        key: value for key, value in given.items() if wished.get(key, missing) == now.get(key, None)
    }
    return _nested({key: value for key, value in given.items() if key not in repeated}), repeated


def apply_changes(params: Path, changes: dict[str, Any]) -> None:
    """Set values in params.yaml, keeping its comments and order. The values are checked elsewhere."""
    if not changes:
        return
    read_yaml(params)  # for its error message if the file is missing or invalid
    yaml = YAML()
    yaml.preserve_quotes = True
    content = yaml.load(params)
    merge(content, changes)
    text = StringIO()
    yaml.dump(content, text)
    write_text(params, text.getvalue())


def flat(changes: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten `{"train": {"epochs": 2}}` into `{"train.epochs": 2}`."""
    values: dict[str, Any] = {}
    for key, value in changes.items():
        values |= (
            flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
        )
    return values


def merge(content: Any, changes: dict[str, Any]) -> None:
    """Set the values in the content of params.yaml, in place."""
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(content.get(key), dict):
            merge(content[key], value)
        else:
            content[key] = value


def _split(arguments: list[str]) -> Iterator[tuple[str, str, str]]:
    """Yield each argument with its key and the text of its value."""
    for argument in arguments:
        key, sign, text = argument.partition("=")
        if not (sign and "." in key and all(key.split("."))):
            remedy = "write section.key=value, as in `--set train.epochs=2`; `perennial params` lists the keys"
            raise UsageError(
                "not a parameter with a value", file="--set", value=argument, remedy=remedy
            )
        yield argument, key, text


def _nested(values: dict[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for key, value in values.items():
        *path, last = key.split(".")
        below = changes
        for step in path:
            below = below.setdefault(step, {})
        below[last] = value
    return changes


def _value(argument: str, text: str) -> Any:
    try:
        value = YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        remedy = "quote it for the shell, as in `--set 'train.weights=\"a: b\"'`"
        raise UsageError(
            "the value is not YAML", file="--set", value=argument, remedy=remedy
        ) from error
    if value is None:
        raise _null(argument)
    return value


def _null(argument: str) -> UsageError:
    remedy = "set it to null in params.yaml; a run includes your uncommitted edits"
    return UsageError("null cannot be set for one run", file="--set", value=argument, remedy=remedy)
