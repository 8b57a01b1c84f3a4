"""What the model says of shifted test sets: shifted.parquet. N rows of the table, B images of a batch, K classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from pipeline_lib.evaluate.metrics import top_classes
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.predictions import Floats, log_softmax
from pipeline_lib.evaluate.unlike import draw_evenly
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.networks.infer import logits_of
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.shift.names import (
    STRENGTHS,
    corrupted_set,
    extra_set,
)
from pipeline_lib.shift.shown import chosen, show

AMONG_FIVE = "among_five"
TINY = float(np.finfo(np.float64).tiny)


@dataclass(frozen=True)
class ShiftedImages:
    """What to show. rows: test_set, image_id, label, and all labels that are right for the image. choice_of: test set ->
    the only classes among which its answers are chosen, for those that restrict them.
    """

    rows: pd.DataFrame
    choice_of: Mapping[str, list[int]]


def shifted_images(
    test: pd.DataFrame, extra: pd.DataFrame, params: EvaluateParams
) -> ShiftedImages:
    """Choose the images. test: rows of the test split. extra: of EXTRA_TESTS."""
    drawn = draw_evenly(test, params.corrupted_images)[["image_id", "label"]]
    drawn = drawn.assign(labels=pd.Series([[label] for label in drawn["label"]], drawn.index))
    sets = [
        drawn.assign(test_set=corrupted_set(kind, strength))
        for kind in params.corruptions
        for strength in STRENGTHS
    ]
    extras = extra[["image_id", "labels"]].assign(
        label=[labels[0] for labels in extra["labels"]], test_set=extra["test_set"].map(extra_set)
    )
    restricted = extra[extra["restricted"].astype(bool)]
    choice_of = {
        extra_set(str(source)): sorted({int(label) for some in labels for label in some})
        for source, labels in restricted.groupby("test_set")["labels"]
    }
    return ShiftedImages(pd.concat([*sets, extras], ignore_index=True), choice_of)


def answer_shifted(
    job: StageRun[EvaluateParams],
    model: Classifier,
    about: ModelFile,
    images: ShiftedImages,
    *,
    temperature: float,
    device: torch.device,
) -> pd.DataFrame:
    """The rows of SHIFTED: the model's answers to these images; and AMONG_FIVE: a right class is among the five best."""
    rows = images.rows
    meter = Meter("evaluate shift", "images", len(rows), job.settings.progress_every_s)
    predicted_N = np.zeros(len(rows), np.int32)
    p_predicted_N = np.zeros(len(rows), np.float32)
    among_five_N = np.zeros(len(rows), bool)
    right_of = [frozenset(map(int, labels)) for labels in rows["labels"]]
    for shown in show(
        job.reads["betons"],
        rows,
        side_px=about.side_px,
        batch_size=job.params.batch_size,
        loader=job.settings.loader,
        workers=job.settings.worker_count(),
    ):
        logits_BK = logits_of(model, shown.images_BHWC, device, image_ids=shown.image_ids)
        p_BK = np.exp(log_softmax(logits_BK.double().numpy() / temperature))
        p_BK = _among(p_BK, images.choice_of.get(shown.test_set))
        predicted_B = chosen(p_BK, None)
        predicted_N[shown.rows_B] = predicted_B
        p_predicted_N[shown.rows_B] = p_BK[np.arange(len(p_BK)), predicted_B]
        five_B = top_classes(p_BK)
        among_five_N[shown.rows_B] = [
            not right_of[row].isdisjoint(five)
            for row, five in zip(shown.rows_B, five_B.tolist(), strict=True)
        ]
        meter.step(len(shown.rows_B))
    is_right = [said in right for said, right in zip(predicted_N.tolist(), right_of, strict=True)]
    return rows.drop(columns="labels").assign(
        predicted=predicted_N,
        correct=np.array(is_right, bool),
        p_predicted=p_predicted_N,
        **{AMONG_FIVE: among_five_N},
    )


def _among(p_BK: Floats, classes: Sequence[int] | None) -> Floats:
    """The probabilities of these classes alone, which sum to 1; None or empty: of all."""
    if not classes:
        return p_BK
    own_BK = np.zeros_like(p_BK)
    own_BK[:, classes] = p_BK[:, classes]
    total_B1: Floats = own_BK.sum(axis=1, keepdims=True)
    return np.where(total_B1 > 0, own_BK / np.maximum(total_B1, TINY), own_BK)
