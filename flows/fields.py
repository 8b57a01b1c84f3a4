"""Describe the fields of a Pydantic model for people."""

from __future__ import annotations

import re
from textwrap import wrap
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

WIDTH = 110
SIGNS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def key_lines(model: Any, *, prefix: str, present: dict[str, Any]) -> list[str]:
    """Two or more lines per field: `train.epochs = 10   (default; int ≥ 1 ≤ 1000)` and its meaning below.

    present: the values that the file sets; a group of fields is described field by field.
    """
    lines: list[str] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            lines += key_lines(field.annotation, prefix=f"{prefix}{name}.", present=present.get(name) or {})
            continue
        lines.append(f"{prefix}{name} = {_value(name, field, present)}   ({_kind(field)})")
        lines += wrap(field.description or "", WIDTH, initial_indent="    ", subsequent_indent="    ")
    return lines


def _value(name: str, field: FieldInfo, present: dict[str, Any]) -> str:
    if name in present:
        return f"{present[name]}"
    if field.is_required():
        return "?"
    return f"{field.get_default(call_default_factory=True)}"


def _kind(field: FieldInfo) -> str:
    kind = field.annotation
    name = kind.__name__ if isinstance(kind, type) and not getattr(kind, "__args__", ()) else str(kind)
    bounds = [f"{sign} {getattr(m, key)}" for m in field.metadata for key, sign in SIGNS.items() if hasattr(m, key)]
    default = "required" if field.is_required() else f"default {field.get_default(call_default_factory=True)}"
    return ", ".join([" ".join([re.sub(r"\b[a-z_]+\.", "", name), *bounds]), default])
