"""Read what benchmarks measured, from benchmarks/results/<name>.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks/results"


def results(name: str) -> dict[str, Any]:
    """Machine, versions and rows, as benchmarks/support/results_file.py writes them."""
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return content


def hardware(measured: dict[str, Any], *also: str) -> str:
    """A sentence: cores, processor, Python, torch, and the versions of further libraries."""
    machine, versions = measured["machine"], measured["versions"]
    named = ", ".join(f"{name} {versions[name]}" for name in ("torch", *also))
    return (
        f"On {machine['cores']} cores of an {machine['cpu']}, Python {versions['python']}, {named}."
    )
