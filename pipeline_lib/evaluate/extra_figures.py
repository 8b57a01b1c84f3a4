"""What metrics.json says of each extra test set, and the plain test images that it is compared with. N images, K classes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.evaluate.calibration import Certainty, calibration_error, equal_mass
from pipeline_lib.evaluate.metrics import share_with_interval
from pipeline_lib.evaluate.predictions import Floats, Labels
from pipeline_lib.evaluate.shift import AMONG_FIVE, ShiftedImages
from pipeline_lib.shift.names import EXTRA
from pipeline_lib.shift.shown import chosen

Bools = npt.NDArray[np.bool_]
DROPS = ("drop", "drop_low", "drop_high")


def plain_of_sets(images: ShiftedImages, logits_NK: Floats, labels_N: Labels) -> dict[str, Bools]:
    """Extra test set -> whether the answers to plain test images are right: to those of its classes, chosen among the same
    classes as the answers of the set; to all where the test split has none of its classes.

    logits_NK, labels_N: of the test split.
    """
    found: dict[str, Bools] = {}
    sets = images.rows[images.rows["test_set"].str.startswith(f"{EXTRA}/")]
    for name, labels in sets.groupby("test_set")["labels"]:
        own = sorted({int(label) for some in labels for label in some})
        alike_N = np.isin(labels_N, own)
        if not alike_N.any():
            alike_N = np.ones(len(labels_N), bool)
        said_N = chosen(logits_NK[alike_N], images.choice_of.get(str(name)))
        found[str(name)] = said_N == labels_N[alike_N]
    return found


def extra_figures(
    shifted: pd.DataFrame, drops: pd.DataFrame, plain: Mapping[str, Bools]
) -> dict[str, dict[str, float]]:
    """Name of the set -> n images, top-1 and top-5, ECE (15 bins of equally many images), top-1 of the plain test images
    that it is compared with, and the drop against these; shares 0..1 with limits of 95 %.

    shifted: of `answer_shifted`. drops: of `shift_figures`. plain: of `plain_of_sets`.
    """
    by_set = drops.set_index("test_set")
    found: dict[str, dict[str, float]] = {}
    for test_set, plain_N in plain.items():
        answers = shifted[shifted["test_set"] == test_set]
        correct_N = answers["correct"].to_numpy(bool)
        n = len(answers)
        found[test_set.removeprefix(f"{EXTRA}/")] = {
            "n": n,
            **share_with_interval("top1", int(correct_N.sum()), n),
            **share_with_interval("top5", int(answers[AMONG_FIVE].sum()), n),
            "ece": _calibration_error(answers["p_predicted"].to_numpy(np.float64), correct_N),
            "plain_n": len(plain_N),
            "plain_top1": float(plain_N.mean()),
            **{name: float(by_set.loc[test_set, name]) for name in DROPS},  # type: ignore[arg-type]
        }
    return found


def _calibration_error(confidence_N: Floats, correct_N: Bools) -> float:
    nothing_N = np.zeros(0)  # of the truth nothing is asked
    certain = Certainty(confidence_N, correct_N, nothing_N, nothing_N)
    return calibration_error(certain, equal_mass(confidence_N))
