"""The table of docs/operations.md: what kill -9 leaves of a run."""

from __future__ import annotations

from scripts.measured import hardware, results

FREE, SAID = "until the line was free", "announcements of the promotion"


def deaths() -> str:
    """Moment x what was killed x what the run reads, when the line was free, and what the next run did."""
    measured = results("deaths")
    found: dict[str, dict[str, float]] = {}
    for row in measured["rows"]:
        found.setdefault(row["case"], {})[row["metric"]] = row["median"]
    lines = [
        "| moment: killed | the run reads | the line is free | the next run completed |",
        "|---|---|---|---|",
    ]
    for case, metrics in found.items():
        (ended,) = [metric for metric in metrics if metric.startswith("until the run reads ")]
        reads = f"{ended.removeprefix('until the run reads ')}, after {metrics[ended]:.0f} s"
        free = f"after {metrics[FREE]:.1f} s" if FREE in metrics else "as before"
        announced = f"; promotion announced {metrics[SAID]:.0f} time" if SAID in metrics else ""
        went_on = "yes" if metrics["the next run completed"] == 1 else "no"
        lines.append(
            f"| {case.removesuffix(' killed')} | {reads} | {free} | {went_on}{announced} |"
        )
    return "\n".join([*lines, "", hardware(measured, "prefect"), ""])
