"""Values inside records of JSON, as tools of annotation write them: `annotations.result.value.choices` of Label Studio."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Path = tuple[str, ...]


def paths_inside(record: Mapping[str, Any]) -> dict[str, Path]:
    """Name of a column -> the keys to it, for values inside objects, and inside arrays of objects."""
    found: dict[str, Path] = {}
    for key, value in record.items():
        found |= {".".join(path): path for path in _below(value, (key,)) if len(path) > 1}
    return found


def value_inside(record: Mapping[str, Any], path: Path) -> Any:
    """The value at the end of the keys; of several objects their values, each once, as a list, or the only one."""
    found: list[Any] = []
    for one in _values(record, path):
        found += [item for item in (one if isinstance(one, list) else [one]) if item not in found]
    return found[0] if len(found) == 1 else found or ""


def _below(value: Any, path: Path) -> Iterator[Path]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _below(inner, (*path, key))
    elif isinstance(value, list) and any(isinstance(one, Mapping) for one in value):
        for one in value:
            yield from _below(one, path)
    else:
        yield path


def _values(value: Any, path: Path) -> Iterator[Any]:
    if isinstance(value, list) and path:
        for one in value:
            yield from _values(one, path)
    elif not path:
        yield value
    elif isinstance(value, Mapping) and path[0] in value:
        yield from _values(value[path[0]], path[1:])
