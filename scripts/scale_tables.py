"""The estimates of docs/scale.md: measured cost per image times the images of ImageNet."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from scripts.measured import hardware, results

SIZES = {"ImageNet-1k": 1_281_167, "ImageNet-21k": 14_197_122}
OBJECTS_LISTED = 1_000_000
CORES = 64
MOST_PAIRS = 200_000  # pipeline_lib/curate/duplicate_neighbours.py
Measured = dict[str, Any]
Point = tuple[int, float]


def per_image() -> str:
    """What was measured, by stage."""
    measured = results("scale")
    found = {(one["case"], one["metric"]): one["median"] for one in measured["rows"]}
    lines = [
        "| stage | CPU ms an image | CPU s to start | largest process, MB | written, kB an image |",
        "|---|---|---|---|---|",
    ]
    outs = {
        "download": "download/shards",
        "inspect": "inspect/features",
        "convert": "convert/betons",
    }
    for stage in ("discover", "download", "inspect", "convert"):
        size = f"{found[outs[stage], 'size per image']:.1f}" if stage in outs else ""
        lines.append(
            f"| `{stage}` | {found[stage, 'CPU per image']:.2f} | {found[stage, 'CPU to start']:.1f} | "
            f"{found[stage, 'peak memory']:.0f} | {size} |"
        )
    kb = found["stages", "size of an image"]
    note = f"JPEGs of 500 px, {kb:.0f} kB on average, in a folder; betons as `init` has them, of 256 px; one run."
    return "\n".join([*lines, "", f"{note} {hardware(measured)}", ""])


def curate_rows() -> str:
    """How curate grows, as measured."""
    measured = results("scale")
    lines = ["| rows, 1,000 classes | CPU s | memory, GB |", "|---|---|---|"]
    for n, cpu_s, memory_gb in _curate(measured):
        lines.append(f"| {n:,} | {cpu_s:.0f} | {memory_gb:.1f} |")
    searches = [f"{cpu_s:.1f} s for {n:,} rows" for n, cpu_s in _searches(measured)]
    note = (
        f"Made tables, one run. Photographs cost {_pair_ms(measured):.1f} ms more for each pair that a network finds alike, of "
        f"{MOST_PAIRS:,} at most. The search for such pairs is in it, and grows faster: {', '.join(searches)}."
    )
    return "\n".join([*lines, "", f"{note} {hardware(measured)}", ""])


def estimates() -> str:
    """ImageNet on paper."""
    measured = results("scale")
    found = {(one["case"], one["metric"]): one["median"] for one in measured["rows"]}
    listing = {one["metric"]: one["median"] for one in results("listing")["rows"]}
    lines = [
        "| estimated | "
        + " | ".join(f"{name}, {n / 1e6:.1f} M" for name, n in SIZES.items())
        + " |",
        "|---|---|---|",
    ]

    def line(what: str, values: list[str]) -> None:
        lines.append(f"| {what} | {' | '.join(values)} |")

    numbers = list(SIZES.values())
    per_key_ms = 1000 * listing["CPU time"] / OBJECTS_LISTED
    line("`discover` in S3, CPU", [_time(n * per_key_ms / 1000) for n in numbers])
    for stage in ("download", "inspect", "convert"):
        ms = found[stage, "CPU per image"]
        line(f"`{stage}`, CPU", [_time(n * ms / 1000) for n in numbers])
    points = _curate(measured)
    search = _power(_searches(measured))
    looks_s = MOST_PAIRS * _pair_ms(measured) / 1000
    cpu_s = _straight([(n, cpu_s) for n, cpu_s, _ in points])
    line("`curate`, CPU of one process", [_time(cpu_s(n) + search(n) + looks_s) for n in numbers])
    memory_gb = _straight([(n, gb) for n, _, gb in points])
    line("`curate`, memory, GB", [f"{memory_gb(n):,.0f}" for n in numbers])
    mapped = sum(found[stage, "CPU per image"] for stage in ("inspect", "convert"))
    line(
        f"`inspect` and `convert` on {CORES} cores, if they share nothing",
        [_time(n * mapped / 1000 / CORES) for n in numbers],
    )
    for out, what in (
        ("download/shards", "shards"),
        ("inspect/features", "features"),
        ("convert/betons", "betons"),
    ):
        line(f"{what}, GB", [f"{n * found[out, 'size per image'] / 1e6:,.0f}" for n in numbers])
    note = (
        "Cost per image times images; `curate` along the line through its last two points, with the search along their power. "
        "Nothing of this size was run here."
    )
    return "\n".join([*lines, "", note, ""])


def _curate(measured: Measured) -> list[tuple[int, float, float]]:
    """Rows, CPU s and GB of each case, fewest rows first."""
    found: dict[int, dict[str, float]] = {}
    for one in measured["rows"]:
        if one["case"].startswith("curate, "):
            found.setdefault(_rows_of(one["case"]), {})[one["metric"]] = one["median"]
    return [(n, case["CPU time"], case["peak memory"]) for n, case in sorted(found.items())]


def _searches(measured: Measured) -> list[Point]:
    """Rows and CPU s of the search for pairs."""
    found = {one["case"]: one["median"] for one in measured["rows"]}
    cases = (case for case in found if case.startswith("pairs, "))
    return sorted((_rows_of(case), found[case]) for case in cases)


def _pair_ms(measured: Measured) -> float:
    [pair_ms] = (one["median"] for one in measured["rows"] if one["case"] == "pairs")
    return float(pair_ms)


def _rows_of(case: str) -> int:
    return int(case.partition(", ")[2].removesuffix(" rows").replace(",", ""))


def _straight(points: Sequence[Point]) -> Callable[[int], float]:
    """The line through the last two points."""
    (n, value), (m, more) = points[-2:]
    return lambda size: more + (size - m) * (more - value) / (m - n)


def _power(points: Sequence[Point]) -> Callable[[int], float]:
    """The power of rows through the last two points."""
    (n, value), (m, more) = points[-2:]
    power = math.log(more / value) / math.log(m / n)
    return lambda size: float(more * (size / m) ** power)


def _time(seconds: float) -> str:
    hours = seconds / 3600
    return f"{seconds / 60:.0f} min" if hours < 2 else f"{hours:,.0f} h"
