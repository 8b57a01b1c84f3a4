"""Self-training: a trained model labels the pictures without a label, and another learns from both.

N pictures without a label, K classes.
"""

from __future__ import annotations

import logging
import math
from dataclasses import replace

import numpy as np
import pandas as pd

from pipeline_lib.train.loop import Trained, best
from pipeline_lib.train.recipes import Recipe

log = logging.getLogger(__name__)


def pseudo_labels(probabilities_NK: np.ndarray, share_K: np.ndarray, *, confidence: float) -> pd.DataFrame:
    """Which pictures get which label: columns position (0 .. N - 1, rising), label, probability.

    A label is the most probable class, where its probability is at least `confidence` (0..1). Of the pictures called
    class k only the most probable share_K[k] * N are taken, share_K being the classes' shares of the labelled
    pictures: without that limit a model teaches itself its favourite class (Xie et al. 2020, arXiv 1911.04252, balance
    theirs too).
    """
    guess = pd.DataFrame({"label": probabilities_NK.argmax(1), "probability": probabilities_NK.max(1)})
    guess = guess.rename_axis("position").reset_index()
    most_K = np.ceil(share_K * len(guess)).astype(np.int64)
    ranked = guess.sort_values(["label", "probability", "position"], ascending=[True, False, True])
    rank = ranked.groupby("label").cumcount()
    taken = (ranked["probability"] >= confidence) & (rank < most_K[ranked["label"]])
    chosen: pd.DataFrame = ranked[taken].sort_values("position", ignore_index=True)
    return chosen


def with_guessed(
    rows: pd.DataFrame, image_ids: pd.Series, probabilities_NK: np.ndarray, classes: list[str], *, confidence: float
) -> pd.DataFrame:
    """The labelled rows (image_id, label, class_id, weight), and behind them those whose label was guessed.

    A guessed picture weighs in the loss as the labelled ones of its class do.
    """
    share_K = np.bincount(rows["label"], minlength=len(classes)) / len(rows)
    guessed = pseudo_labels(probabilities_NK, share_K, confidence=confidence)
    own = pd.DataFrame({"image_id": image_ids.to_numpy()[guessed["position"]], "label": guessed["label"]})
    own["class_id"] = np.array(classes, dtype=object)[guessed["label"]]
    own["weight"] = own["label"].map(rows.groupby("label")["weight"].mean())
    counts = ", ".join(f"{name} {n}" for name, n in own["class_id"].value_counts().sort_index().items())
    log.info("%d of %d pictures without a label take part: %s", len(own), len(image_ids), counts or "none")
    return pd.concat([rows, own.astype(rows.dtypes.to_dict())], ignore_index=True)


def as_many_steps(recipe: Recipe, *, n_labelled: int, n_all: int) -> Recipe:
    """The recipe with so many epochs over `n_all` pictures as make the steps it takes over the labelled ones."""
    return replace(recipe, epochs=max(1, math.ceil(recipe.epochs * n_labelled / n_all)))


def best_of(rounds: list[Trained]) -> Trained:
    """The curves of all rounds, one after the other, and the weights that validate best among them."""
    curves = [epoch for trained in rounds for epoch in trained.curves]
    counted = [replace(epoch, epoch=number) for number, epoch in enumerate(curves, 1)]
    chosen = min(rounds, key=lambda trained: trained.best.val_loss)
    return Trained(counted, best(counted), chosen.state)
