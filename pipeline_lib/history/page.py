"""The page of all nights: accuracy with intervals, growth of the data, labels changed, time and cost; each links to its report.

No script, and no request: the same policy and style as the report. Sixty nights are drawn at once; of more, older ones are
folded, and a chart of all of them, in bins, leads to each part.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from pipeline_lib.files.atomic import write_text
from pipeline_lib.history import words
from pipeline_lib.history.charts import Part, overview, part_of
from pipeline_lib.history.night import WORD, History, Night
from pipeline_lib.registry.report_places import COMPARISON, COMPARISONS, comparison_of, version_name
from pipeline_lib.report.render import INDENTED, environment, inline_style

PAGE = "history.html"
FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/:;,()]+/)+")
IN_PART = 60  # nights drawn at once: each mark stays as wide as a finger on a tablet


def write_page(history: History, reports: Path) -> Path:
    """Write the page into the folder of reports, and return its path."""
    reports.mkdir(parents=True, exist_ok=True)
    target = reports / PAGE
    pages = [f"../{COMPARISONS}/{one}" for one in _comparisons(reports.parent / COMPARISONS)]
    write_text(target, render(history, comparisons=pages))
    return target


def render(history: History, *, comparisons: Collection[str] = ()) -> str:
    """The page; addresses are relative to the folder of reports. comparisons: those of two versions that there are."""
    nights = history.nights
    n_parts = max(1, -(-len(nights) // IN_PART))

    # The newest part is full, the oldest one is what is left over.
    ends = [len(nights) - IN_PART * number for number in range(n_parts)]
    parts: list[Part] = [
        part_of(nights[max(0, end - IN_PART) : end], first=max(0, end - IN_PART)) for end in ends
    ]
    pages = environment().overlay()
    pages.filters = {**pages.filters, "nearby": nearby}
    text = pages.get_template("history.html.jinja").render(
        h=history,
        comparison=lambda night: _comparison(night, comparisons),
        parts=parts,
        overview=overview(nights, IN_PART) if n_parts > 1 else None,
        style=inline_style("history.css"),
        word=WORD,
        w=words,
        has_gpu=any(night.cost and night.cost.gpu_s for night in nights),
        has_price=any(night.cost and night.cost.price is not None for night in nights),
        shapes=sorted({night.outcome for night in nights}, key=list(WORD).index),
    )
    return INDENTED.sub("\n", text)


def _comparisons(folder: Path) -> list[str]:
    return [f"{page.parent.name}/{page.name}" for page in folder.glob(f"*/{COMPARISON}")]


def _comparison(night: Night, there: Collection[str]) -> str:
    """The page that compares a version with the champion of its night; empty where nobody made one."""
    if night.version is None or night.comparison is None or night.outcome == "unchanged":
        return ""
    names = version_name(night.comparison.champion_version), version_name(night.version)
    address = f"../{COMPARISONS}/{comparison_of(*names)}"
    return address if address in there else ""


def nearby(text: str) -> str:
    """A sentence for others to read: of a path on this machine the name alone, not the folders above it."""
    return FOLDERS.sub("\N{HORIZONTAL ELLIPSIS}/", text)
