"""classes.csv: the classes in the order of a model's outputs. CSV, so that people can read it beside params.yaml.

Columns: label (0-based index), class_id, name (in words), n_train, n_val, n_test.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from pipeline_lib.files.csv_cells import read_frame


def read_classes(path: Path) -> pd.DataFrame:
    """Read classes.csv in label order; a class called 007 or NA stays that."""
    classes = read_frame(path, ("class_id", "name")).sort_values("label")
    assert list(classes["label"]) == list(range(len(classes))), (
        f"{path}: labels are not 0 to {len(classes) - 1}"
    )
    return classes.reset_index(drop=True)
