"""The table of docs/curation.md: 23 targets for curation, what was measured, and which test keeps each.

A figure belongs to a row when the `case` of its line in a result file begins with `row N: `; the files named in ALSO
were written for other pages. A row without a figure or a test says so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scripts.measured import RESULTS, hardware

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Target:
    """One row. tests: `path::name` of tests that keep it, below tests/."""

    number: int
    what: str
    target: str
    tests: tuple[str, ...] = ()


TARGETS = (
    Target(
        1,
        "digits, 5 and 10 % uniform and pair flips, 5 seeds: labels left out automatically",
        "recall ≥ .90, precision ≥ .94",
    ),
    Target(2, "the same: ranking", "AP ≥ .96, precision@k ≥ .93"),
    Target(3, "the same: suggested label right", "≥ .97"),
    Target(4, "clean digits: flagged", "≤ 0.5 %"),
    Target(5, "weak predictor (accuracy < .85): nothing left out; AP of the review list", "≥ .50"),
    Target(6, "confident learning, 200,000 x 1000, one core", "≤ 6 s, ≤ 250 MB; equals cleanlab"),
    Target(7, "noisy Imagenette, 5 %, with a trained model", "precision@k ≥ .8"),
    Target(8, "copies: re-encoded, resized, WebP, grey, blurred", "recall ≥ .97"),
    Target(
        9,
        "copies: mirrored, rotated / centre crops of 95, 90, 80 % / border of 5 %",
        "≥ .99 / .95, .90, .85 / .85",
    ),
    Target(10, "copies: corner crops, captions", "≥ .85, else documented as not covered"),
    Target(11, "copies: false pairs at 6 bits among 100,000 distinct pairs", "0"),
    Target(12, "hash join of 1.28 M, 3 bits / 6 bits, one core", "≤ 10 s / ≤ 120 s, recall 1.0"),
    Target(
        13,
        "damage: truncated / 4 KB zeroed, spliced / 512 B zeroed",
        "1.00 / ≥ .97 / ≥ .80; no false alarm",
    ),
    Target(
        14,
        "every case of bad input: the exact reason, the run ends, every file is counted once",
        "100 %",
        (
            "unit/inspect/test_every_bad_image.py::test_what_cannot_be_used_is_quarantined_with_its_reason",
            "unit/inspect/test_every_bad_image.py::test_what_can_be_used_is_kept_with_its_remarks",
            "unit/inspect/test_every_bad_image.py::test_every_file_is_accounted_for_once",
        ),
    ),
    Target(
        15,
        "tar: hostile members; cut at a member's boundary; a flipped bit in a header",
        "nothing outside; a hard stop",
        (
            "unit/download/test_archives.py::test_hostile_members_are_refused_one_by_one_and_nothing_is_written_outside",
            "unit/download/test_archives.py::test_a_tar_cut_at_a_member_boundary_stops_the_run",
            "unit/download/test_archives.py::test_a_flipped_bit_in_a_header_stops_the_run_and_names_the_byte",
        ),
    ),
    Target(
        16,
        "kill -9 at 20 random points, then a rerun",
        "the same hashes",
        (
            "pipeline/test_kill.py::test_from_nothing_and_after_kill_nine_of_a_stage_and_of_dvc_the_same_bytes_come_out",
        ),
    ),
    Target(
        17,
        "splits: leaks; rows moved by 10 % more data; deviation of a class's share (n ≥ 100)",
        "0; 0; ≤ .025",
        ("unit/curate/test_splits.py::test_adding_images_moves_no_image",),
    ),
    Target(
        18,
        "votes: gain over majority (20 % spam, 3 votes); points under crowd-kit; 200,000 x 1000",
        "≥ 7 points; ≤ .5; ≤ 10 CPU s, ≤ 1 GB",
    ),
    Target(
        19, "full pass over a manifest of 1.28 M / 14.2 M rows", "≤ 10 s, 1.5 GB / ≤ 150 s, 8 GB"
    ),
    Target(20, "screening at 500x375", "≥ 60 images/s per core"),
    Target(21, "quality remarks on planted images", "recall ≥ .95, ≤ 1 % false"),
    Target(
        22,
        "the same input twice; one or several workers; an empty memo",
        "byte-identical",
        (
            "unit/inspect/test_inspect_run.py::test_one_and_two_workers_with_and_without_a_memo_write_the_same_bytes",
            "pipeline/test_kill.py::test_from_nothing_and_after_kill_nine_of_a_stage_and_of_dvc_the_same_bytes_come_out",
        ),
    ),
    Target(
        23,
        "files behind `download` with a GPS position",
        "0",
        (
            "pipeline/test_demo.py::test_the_gps_positions_are_in_the_archive_as_received_and_nowhere_behind",
            "unit/review/test_questions.py::test_images_hold_no_metadata",
        ),
    ),
)
ALSO = {
    16: (("kill_nine", None), ("kill_convert", None)),
    23: (("scorecard", "gps_found"),),
}  # file, metric or all


def acceptance() -> str:
    """One line for each row and case."""
    figures = _figures()
    lines = [
        "| # | what | target | case | measured: median (least to most) | where from |",
        "|---|---|---|---|---|---|",
    ]
    for target in TARGETS:
        cells = figures.get(target.number, [])
        tests = [("", "", ", ".join(_link(test) for test in target.tests))] if target.tests else []
        for place, (case, measured, where) in enumerate(
            [*cells, *tests] or [("", NOT_MEASURED, "")]
        ):
            head = (str(target.number), target.what, target.target) if place == 0 else ("", "", "")
            lines.append(
                "| " + " | ".join((*head, case, measured or "checked by tests", where)) + " |"
            )
    return "\n".join([*lines, "", *_machines(), ""])


def _figures() -> dict[int, list[tuple[str, str, str]]]:
    """Row number -> (case, measured, file) of every case, in the order of files and lines."""
    found: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    for file, rows in _files().items():
        for row in rows:
            for number, case in _numbers(file, row):
                found.setdefault((number, case, file), []).append(row)
    figures: dict[int, list[tuple[str, str, str]]] = {}
    for (number, case, file), rows in found.items():
        where = f"[{file}](../benchmarks/results/{file}.json)"
        figures.setdefault(number, []).append(
            (case, "; ".join(_figure(row) for row in rows), where)
        )
    return figures


def _numbers(file: str, row: dict[str, Any]) -> list[tuple[int, str]]:
    head, _, case = row["case"].partition(": ")
    if head.startswith("row ") and head[4:].isdigit():
        return [(int(head[4:]), case)]
    also = [
        number
        for number, places in ALSO.items()
        for place in places
        if place in ((file, None), (file, row["metric"]))
    ]
    return [(number, row["case"]) for number in also]


def _files() -> dict[str, list[dict[str, Any]]]:
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["rows"]
        for path in sorted(RESULTS.glob("*.json"))
    }


def _figure(row: dict[str, Any]) -> str:
    """`recall 0.98 (0.96 to 0.99)`; a spread only where there were several runs."""
    unit = "" if row["unit"] == "share" else f" {row['unit']}"
    spread = "" if row["min"] == row["max"] else f" ({_short(row['min'])} to {_short(row['max'])})"
    return f"{row['metric']} {_short(row['median'])}{spread}{unit}".replace("|", "/")


def _short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _link(test: str) -> str:
    file, _, name = test.partition("::")
    return f"[{name}](../tests/{file})"


def _machines() -> list[str]:
    """The machines of the files that were used, each once."""
    used = {where.partition("]")[0][1:] for rows in _figures().values() for _, _, where in rows}
    contents = [
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in sorted(used)
    ]
    return list(dict.fromkeys(hardware(content) for content in contents))
