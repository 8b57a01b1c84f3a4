"""The tables and metrics.json of a scored model: validation, test, and test at the thresholds of validation."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from pipeline_lib.evaluate.calibration import calibration_figures, reliability
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.predictions import (
    Floats,
    Labels,
    log_softmax,
    predictions,
    uncalibrated,
)
from pipeline_lib.evaluate.ranking import operating_points
from pipeline_lib.evaluate.selective import selective_curve, selective_figures, thresholds
from pipeline_lib.evaluate.shift import shift_figures
from pipeline_lib.evaluate.shift import summary as shift_summary
from pipeline_lib.evaluate.summary import Summary, summarise
from pipeline_lib.files.atomic import write_text
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.tables.figures import UNCALIBRATED, at_promise
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.shifted import SHIFTED

log = logging.getLogger(__name__)
NAMED = 10  # classes in a message


@dataclass(frozen=True)
class ScoredSplit:
    """What the model said of one split, in no order that matters; `kept_BHWC`: the first few images it saw.

    distances_N: from the training images, float32; None where no spread was fitted.
    """

    image_ids: list[str]
    labels_N: Labels
    logits_NK: Floats
    distances_N: torch.Tensor | None
    kept_BHWC: npt.NDArray[np.uint8]


@dataclass(frozen=True)
class MeasuredSplit:
    """What is measured of one split.

    answers: the rows of predictions.parquet. figures: for metrics.json. reliability_before: at temperature 1.
    points: at the thresholds of validation. Both are empty for validation itself.
    """

    answers: pd.DataFrame
    summary: Summary
    figures: dict[str, float]
    reliability_before: pd.DataFrame = field(default_factory=pd.DataFrame)
    points: pd.DataFrame = field(default_factory=pd.DataFrame)


def write_tables(
    job: StageRun[EvaluateParams],
    splits: dict[str, ScoredSplit],
    shifted: pd.DataFrame,
    *,
    temperature: float,
    alarms: Mapping[str, float],
    class_ids: tuple[str, ...],
) -> None:
    """Write the tables by role.

    shifted: rows of tables/shifted.py. alarms: how often test images are called unlike, for metrics.json.
    """
    # Validation first: the thresholds that test is measured at are chosen there.
    val = _measure(job, "val", splits["val"], temperature=temperature, class_ids=class_ids)
    test = _measure(
        job,
        "test",
        splits["test"],
        temperature=temperature,
        class_ids=class_ids,
        validation=val.summary,
    )
    PREDICTIONS.write(pd.concat([val.answers, test.answers]), job.writes["predictions"])
    SHIFTED.write(shifted, job.writes["shifted"])
    drops = shift_figures(shifted, test.answers)
    chosen = {
        at_promise("threshold", promised): threshold
        for promised, threshold in thresholds(val.summary.certainty).items()
    }
    metrics = {
        "val": val.figures,
        "test": {**test.figures, **alarms},
        "shift": shift_summary(drops),
        "temperature": temperature,
        **chosen,
    }
    write_text(job.writes["metrics"], json.dumps(metrics, indent=1) + "\n")

    # Per class, per bin, per threshold and per pair of classes: on the test split alone.
    table = test.summary.per_class
    table.insert(0, "class", class_ids)
    answers = test.answers.sort_values("image_id")
    names = np.array(class_ids, dtype=object)
    confusion = {
        "image_id": answers["image_id"],
        "actual": names[answers["label"].to_numpy(np.int64)],
        "predicted": names[answers["predicted"].to_numpy(np.int64)],
    }
    tables = {
        "shift": drops,
        "per_class": table,
        "confusion": pd.DataFrame(confusion),
        "operating_points": test.points,
        "reliability": reliability(test.summary.certainty),
        "reliability_uncalibrated": test.reliability_before,
        "selective": selective_curve(test.summary.certainty),
    }
    for role, frame in tables.items():
        write_text(job.writes[role], frame_as_csv(frame))

    _warn_of_what_is_not_measured(table)
    top1, low, high = (100 * test.figures[key] for key in ("top1", "top1_low", "top1_high"))
    log.info("test: top-1 %.2f %% (%.2f to %.2f), %d images", top1, low, high, len(answers))


def _measure(
    job: StageRun[EvaluateParams],
    split: str,
    scored: ScoredSplit,
    *,
    temperature: float,
    class_ids: tuple[str, ...],
    validation: Summary | None = None,
) -> MeasuredSplit:
    """Measure one split; with `validation` also without what was chosen there, and at the thresholds."""
    log_p_NK = log_softmax(scored.logits_NK, temperature=temperature)
    answers = predictions(scored.image_ids, split, log_p_NK=log_p_NK, labels_N=scored.labels_N)
    p_NK = np.exp(log_p_NK, out=log_p_NK)  # in place: of 1,000 classes a matrix is 400 MB
    summary = summarise(
        p_NK,
        scored.labels_N,
        rounds=job.params.bootstrap_rounds,
        seed=job.params.bootstrap_seed,
    )
    if validation is None:
        return MeasuredSplit(answers, summary, summary.figures)
    before = uncalibrated(scored.logits_NK, scored.labels_N)
    return MeasuredSplit(
        answers,
        summary,
        summary.figures
        | {f"{name}{UNCALIBRATED}": value for name, value in calibration_figures(before).items()}
        | selective_figures(summary.certainty, thresholds(validation.certainty)),
        reliability(before),
        operating_points(validation.curves, p_NK, scored.labels_N, class_ids=class_ids),
    )


def _warn_of_what_is_not_measured(table: pd.DataFrame) -> None:
    unmeasured = list(table.loc[table["support"] == 0, "class"])
    if unmeasured:
        named = ", ".join(unmeasured[:NAMED]) + (" ..." if len(unmeasured) > NAMED else "")
        log.warning(
            "%d of %d classes have no test image: not measured (%s)",
            len(unmeasured),
            len(table),
            named,
        )
