"""profile.json: the kept pictures in a few histograms and class counts, small enough to be compared for ever.

`became` records the renames and merges: `register` finds the champion's classes among today's with it.

The bins are fixed, so that profiles of any two versions can be compared without their pictures; each file names its own
edges. `register` compares the profile with that of the version before (pipeline_lib/report/drift.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

EDGES = {  # n + 1 edges of n bins, the last one closed; what lies outside counts in the first or the last bin
    "short_side_px": np.unique(np.round(2 ** np.arange(4, 13.5, 0.5))),  # 16, 23, 32, ... 8,192
    "luminance_p50": np.arange(0, 257, 16),
    "entropy_bit": np.arange(0, 8.5, 0.5),
    "blur_ratio": np.arange(0, 1.05, 0.05).round(2),
}


def data_profile(kept: pd.DataFrame, became: Mapping[str, str | None]) -> dict[str, Any]:
    """n, columns (name -> edges, counts), classes (class_id -> n) and became (received class -> class_id).

    kept: rows that stand, with what decode told. became: None for a class that an override excludes.
    """
    values = kept.assign(short_side_px=kept[["width_px", "height_px"]].min(axis=1))
    classes = kept["class_id"].value_counts().sort_index()
    return {
        "n": len(kept),
        "columns": {name: _histogram(values[name], edges) for name, edges in EDGES.items()},
        "classes": {str(name): int(n) for name, n in classes.items()},
        "became": dict(sorted(became.items())),
    }


def _histogram(values: pd.Series, edges: np.ndarray[Any, np.dtype[Any]]) -> dict[str, list[float]]:
    known = values.dropna().to_numpy(dtype=float)
    counts, _ = np.histogram(np.clip(known, edges[0], edges[-1]), edges)
    return {"edges": edges.tolist(), "counts": counts.tolist()}
