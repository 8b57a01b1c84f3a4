"""What the model says of shifted test sets: shifted.parquet. N rows of the table, B images of a batch, K classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.predictions import log_softmax
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
    """The rows of SHIFTED: the model's answers to these images."""
    rows = images.rows
    meter = Meter("evaluate shift", "images", len(rows), job.settings.progress_every_s)
    predicted_N = np.zeros(len(rows), np.int32)
    p_predicted_N = np.zeros(len(rows), np.float32)
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
        predicted_B = chosen(p_BK, images.choice_of.get(shown.test_set))
        predicted_N[shown.rows_B] = predicted_B
        p_predicted_N[shown.rows_B] = p_BK[np.arange(len(p_BK)), predicted_B]
        meter.step(len(shown.rows_B))
    is_right = [said in labels for said, labels in zip(predicted_N, rows["labels"], strict=True)]
    return rows.drop(columns="labels").assign(
        predicted=predicted_N, correct=np.array(is_right, bool), p_predicted=p_predicted_N
    )
