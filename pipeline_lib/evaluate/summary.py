"""All figures of one split; the flat ones go into metrics.json. N images, K classes.

Macro metrics are means over the classes that the split has images of: of the others nothing is measured, and a zero
in their place would be a statement about the model. Weighted ones weigh each class by its images. Micro precision,
recall and F1, and weighted recall, all equal top-1, since each image has one label and one answer; balanced accuracy
is macro recall.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from pipeline_lib.evaluate.calibration import Certainty, calibration_figures, certainty
from pipeline_lib.evaluate.metrics import (
    Floats,
    Labels,
    bootstrap_macro_f1,
    in_top5,
    per_class,
    share_with_interval,
)
from pipeline_lib.evaluate.ranking import Curves, curves_of
from pipeline_lib.evaluate.selective import area_under_risk


@dataclass(frozen=True)
class Summary:
    """figures: by name, as in metrics.json. per_class: a row per class in label order."""

    figures: dict[str, float]
    per_class: pd.DataFrame
    curves: Curves
    certainty: Certainty


def summarise(p_NK: Floats, labels_N: Labels, *, rounds: int, seed: int) -> Summary:
    """Shares 0..1, nll in nats per image, brier 0..2, n images.

    n_classes_measured: classes with images, those over which precision, recall, f1 and ap are means.
    """
    n, n_classes = p_NK.shape
    predicted_N = p_NK.argmax(axis=1)
    found = certainty(p_NK, labels_N)
    curves = curves_of(p_NK, labels_N)
    table = per_class(predicted_N, labels_N, n_classes=n_classes)
    table["ap"] = [curve.average_precision() for curve in curves.classes]
    present = table[table["support"] > 0]
    weights = present["support"] / n
    f1 = bootstrap_macro_f1(predicted_N, labels_N, n_classes=n_classes, rounds=rounds, seed=seed)
    figures = {
        "n": n,
        "n_classes": n_classes,
        "n_classes_measured": len(present),
        **share_with_interval("top1", int(found.correct_N.sum()), n),
        **share_with_interval("top5", int(in_top5(p_NK, labels_N).sum()), n),
        "precision": float(present["precision"].mean()),
        "recall": float(present["recall"].mean()),
        "f1": float(present["f1"].mean()),
        "f1_low": f1.low,
        "f1_high": f1.high,
        "precision_weighted": float((weights * present["precision"]).sum()),
        "f1_weighted": float((weights * present["f1"]).sum()),
        "ap": float(present["ap"].mean()),
        "ap_micro": curves.micro.average_precision(),
        **calibration_figures(found),
        "aurc": area_under_risk(found),
    }
    return Summary(figures, table, curves, found)
