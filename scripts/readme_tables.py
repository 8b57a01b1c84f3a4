"""The tables of the README that come from benchmark results, between `<!-- name -->` and `<!-- end name -->`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "benchmarks/results"
SCORES = (
    ("wrong labels found, with three annotators' votes", "label_errors_with_votes_recall", "min"),
    ("… precision", "label_errors_with_votes_precision", "min"),
    ("wrong labels found, without votes", "label_errors_without_votes_recall", "min"),
    ("… precision", "label_errors_without_votes_precision", "min"),
    ("exact duplicates found", "exact_duplicates_recall", "min"),
    ("near duplicates found", "near_duplicates_recall", "min"),
    ("pairs of copies, or of one person, left across splits", "leaks", "max"),
    ("sound pictures lost", "unplanted_removed", "max"),
    ("truncated, zeroed, spliced, HTML, empty, bomb: refused with the exact reason", "refused", "min"),
    ("PNG named .jpg, EXIF-rotated, CMYK, 16-bit, GIF: kept, and remarked", "oddities_kept", "min"),
    ("files behind `download` with a GPS position", "gps_found", "max"),
    ("top-1 on the test split, true labels", "top1_true", "min"),
    ("… labels as received", "top1_received", "min"),
)


def with_tables(readme: str) -> str:
    """The README's text with its tables written anew."""
    for name, table in (("scorecard", scorecard()), ("first run", first_run())):
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        assert block.search(readme), f"README.md has no block {name!r}"
        readme = block.sub(lambda found, table=table: found[1] + table + found[2], readme)  # type: ignore[misc]
    return readme


def scorecard() -> str:
    """The worst of five plant seeds for each figure."""
    results = _results("scorecard")
    rows = [row for row in results["rows"] if row["case"].startswith("plant seeds")]
    lines = [f"| {words} | {_worst(rows, metric, end)} |" for words, metric, end in SCORES]
    seeds = [row for row in results["rows"] if row["case"].startswith("training seeds")]
    lines.append(f"| … over five training seeds | {_worst(seeds, 'top1_true', 'min')} |")
    n_test = int(min(row["min"] for row in rows if row["metric"] == "n_test"))
    head = f"| planted in the demo, graded by `python -m benchmarks.scorecard` | worst of {rows[0]['n']} seeds |\n|---|---|\n"
    return head + "\n".join(lines) + f"\n\n{n_test} test pictures or more. {_hardware(results)}\n"


def first_run() -> str:
    """Time and disk of the two commands."""
    results = _results("first_run")
    wall = {row["case"]: row["median"] for row in results["rows"] if row["metric"] == "wall"}
    disk = {row["metric"]: row["median"] for row in results["rows"] if row["case"] == "disk"}
    lines = [f"| `{case}` | {_duration(seconds)} |" for case, seconds in wall.items()]
    text = "| fresh clone, by `python -m benchmarks.first_run` | wall time |\n|---|---|\n" + "\n".join(lines)
    text += f"\n\nSet-up with the packages in uv's cache; a first download is 3 GB more. Disk: {disk['.venv'] / 1000:.1f} GB "
    text += (
        f"for `.venv` (most of it torch's CUDA libraries), {sum(disk.values()) - disk['.venv']:.0f} MB for the demo. "
    )
    return text + f"{_hardware(results)}\n"


def _results(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def _worst(rows: list[dict[str, Any]], metric: str, end: str) -> str:
    values = [
        row for row in rows if row["metric"] == metric or (metric == "refused" and row["metric"].startswith(metric))
    ]
    value = (min if end == "min" else max)(row[end] for row in values)
    return f"{100 * value:.1f} %" if values[0]["unit"] == "share" else f"{value:g}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _hardware(results: dict[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    return (
        f"On {machine['cores']} cores of an {machine['cpu']}, Python {versions['python']}, torch {versions['torch']}."
    )
