"""metrics.json and operating_points.csv: the names that `evaluate` makes and the report looks for."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline_lib.files.csv_cells import read_frame

PROMISED = (0.95, 0.99)  # the precisions and accuracies that thresholds are chosen for
UNCALIBRATED = "_uncalibrated"  # ends the name of a figure at temperature 1
OPERATING_COLUMNS = [
    "class",
    "promised",
    "threshold",
    "n_validation",
    "n",
    *(f"{name}{end}" for name in ("precision", "recall") for end in ("", "_low", "_high")),
]


def at_promise(name: str, promised: float) -> str:
    """accuracy_at_99 for accuracy and 0.99."""
    return f"{name}_at_{100 * promised:g}"


def read_operating_points(path: Path) -> pd.DataFrame:
    """Read the table; a class called 007 or NA stays that, an empty figure is NaN."""
    table = read_frame(path, ("class",))
    return table.assign(
        **{name: pd.to_numeric(table[name]) for name in OPERATING_COLUMNS if name != "class"}
    )
