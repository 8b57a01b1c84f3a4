"""The tables of the README that come from benchmark results, between `<!-- name -->` and `<!-- end name -->`."""

from __future__ import annotations

import json
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
    ("copies with conflicting labels settled rightly", "conflicts_settled", "min"),
    (
        "pairs of copies or of one person that would cross splits if each picture were drawn alone",
        "leaks_planted",
        "min",
    ),
    ("… that do cross", "leaks", "max"),
    ("sound pictures lost", "unplanted_removed", "max"),
    ("truncated, zeroed, spliced, HTML, empty, bomb: refused with the exact reason", "refused", "min"),
    ("PNG named .jpg, EXIF-rotated, CMYK, 16-bit, GIF: kept, and remarked", "oddities_kept", "min"),
    ("files behind `download` with a GPS position", "gps_found", "max"),
    ("top-1 on the test split, true labels", "top1_true", "min"),
)


def with_tables(readme: str) -> str:
    """The README's text with its tables written anew."""
    for name, table in (("scorecard", scorecard()), ("first run", first_run())):
        before, begin, rest = readme.partition(f"<!-- {name} -->\n")
        _, end, after = rest.partition(f"<!-- end {name} -->")
        readme = before + begin + table + end + after
    return readme


def scorecard() -> str:
    """The worst seed for each figure."""
    results = _results("scorecard")
    rows = [row for row in results["rows"] if row["case"].startswith("plant seeds")]
    seeds = [row for row in results["rows"] if row["case"].startswith("training seeds")]
    lines = [f"| {words} | {_worst(rows, metric, end)} |" for words, metric, end in SCORES]
    lines.append(f"| … over {seeds[0]['n']} training seeds | {_worst(seeds, 'top1_true', 'min')} |")
    lines.append(f"| … labels as received | {_worst(rows, 'top1_received', 'min')} |")
    head = f"| planted in the demo, graded by `python -m benchmarks.scorecard` | worst of {rows[0]['n']} seeds |"
    n_test = int(min(row["min"] for row in rows if row["metric"] == "n_test"))
    return "\n".join([head, "|---|---|", *lines, "", f"{n_test} test pictures or more. {_hardware(results)}", ""])


def first_run() -> str:
    """Time and disk of the two commands."""
    results = _results("first_run")
    wall = {row["case"]: row["median"] for row in results["rows"] if row["metric"] == "wall"}
    disk = {row["metric"]: row["median"] for row in results["rows"] if row["case"] == "disk"}
    head = "| a fresh clone, timed by `python -m benchmarks.first_run` | wall time |"
    lines = [f"| `{case}` | {_duration(seconds)} |" for case, seconds in wall.items()]
    notes = (
        "Set-up with the packages in uv's cache; a first download adds what the connection takes.",
        f"Disk: {disk['.venv'] / 1000:.1f} GB for `.venv` (most of it torch's CUDA libraries),",
        f"{sum(disk.values()) - disk['.venv']:.0f} MB for the demo.",
        _hardware(results),
    )
    return "\n".join([head, "|---|---|", *lines, "", " ".join(notes), ""])


def _results(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text())
    return content


def _worst(rows: list[dict[str, Any]], metric: str, end: str) -> str:
    if metric == "refused":  # one row per kind of damage
        values = [row for row in rows if row["metric"].startswith("refused_")]
    else:
        values = [row for row in rows if row["metric"] == metric]
    value = (min if end == "min" else max)(row[end] for row in values)
    return f"{100 * value:.1f} %" if values[0]["unit"] == "share" else f"{value:g}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _hardware(results: dict[str, Any]) -> str:
    machine, versions = results["machine"], results["versions"]
    return (
        f"On {machine['cores']} cores of an {machine['cpu']}, Python {versions['python']}, torch {versions['torch']}."
    )
