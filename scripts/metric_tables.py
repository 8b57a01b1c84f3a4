"""The table of docs/metrics.md: the largest difference from other libraries, and what the figures cost."""

from __future__ import annotations

from scripts.measured import hardware, results

LIBRARIES = ("scikit-learn", "torchmetrics")
SCALE = "50,000 images of 1,000 classes"


def metrics() -> str:
    """A row per kind of table of probabilities."""
    measured = results("metrics")
    found = {(row["case"], row["metric"]): row for row in measured["rows"]}
    kinds = dict.fromkeys(case for case, metric in found if metric in LIBRARIES)
    lines = [
        f"| probabilities | tables | largest difference from {' | from '.join(LIBRARIES)} |",
        "|---" * (2 + len(LIBRARIES)) + "|",
    ]
    for kind in kinds:
        rows = [found[kind, library] for library in LIBRARIES]
        largest = " | ".join(f"{row['max']:.0e}" for row in rows)
        lines.append(f"| {kind} | {rows[0]['n']} | {largest} |")
    cost = (
        f"All figures of {SCALE}: {found[SCALE, 'CPU']['median']:.1f} s of CPU time, and "
        f"{found[SCALE, 'memory']['median']:.0f} MB above the logits, of which the probabilities are 400."
    )
    return "\n".join([*lines, "", f"{cost} {hardware(measured, *LIBRARIES)}", ""])
