"""The tables of docs/predict.md: what benchmarks/speed/prediction.py measured."""

from __future__ import annotations

from typing import Any

from scripts.measured import hardware, results

SIDES = ("bare loop", "predict")


def speed() -> str:
    """predict beside a bare loop of ONNX Runtime."""
    measured = results("prediction")
    head = "| images | side | images per CPU second | images per second | of the bare loop, by CPU time |"
    lines = [head, "|---|---|---|---|---|"]
    cases = [row["case"] for row in measured["rows"] if row["metric"].startswith("images per CPU")]
    for case in cases:
        rows = {
            row["metric"].partition(", of ")[0]: row
            for row in measured["rows"]
            if row["case"] == case
        }
        kind, _, side = case.rpartition(", ")
        share = rows.get("of the bare loop, by CPU time")
        cells = [kind, side, _spread(rows["images per CPU second"], 0)]
        cells += [_spread(rows["images per second"], 0), _spread(share, 2) if share else ""]
        lines.append(f"| {' | '.join(cells)} |")
    counts = {
        row["case"].rpartition(", ")[0]: row["metric"].partition(", of ")[2]
        for row in measured["rows"]
        if row["metric"].startswith("images per CPU")
    }
    n = " and ".join(f"{count} {kind}" for kind, count in counts.items())
    note = (
        f"Medians of three runs in turn (least to most), {n}. The bare loop: one thread, the same decode, the batch that is "
        "best for it; predict: a worker for each core. Opening the model counts. Other work ran on the machine, so images "
        f"per second say little. `python -m benchmarks.speed.prediction`. {hardware(measured, 'onnxruntime')}"
    )
    return "\n".join([*lines, "", note, ""])


def memory() -> str:
    """Largest resident sizes."""
    measured = results("prediction")
    figures: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        if row["metric"].startswith("memory"):
            figures.setdefault(row["case"], {})[row["metric"]] = row["median"]
    lines = ["| images | memory of the parent | memory of a worker |", "|---|---|---|"]
    for case, found in figures.items():
        cells = (f"{found[f'memory of {one}']:.0f} MB" for one in ("the parent", "a worker"))
        lines.append(f"| {case} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def answers() -> str:
    """predict beside evaluate on the test images of a photograph set."""
    measured = results("prediction")
    figures: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        if "test photographs" in row["case"]:
            figures.setdefault(row["case"], {})[row["metric"]] = row["median"]
    head = "| | another class than evaluate | largest difference of p | CPU to decode an image |"
    lines = [head, "|---|---|---|---|"]
    for case, found in figures.items():
        n_other, dp = found["other top-1"], found["largest |dp|"]
        cost = found["CPU to decode and view"]
        lines.append(f"| {case} | {n_other:.0f} | {dp:.2g} | {cost:.1f} ms |")
    return "\n".join([*lines, ""])


def _spread(row: dict[str, Any], places: int) -> str:
    low, high = (f"{row[name]:,.{places}f}" for name in ("min", "max"))
    return f"{row['median']:,.{places}f} ({low} to {high})"
