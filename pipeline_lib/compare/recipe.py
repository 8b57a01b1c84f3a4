"""What differs in parameters, code and libraries between two lines: facts out of their receipts, no causes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_lib.compare.sides import Side
from pipeline_lib.lineage.receipts import code_digest

DEFAULT = "(default)"


@dataclass(frozen=True)
class Difference:
    """One thing that differs, with its value on both sides, as text."""

    name: str
    a: str
    b: str


def params_changed(a: Side, b: Side) -> tuple[Difference, ...]:
    """Keys of params.yaml, `section.key`; one that a side does not set has its default."""
    left, right = _params(a), _params(b)
    return tuple(
        Difference(key, left.get(key, DEFAULT), right.get(key, DEFAULT))
        for key in sorted({*left, *right})
        if left.get(key) != right.get(key)
    )


def code_changed(a: Side, b: Side) -> tuple[Difference, ...]:
    """The stages that were run with other code, and the digest of that code."""
    left, right = a.closure.stages, b.closure.stages
    found = []
    for stage in [*left, *(one for one in right if one not in left)]:
        digests = [
            code_digest(stages[stage]) if stage in stages else "no such stage"
            for stages in (left, right)
        ]
        if digests[0] != digests[1]:
            found.append(Difference(stage, *digests))
    return tuple(found)


def libraries_changed(a: Side, b: Side) -> tuple[Difference, ...] | None:
    """Libraries and hardware of training; None where one side has them not on record."""
    if a.libraries is None or b.libraries is None:
        return None
    left = {**a.libraries, "trained on": a.trained_on}
    right = {**b.libraries, "trained on": b.trained_on}
    return tuple(
        Difference(name, left.get(name, "absent"), right.get(name, "absent"))
        for name in [*left, *(one for one in right if one not in left)]
        if left.get(name) != right.get(name)
    )


def _params(side: Side) -> dict[str, str]:
    found: dict[str, str] = {}
    for receipt in side.closure.stages.values():
        for section, values in receipt.params.items():
            found |= _flat(section, values)
    return found


def _flat(name: str, value: Any) -> dict[str, str]:
    if isinstance(value, Mapping):
        found: dict[str, str] = {}
        for key, inner in value.items():
            found |= _flat(f"{name}.{key}", inner)
        return found
    return {name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}
