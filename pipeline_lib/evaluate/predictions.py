"""The predictions table from logits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pipeline_lib.evaluate.calibrate import Floats, Labels
from pipeline_lib.evaluate.metrics import top_classes


def predictions(image_ids: list[str], split: str, *, log_p_NK: Floats, labels_N: Labels) -> pd.DataFrame:
    """One row per image of a split, as tables/predictions.py says. log_p_NK: calibrated log-probabilities."""
    rows, top = np.arange(len(labels_N)), top_classes(log_p_NK)
    p_NK = np.exp(log_p_NK)
    return pd.DataFrame(
        {
            "image_id": image_ids,
            "split": split,
            "label": labels_N.astype(np.int32),
            "predicted": top[:, 0].astype(np.int32),
            "correct": top[:, 0] == labels_N,
            "p_label": p_NK[rows, labels_N].astype(np.float32),
            "p_predicted": p_NK[rows, top[:, 0]].astype(np.float32),
            "loss": -log_p_NK[rows, labels_N].astype(np.float32),
            "top_classes": list(top.astype(np.int32)),
            "top_p": list(np.take_along_axis(p_NK, top, axis=1).astype(np.float32)),
        }
    )
