"""The tables of docs/report.md and docs/groups.md: columns of mistakes.csv and slices.csv, the report of 1,000 classes."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline_lib.report.answers import MEANING
from pipeline_lib.report.groups import MEANING as OF_SLICES
from scripts.measured import hardware, results


def mistakes_columns() -> str:
    """A row per column of mistakes.csv."""
    return _columns(MEANING)


def slices_columns() -> str:
    """A row per column of slices.csv."""
    return _columns(OF_SLICES)


def _columns(meanings: Mapping[str, str]) -> str:
    rows = (f"| `{name}` | {meaning} |" for name, meaning in meanings.items())
    return "\n".join(["| column | meaning |", "|---|---|", *rows, ""])


def report_scale() -> str:
    """Sizes and CPU seconds, with what is allowed."""
    measured = results("report_scale")
    found = {(one["case"], one["metric"]): one["median"] for one in measured["rows"]}

    def of(metric: str, case: str = "report") -> float:
        return float(found[case, metric])

    lines = [
        "| 1,000 classes, 50,000 test images | allowed | measured |",
        "|---|---|---|",
        f"| figures of `evaluate`, CPU s (before: {of('CPU', 'figures, classes of each image sorted'):.1f}) | 4 | "
        f"{of('CPU', 'figures'):.1f} |",
        f"| first page, kB | 400 | {of('first page'):.0f} |",
        f"| the whole folder, MB | 25 | {of('all'):.1f} |",
        f"| ... pages: number, MB, largest in kB | | {of('pages'):,.0f}, {of('pages, all'):.1f}, {of('largest page'):.0f} |",
        f"| ... images: number, MB | | {of('images'):,.0f}, {of('images, all'):.1f} |",
        f"| gathering and writing it, CPU s | | {of('CPU to gather') + of('CPU to write'):.0f} |",
        f"| the next report of the same images: CPU s, MB of its own | | "
        f"{of('CPU to gather') + of('CPU to write', 'report beside the one before'):.0f}, "
        f"{of('not shared', 'report beside the one before'):.1f} |",
    ]
    note = "Synthetic answers on real photographs, one run (figures and gathering: the median of three)."
    return "\n".join([*lines, "", f"{note} {hardware(measured, 'pandas', 'pillow')}", ""])
