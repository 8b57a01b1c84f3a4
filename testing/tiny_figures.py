"""metrics.json and the tables of figures of a made-up evaluation of three classes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def write_figures(
    path: Callable[[str], Path], *, top1: float, n: int, names: tuple[str, ...]
) -> None:
    """Write what `evaluate` writes besides predictions and export. path: role -> file."""
    metrics = {
        "n": n,
        "top1": top1,
        "top1_low": top1 - 0.05,
        "top1_high": min(top1 + 0.02, 1.0),
        "top5": 1.0,
    }
    metrics |= {"precision": top1, "recall": top1, "f1": top1, "ece": 0.02}
    metrics |= {"n_classes_measured": 3, "precision_weighted": top1, "f1_weighted": top1}
    metrics |= {"ap": 0.97, "ap_micro": 0.96, "ece_equal_width": 0.03, "nll": 0.2, "brier": 0.1}
    measured = {f"{name}_uncalibrated": 0.15 for name in ("ece", "ece_equal_width", "nll", "brier")}
    measured |= {"coverage_at_95": 0.7, "accuracy_at_95": 0.9}
    measured |= {"accuracy_at_95_low": 0.6, "accuracy_at_95_high": 0.94}
    test = {**metrics, "aurc": 0.01, **measured}
    found = {"test": test, "val": metrics, "temperature": 1.4, "threshold_at_95": 0.875}
    path("metrics").write_text(json.dumps(found))
    path("per_class").write_text(
        "class,support,precision,precision_low,precision_high,recall,recall_low,recall_high,f1,ap\n"
        + "".join(
            f"{name},20,1.0,0.8,1.0,0.9,0.7,1.0,{0.9 + i / 100},0.95\n"
            for i, name in enumerate(names)
        )
    )
    path("operating_points").write_text(
        "class,promised,threshold,n_validation,n,precision,precision_low,precision_high,recall,recall_low,recall_high\n"
        + "".join(
            f"{name},0.95,0.625,20,19,0.9,0.8,0.97,0.85,0.7,0.9\n{name},0.99,,,,,,,,,\n"
            for name in names
        )
    )
    for role in ("reliability", "reliability_uncalibrated"):
        path(role).write_text(
            "bin,n,confidence,accuracy,accuracy_low,accuracy_high\n1,30,0.6,0.7,0.5,0.85\n2,30,0.9,0.95,0.85,0.99\n"
        )
    path("selective").write_text(
        "coverage,threshold,n,accuracy,accuracy_low,accuracy_high\n0.5,0.9,30,1.0,0.9,1.0\n1.0,0.4,60,0.9,0.8,0.95\n"
    )
