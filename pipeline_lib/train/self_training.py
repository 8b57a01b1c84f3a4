"""Self-training: a trained model labels the images without a label, and another one learns from both.

N images without a label, K classes.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from contextlib import closing
from typing import cast

import numpy as np
import pandas as pd
import torch

from pipeline_lib.harness.tracking import Tell
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.saved_weights import put_weights
from pipeline_lib.train.curves import Trained
from pipeline_lib.train.distributed import broadcast_object
from pipeline_lib.train.inputs import TrainingInputs
from pipeline_lib.train.loaders import open_images
from pipeline_lib.train.recipes import Recipe

log = logging.getLogger(__name__)


def guess_labels(inputs: TrainingInputs, trained: Trained) -> pd.DataFrame:
    """The labelled rows, and behind them those without a label that the model so far is sure of."""
    # Every process guesses all labels; rank 0's are taken, whose last bits may differ on another GPU.
    model = inputs.model_to_fill()
    put_weights(model.network, trained.state)
    unlabelled = inputs.selected.unlabelled
    rows = unlabelled.assign(label=0, weight=1.0)
    with closing(open_images(inputs.job, rows, inputs.params, share=False)) as loader:
        probabilities = [
            scored.logits_BK.softmax(1) for scored in score(model, loader, inputs.device)
        ]
    both = with_guessed(
        inputs.selected.train,
        unlabelled["image_id"],
        torch.cat(probabilities).numpy(),
        list(inputs.classes["class_id"]),
        confidence=inputs.params.pseudo_confidence,
    )
    return cast(pd.DataFrame, broadcast_object(both))


def with_guessed(
    rows: pd.DataFrame,
    image_ids: pd.Series,
    probabilities_NK: np.ndarray,
    classes: list[str],
    *,
    confidence: float,
) -> pd.DataFrame:
    """The labelled rows (image_id, label, class_id, weight), and behind them those whose label was guessed.

    A guessed image weighs in the loss as the labelled ones of its class do.
    """
    # As frequent as the classes are among the labelled images.
    share_K = np.bincount(rows["label"], minlength=len(classes)) / len(rows)
    guesses = pseudo_labels(probabilities_NK, share_K, confidence=confidence)

    # The same columns as the labelled rows have.
    guessed = pd.DataFrame(
        {"image_id": image_ids.to_numpy()[guesses["position"]], "label": guesses["label"]}
    )
    guessed["class_id"] = np.array(classes, dtype=object)[guesses["label"]]
    guessed["weight"] = guessed["label"].map(rows.groupby("label")["weight"].mean())

    per_class = guessed["class_id"].value_counts().sort_index()
    counts = ", ".join(f"{name} {n}" for name, n in per_class.items())
    log.info(
        "%d of %d images without a label take part: %s",
        len(guessed),
        len(image_ids),
        counts or "none",
    )
    return pd.concat([rows, guessed.astype(rows.dtypes.to_dict())], ignore_index=True)


def pseudo_labels(
    probabilities_NK: np.ndarray, share_K: np.ndarray, *, confidence: float
) -> pd.DataFrame:
    """Which images get which label: columns position (0 .. N - 1, rising), label, probability.

    A label is the most probable class, where its probability is at least `confidence` (0..1). Of the images called
    class k only the most probable share_K[k] * N are taken, share_K being the classes' shares of the labelled images:
    without that limit a model teaches itself its favourite class (Xie et al. 2020, arXiv 1911.04252, balance theirs
    too).
    """
    guesses = pd.DataFrame(
        {"label": probabilities_NK.argmax(1), "probability": probabilities_NK.max(1)}
    )
    guesses = guesses.rename_axis("position").reset_index()
    most_K = np.ceil(share_K * len(guesses)).astype(np.int64)

    # The most probable first; the position decides between equals.
    ranked = guesses.sort_values(
        ["label", "probability", "position"], ascending=[True, False, True]
    )
    place = ranked.groupby("label").cumcount()
    is_sure = ranked["probability"] >= confidence
    is_within_share = place < most_K[ranked["label"]]
    chosen: pd.DataFrame = ranked[is_sure & is_within_share].sort_values(
        "position", ignore_index=True
    )
    return chosen


def as_many_steps(recipe: Recipe, *, n_labelled: int, n_all: int) -> Recipe:
    """Scale the epochs so that training takes as many steps as on the labelled images alone."""
    epochs = math.ceil(recipe.epochs * n_labelled / n_all)
    return recipe.changed(epochs=max(min(1, recipe.epochs), epochs))


def counted_on(tell: Tell, n_before: int) -> Tell:
    """Continue the trackers' epoch count in later self-training rounds. n_before: epochs of the rounds before."""

    def tell_later(epoch: int, metrics: Mapping[str, float]) -> None:
        tell(n_before + epoch, {**metrics, "epoch": n_before + epoch})

    return tell_later
