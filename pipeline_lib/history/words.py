"""The history in words: for a terminal, as CSV, as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

from pipeline_lib.files.csv_cells import guarded
from pipeline_lib.history.night import NO_RESULT, WORD, Cost, History, Night

UNKNOWN = "?"
NONE = "-"
HEADS = (
    "when (UTC)",
    "version",
    "verdict",
    "top-1",
    "95 %",
    "n",
    "change",
    "images",
    "labels",
    "time",
    "CPU",
)
INDENT = " " * 18


def as_text(history: History, *, reports: str) -> str:
    """Lines for a terminal, the newest night last, then what is not known. reports: the folder of reports as shown."""
    nights = history.nights
    has_gpu = any(night.cost and night.cost.gpu_s for night in nights)
    has_price = any(night.cost and night.cost.price is not None for night in nights)
    heads = [*HEADS, *(["GPU"] if has_gpu else []), *(["cost"] if has_price else [])]
    rows = [_cells(night, has_gpu=has_gpu, has_price=has_price) for night in nights]
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [_line(heads, widths)]
    for night, row in zip(nights, rows, strict=True):
        lines.append(_line(row, widths))
        if night.outcome == "unchanged":
            continue
        lines.append(INDENT + night.sentence)
        if night.changes:
            lines.append(f"{INDENT}with {', '.join(night.changes)}")
        if night.report:
            lines.append(f"{INDENT}{reports}/{night.report}")
    told = Counter(one for night in nights for one in night.unknown)
    lines += [f"not known of {n} night{'s' if n > 1 else ''}: {one}" for one, n in told.items()]
    return "\n".join(lines)


def summary(history: History) -> str:
    """One line about all nights."""
    n = len(history.nights)
    champion = "no version is champion"
    if history.champion is not None:
        last = history.nights[-1] if history.nights else None
        top1 = f", top-1 {percent(last.champion_top1)}" if last and last.champion_top1 else ""
        champion = f"champion is version {history.champion}{top1}"
    return f"{history.name}: {n:,} night{'s' if n != 1 else ''}; {champion}"


def as_json(history: History, *, reports: str) -> str:
    """The dataclasses as a JSON object; `report` is a path."""
    content = asdict(history)
    for night in content["nights"]:
        night["verdict"] = WORD[night["outcome"]]
        night["report"] = f"{reports}/{night['report']}" if night["report"] else None
    return json.dumps(content, indent=1, ensure_ascii=False)


def as_csv(history: History, *, reports: str) -> str:
    """One row per night; what is not known is empty. Shares are 0..1, times seconds."""
    written = io.StringIO(newline="")
    rows = [_flat(night, reports) for night in history.nights]
    writer = csv.DictWriter(
        written, list(_flat(Night("", "", "unknown", ""), "")), lineterminator="\n"
    )
    writer.writeheader()
    for row in rows:
        texts = {k: guarded(v) if isinstance(v, str) else v for k, v in row.items()}
        writer.writerow(texts)
    return written.getvalue()


def percent(share: float | None, digits: int = 1) -> str:
    """A share as percent with its unit."""
    return UNKNOWN if share is None else f"{100 * share:.{digits}f} %"


def points(difference: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{100 * difference:+.1f}"


def duration(seconds: float) -> str:
    """3.2 s, 4.1 min, 2.5 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 3600 else f"{seconds / 3600:.1f} h"


def price(cost: Cost) -> str:
    """Such as 0.12 EUR."""
    return NONE if cost.price is None else f"{cost.price:.2f} {cost.currency}"


def images(night: Night) -> str:
    """Images kept, and how many more or fewer than the night before."""
    if night.images is None:
        return UNKNOWN
    change = ""
    if night.changed and night.changed.kept_now != night.changed.kept_before:
        change = f" ({night.changed.kept_now - night.changed.kept_before:+,})"
    return f"{night.images.kept:,}{change}"


def labels(night: Night) -> str:
    """How many labels differ from the night before."""
    if night.changed is None:
        return NONE if not night.since else UNKNOWN
    return f"{night.changed.labels:,}" if night.changed.labels else NONE


def change(night: Night) -> str:
    """The change of top-1 against the champion of that night, in points."""
    return points(night.comparison.delta) if night.comparison else NONE


def minute(when: str) -> str:
    """2026-11-30 15:45 of an ISO time."""
    return f"{when[:10]} {when[11:16]}" if when else "date unknown"


def _cells(night: Night, *, has_gpu: bool, has_price: bool) -> list[str]:
    score, cost = night.score, night.cost
    none = NONE if night.outcome in NO_RESULT else UNKNOWN
    both = score is not None and score.low is not None and score.high is not None
    row = [
        minute(night.when),
        _version(night),
        WORD[night.outcome],
        percent(score.top1) if score else none,
        f"{100 * (score.low or 0):.1f} to {100 * (score.high or 0):.1f}"
        if score and both
        else none,
        f"{score.n:,}" if score else none,
        change(night),
        images(night) if night.outcome not in NO_RESULT else NONE,
        labels(night) if night.outcome not in NO_RESULT else NONE,
        duration(cost.busy_s) if cost else UNKNOWN,
        duration(cost.cpu_s) if cost else UNKNOWN,
    ]
    if has_gpu:
        row.append(duration(cost.gpu_s) if cost else UNKNOWN)
    if has_price:
        row.append(price(cost) if cost else UNKNOWN)
    return row


def _version(night: Night) -> str:
    if night.version is None:
        return NONE
    named = (
        f" ({', '.join(night.aliases)})" if night.aliases and night.outcome != "unchanged" else ""
    )
    return f"{night.version}{named}"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (
        cell.ljust(width) if number < 3 else cell.rjust(width)
        for number, (cell, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join(cells).rstrip()


def _flat(night: Night, reports: str) -> dict[str, str | int | float | None]:
    score, found, changed, cost = night.score, night.images, night.changed, night.cost
    compared = night.comparison
    return {
        "when": night.when,
        "run": night.run,
        "version": night.version,
        "aliases": " ".join(night.aliases),
        "verdict": WORD[night.outcome],
        "reason": night.sentence,
        "changed_params": " ".join(night.changes),
        "top1": score.top1 if score else None,
        "top1_low": score.low if score else None,
        "top1_high": score.high if score else None,
        "n_test": score.n if score else None,
        "compared_with": compared.champion_version if compared else None,
        "change_of_top1": compared.delta if compared else None,
        "champion_after": night.champion,
        "images_discovered": found.discovered if found else None,
        "images_kept": found.kept if found else None,
        "images_added": changed.added if changed else None,
        "images_withdrawn": changed.withdrawn if changed else None,
        "images_replaced": changed.replaced if changed else None,
        "labels_changed": changed.labels if changed else None,
        "busy_s": cost.busy_s if cost else None,
        "cpu_s": cost.cpu_s if cost else None,
        "gpu_s": cost.gpu_s if cost else None,
        "cost": cost.price if cost else None,
        "currency": cost.currency if cost else None,
        "commit": night.commit,
        "report": f"{reports}/{night.report}" if night.report else "",
        "not_known": "; ".join(night.unknown),
    }
