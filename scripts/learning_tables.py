"""The tables of docs/training.md: what each way to learn wins over the plain run, and imbalance class by class."""

from __future__ import annotations

from typing import Any

from scripts.measured import hardware, results

WAYS = ("plain", "class weights", "balanced sampling", "logit adjustment")


def gains() -> str:
    """Accuracy and gain of every way that was measured."""
    measured = results("learning")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    lines = ["| digits | way | top-1, % | gain, points |", "|---|---|---|---|"]
    for (case, way), row in found.items():
        if way.startswith("gain of ") or way.split(", ")[-1].isdigit():
            continue
        gain = found.get((case, f"gain of {way}"))
        lines.append(f"| {case} | {way} | {_spread(row)} | {_spread(gain) if gain else ''} |")
    n = min(row["n"] for row in measured["rows"])
    note = f"Median (least to most) of {n} seeds. {hardware(measured, 'scikit-learn')}"
    return "\n".join([*lines, "", note, ""])


def imbalance() -> str:
    """Share of each class that is found."""
    measured = results("learning")
    found = {row["metric"]: row for row in measured["rows"] if row["case"] == "imbalance"}
    digits = sorted({way.split(", ")[1] for way in found if way.startswith("plain, ")})
    lines = [f"| found, % | {' | '.join(digits)} |", "|---" * (len(digits) + 1) + "|"]
    for way in WAYS:
        lines.append(f"| {way} | " + " | ".join(f"{found[f'{way}, {digit}']['median']:.0f}" for digit in digits) + " |")
    return "\n".join([*lines, "", f"Median of {found['plain']['n']} seeds, 36 test pictures a class or one less.", ""])


def _spread(row: dict[str, Any]) -> str:
    return f"{row['median']:.1f} ({row['min']:.1f} to {row['max']:.1f})"
