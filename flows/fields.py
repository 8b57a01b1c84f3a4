"""Describe the fields of a Pydantic model in plain text, with values written as in YAML."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

WIDTH = 110
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
NAMES = {type(None): "null", str: "text", Any: "any value"}


def key_lines(
    model: Any,
    *,
    prefix: str,
    present: Mapping[str, Any],
    otherwise: Mapping[str, Any] | None = None,
) -> list[str]:
    """Describe each field in two or more lines: value, type and default, and below them its meaning.

    The first line reads `train.epochs = null   (int ≥ 1 ≤ 1000 or null, default null)`.

    present: the values that the file sets; nested models are described field by field. otherwise: the values of
    missing or null keys that differ from the model's own defaults.
    """
    lines: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines += key_lines(
                field.annotation, prefix=f"{prefix}{name}.", present=present.get(name) or {}
            )
            continue
        value = present.get(name)
        said = ""
        if value is None and name in (otherwise or {}):
            value, said = (otherwise or {})[name], ", by default"
        elif name not in present:
            value = "?" if field.is_required() else _default(field)
        default = "required" if field.is_required() else f"default {default_of(model, name)}"
        lines.append(f"{prefix}{name} = {as_yaml(value)}{said}   ({type_of(field)}, {default})")
        lines += wrap(
            field.description or "", WIDTH, initial_indent="    ", subsequent_indent="    "
        )
    return lines


def default_of(model: Any, name: str) -> str:
    """The default of a field as people read it: a value as YAML has it, or its model's words for where it is from."""
    words: str = getattr(model, "DEFAULTS_IN_WORDS", {}).get(name, "")
    return words or as_yaml(_default(model.model_fields[name]))


def type_of(field: FieldInfo) -> str:
    """Format type and bounds: `int ≥ 1 ≤ 1000 or null`, `auto, raw, jpg`."""
    return _type(field.annotation, field.metadata)


def as_yaml(value: Any) -> str:
    """Format a value on one line, as in params.yaml."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_yaml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    if isinstance(value, str):
        return value if _is_plain(value) else json.dumps(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else f"{value}"


def _is_plain(text: str) -> bool:
    """Whether YAML reads the unquoted text as this string."""
    try:
        return bool(YAML(typ="safe", pure=True).load(f"[{text}]") == [text])
    except YAMLError:
        return False


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True)


def _type(kind: Any, metadata: Sequence[Any] = ()) -> str:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        inner = [one for extra in arguments[1:] for one in getattr(extra, "metadata", [extra])]
        return _type(arguments[0], [*inner, *metadata])
    if origin in (Union, types.UnionType):  # bounds are those of what is not null
        return " or ".join(_type(one, () if one is type(None) else metadata) for one in arguments)
    if origin is Literal:
        return ", ".join(map(str, arguments))
    bounds = [
        f"{sign} {getattr(one, key)}"
        for one in metadata
        for key, sign in SIGNS.items()
        if hasattr(one, key)
    ]
    return " ".join([_name(kind, origin, arguments), *bounds])


def _name(kind: Any, origin: Any, arguments: Sequence[Any]) -> str:
    if origin in (tuple, list):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"map of {_type(arguments[0])} to {_type(arguments[1])}"
    name: str = NAMES.get(kind) or kind.__name__
    return "path" if name == "Path" else name
