"""A comparison in words: a summary for a terminal, all of it as JSON, the flips as CSV."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import pandas as pd

from pipeline_lib.compare.compared import LOST, WON, Compared, as_records
from pipeline_lib.compare.recipe import Difference
from pipeline_lib.compare.sides import Side
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.report.galleries import in_percent

SHOWN = 10  # rows of each list in a terminal; --json, --csv and --page have all


def as_text(found: Compared) -> str:
    """What differs, section by section; lists are cut."""
    lines = [f"A: {found.a.name}", f"B: {found.b.name}", ""]
    lines += ["accuracy", *_indented(accuracy_lines(found)), ""]
    for flip in (LOST, WON):
        rows = found.flips[found.flips["flip"] == flip]
        lines.append(f"{flip}: {len(rows):,} image{'s' if len(rows) != 1 else ''}")
        lines += _indented(_cut(_table(_flip_rows(rows))))
    if found.classes:
        lines += ["", "classes, largest loss first (right of A, right of B, of n)"]
        changed = [one for one in found.classes if one.n_only_champion or one.n_only_challenger]
        rows_ = [
            [
                found.names.get(c.name, c.name),
                f"{c.n_champion}",
                f"{c.n_challenger}",
                f"{c.n_images}",
            ]
            for c in changed
        ]
        lines += _indented(_cut(_table(rows_))) or ["  no class changed"]
    lines += ["", "data", *_indented(data_lines(found))]
    lines += _indented(_cut(_table(_class_rows(found))))
    lines += ["", f"labels changed: {len(found.data.labels):,}"]
    lines += _indented(_cut(_table(_label_rows(found))))
    lines += _differences("parameters", found.params)
    lines += _differences("code of stages", found.code)
    if found.libraries is None:
        lines += ["", "libraries: not on record"]
    else:
        lines += _differences("libraries and hardware", found.libraries)
    return "\n".join(lines)


def accuracy_lines(found: Compared) -> list[str]:
    """Top-1 of both on the same images, the paired test, and what was left out."""
    test = found.test
    lines = []
    if found.paired is not None:
        a, b = found.paired.champion_top1, found.paired.challenger_top1
        lines.append(
            f"top-1 on the {test.compared:,} test images of both: A {_percent(a)}, B {_percent(b)}"
        )
    lines.append(found.sentence)
    apart = [
        (test.only_a, "tested by A alone"),
        (test.only_b, "tested by B alone"),
        (test.replaced, "with other bytes now"),
        (test.unknown_class, "of classes that A does not know"),
    ]
    left_out = [f"{n:,} {what}" for n, what in apart if n]
    if left_out:
        lines.append(f"not compared: {', '.join(left_out)}")
    if test.relabelled:
        have = "has" if test.relabelled == 1 else "have"
        lines.append(
            f"{test.relabelled:,} of these images {have} another label in B, by which both are judged"
        )
    return lines


def data_lines(found: Compared) -> list[str]:
    """How many images were added, withdrawn, replaced, moved, left out or taken in."""
    data = found.data
    lines = [
        f"{data.n_before:,} -> {data.n_now:,} images found, {data.n_kept_before:,} -> {data.n_kept_now:,} kept",
        f"{len(data.added):,} added, {len(data.withdrawn):,} withdrawn, {len(data.replaced):,} replaced by other bytes",
    ]
    if len(data.moved):
        lines.append(f"{len(data.moved):,} under another path, with the same bytes")
    for rows, what in ((data.left, "no longer kept"), (data.joined, "kept now and not before")):
        if len(rows):
            reasons = Counter(rows["reason"].str.replace("_", " ")).most_common()
            named = ", ".join(f"{reason} {n:,}" for reason, n in reasons)
            lines.append(f"{len(rows):,} {what} ({named})")
    if found.renamed:
        named = ", ".join(f"{old} is {new}" for old, new in found.renamed.items())
        lines.append(f"classes renamed or merged: {named}")
    return lines


def as_json(found: Compared) -> str:
    """One object; shares are 0..1."""
    data = found.data
    content = {
        "a": _side(found.a),
        "b": _side(found.b),
        "test_images": asdict(found.test),
        "top1": _paired(found),
        "sentence": found.sentence,
        "flips": as_records(found.flips),
        "classes": [
            {
                "class_id": one.name,
                "n": one.n_images,
                "right_a": one.n_champion,
                "right_b": one.n_challenger,
                "lost": one.n_only_champion,
                "won": one.n_only_challenger,
                "p_adjusted": one.p_adjusted,
            }
            for one in found.classes
        ],
        "data": {
            "found_a": data.n_before,
            "found_b": data.n_now,
            "kept_a": data.n_kept_before,
            "kept_b": data.n_kept_now,
            **{
                name: as_records(getattr(data, name))
                for name in ("added", "withdrawn", "replaced", "moved", "left", "joined")
            },
            "by_class": as_records(found.by_class),
            "classes_renamed": dict(found.renamed),
        },
        "labels": as_records(data.labels),
        "params": [asdict(one) for one in found.params],
        "code": [asdict(one) for one in found.code],
        "libraries": None if found.libraries is None else [asdict(one) for one in found.libraries],
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def as_csv(found: Compared) -> str:
    """The flips."""
    return frame_as_csv(found.flips)


def _paired(found: Compared) -> dict[str, float] | None:
    if found.paired is None:
        return None
    return {
        "a": found.paired.champion_top1,
        "b": found.paired.challenger_top1,
        "change": found.paired.delta,
        "low": found.paired.low,
        "high": found.paired.high,
        "margin": found.paired.margin,
    }


def _side(side: Side) -> dict[str, object]:
    return {"ref": side.ref, "name": side.name, "version": side.version, "commit": side.commit}


def _flip_rows(rows: pd.DataFrame) -> list[list[str]]:
    return [
        [
            f"{row['source']}: {row['path']}",
            f"is {row['true_name']}",
            f"A {row['a_name']} {in_percent(row['p_a'])}",
            f"B {row['b_name']} {in_percent(row['p_b'])}",
            "" if row["label"] == "not doubted" else f"label {row['label']}",
        ]
        for row in rows.to_dict("records")
    ]


def _class_rows(found: Compared) -> list[list[str]]:
    words = ("added", "withdrawn", "replaced")
    return [
        [
            found.names.get(row["class_id"], row["class_id"] or "(no class)"),
            f"kept {row['kept_a']:,} -> {row['kept_b']:,}",
            ", ".join(f"{row[word]:,} {word}" for word in words if row[word]),
        ]
        for row in found.by_class.to_dict("records")
    ]


def _label_rows(found: Compared) -> list[list[str]]:
    def name(class_id: str) -> str:
        return found.names.get(class_id, class_id) or "(none)"

    return [
        [row["image_id"], f"{name(row['before'])} -> {name(row['now'])}", f"by {row['by']}"]
        for row in found.data.labels.to_dict("records")
    ]


def _differences(title: str, found: Sequence[Difference]) -> list[str]:
    if not found:
        return ["", f"{title}: the same"]
    return [
        "",
        title,
        *_indented(_table([[one.name, f"A {one.a}", f"B {one.b}"] for one in found])),
    ]


def _table(rows: list[list[str]]) -> list[str]:
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _cut(lines: list[str]) -> list[str]:
    if len(lines) <= SHOWN:
        return lines
    return [*lines[:SHOWN], f"and {len(lines) - SHOWN:,} more (--page, --json)"]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
