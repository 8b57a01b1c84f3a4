"""The tables of docs/shift.md."""

from __future__ import annotations

from typing import Any

from scripts.measured import hardware, results

SIZES = (100, 200, 360)
LOSSES = (5, 10, 20)
KINDS = ("noise", "blur", "jpeg", "brightness", "fog", "low_resolution")


def shift_equal() -> str:
    """How often a model is held in simulated nights, by what it lost in blur."""
    measured = results("shift")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    lines = [
        "| images | equal models | " + " | ".join(f"{n} points lost in blur" for n in LOSSES) + " |"
    ]
    lines.append("|---" * (2 + len(LOSSES)) + "|")
    for size in SIZES:
        cases = [f"equal, {size} images"]
        cases += [f"{lost} points lost in blur, {size} images" for lost in LOSSES]
        shares = [_share(found[case, "held"]) for case in cases]
        lines.append(f"| {size} | {' | '.join(shares)} |")
    nights = found[f"equal, {SIZES[0]} images", "held"]["n"]
    note = (
        f"Models held, % (95 % interval), in {nights} simulated nights each, from real answers. "
        f"`python -m benchmarks.whole.shift`. {hardware(measured, 'scipy')}"
    )
    return "\n".join([*lines, "", note, ""])


def shift_trained() -> str:
    """How often real models are held, by kind, and how many points they lose at most."""
    measured = results("shift")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    names = {
        "other seed": "trained alike, another seed",
        "other seed with light": "the same, both with changed light",
        "light forgotten": "the champion was trained with changed light, the new model not",
    }
    kinds = " | ".join(kind.replace("_", " ") for kind in KINDS)
    lines = [f"| new model | pairs | held | {kinds} |", "|---" * (3 + len(KINDS)) + "|"]
    for case, words in names.items():
        name = f"{case}, 200 images"
        held = found[name, "held"]
        cells = [_cell(found, name, kind) for kind in KINDS]
        lines.append(f"| {words} | {held['n']} | {held['median']:.0f} % | {' | '.join(cells)} |")
    note = (
        "Real models of digits, all pairs, 200 test images. By kind: held by it, and the median loss (least to most), points; "
        "`-`: the champion withstands no strength of it."
    )
    return "\n".join([*lines, "", note, ""])


def _share(row: dict[str, Any]) -> str:
    return f"{row['median']:.1f} ({row['min']:.1f} to {row['max']:.1f})"


def _cell(found: dict[tuple[str, str], dict[str, Any]], case: str, kind: str) -> str:
    lost = found.get((case, f"lost in {kind}"))
    if lost is None:
        return "-"
    held = found[case, f"held by {kind}"]["median"]
    return f"{held:.0f} %, {lost['median'] + 0:.1f} ({lost['min']:.1f} to {lost['max']:.1f})"
