"""The tables of docs/gate.md: how often the gate errs, before and now."""

from __future__ import annotations

from typing import Any

from scripts.measured import hardware, results


def renamed() -> str:
    """Promotions when a class has another name, and the error at the margin."""
    measured = results("gate")
    found = _by_case(measured)
    lines = ["| models promoted, % | before | now |", "|---|---|---|"]
    for case in found:
        if "promoted now" in found[case]:
            cells = [_spread(found[case][f"promoted {when}"]) for when in ("before", "now")]
            lines.append(f"| {case} | {' | '.join(cells)} |")
    note = "Rows `worse by the margin`: exact values, median (least to most) over several shares in dispute. Other rows: "
    nights = {row["n"] for row in measured["rows"] if row["case"].startswith("one class")}
    return "\n".join(
        [*lines, "", f"{note}{max(nights)} simulated nights. {hardware(measured, 'scipy')}", ""]
    )


def lost() -> str:
    """How often a class refuses or holds a model."""
    found = _by_case(results("gate"))
    kinds = ("equal models", "a class gone", "half a class lost")
    head = [f"{kind}, {when}" for kind in kinds for when in ("before", "now")]
    lines = [
        f"| classes x images; stopped by a class, % of nights | {' | '.join(head)} | nights |",
        "|---" * 8 + "|",
    ]
    for case, metrics in found.items():
        if "equal models, stopped now" in metrics:
            rows = [
                metrics[f"{kind}, stopped {when}"] for kind in kinds for when in ("before", "now")
            ]
            lines.append(
                f"| {case} | {' | '.join(_percent(row['median']) for row in rows)} | {rows[0]['n']} |"
            )
    return "\n".join([*lines, ""])


def shown() -> str:
    """The loss that the gate says the images can show, and how often it was noticed."""
    found = _by_case(results("gate"))
    lines = [
        "| test images | smallest loss of top-1 shown, by the gate, points | models with this loss not promoted, % |"
    ]
    lines.append("|---|---|---|")
    for case, metrics in found.items():
        if "loss said to be shown" in metrics:
            said, noticed = metrics["loss said to be shown"], metrics["not promoted with that loss"]
            lines.append(f"| {case} | {said['median']:.1f} | {_percent(noticed['median'])} |")
    return "\n".join([*lines, ""])


def nights() -> str:
    """What is left of top-1 after sixty nights."""
    measured = results("gate")
    found = _by_case(measured)
    head = "lost after 60 nights, points | 95th of 100 histories | over 2 m, % of histories | promoted, % of nights"
    lines = [f"| rule | {head} |", "|---" * 5 + "|"]
    for case, metrics in found.items():
        if "over 2 m" in metrics:
            lost, late = metrics["lost after 60 nights"], metrics["lost, 95th of 100 histories"]
            shares = " | ".join(
                _percent(metrics[name]["median"]) for name in ("over 2 m", "promoted")
            )
            spread = f"{lost['median']:.1f} ({lost['min']:.1f} to {lost['max']:.1f})"
            lines.append(f"| {case} | {spread} | {late['median']:.1f} | {shares} |")
    n = max(metrics["over 2 m"]["n"] for metrics in found.values() if "over 2 m" in metrics)
    return "\n".join([*lines, "", f"Median (least to most) of {n} histories; m is the margin.", ""])


def _by_case(measured: dict[str, Any]) -> dict[str, dict[str, Any]]:
    cases: dict[str, dict[str, Any]] = {}
    for row in measured["rows"]:
        cases.setdefault(row["case"], {})[row["metric"]] = row
    return cases


def _spread(row: dict[str, Any]) -> str:
    if row["min"] == row["max"]:
        return _percent(row["median"])
    return f"{_percent(row['median'])} ({_percent(row['min'])} to {_percent(row['max'])})"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
