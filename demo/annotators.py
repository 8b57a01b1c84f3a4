"""Three people of unequal quality look at every image and say what they see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

CLASSES = tuple("0123456789")
LOOKALIKE = {
    "1": "8",
    "8": "1",
    "3": "9",
    "9": "3",
    "4": "7",
    "7": "4",
    "5": "6",
    "6": "5",
    "0": "2",
    "2": "0",
}


@dataclass(frozen=True)
class Annotator:
    """accuracy: share of images named rightly, 0..1. swaps: a pair of classes taken for each other at `swap_rate`."""

    name: str
    accuracy: float
    swaps: tuple[str, str] = ("", "")
    swap_rate: float = 0.0


ANNOTATORS = (
    Annotator("ana", 0.98),
    Annotator("ben", 0.94),
    Annotator("cleo", 0.89, swaps=("1", "8"), swap_rate=0.2),
)


def cast_votes(
    true_labels: Mapping[str, str], rng: np.random.Generator
) -> list[tuple[str, str, str]]:
    """Every annotator's vote on every member: rows of (member, annotator, label), in the members' order."""
    return [
        (member, annotator.name, _vote(label, annotator, rng))
        for member, label in true_labels.items()
        for annotator in ANNOTATORS
    ]


def wrong_label(label: str, rng: np.random.Generator) -> str:
    """Any other class, all equally likely."""
    return str(rng.choice([other for other in CLASSES if other != label]))


def _vote(label: str, annotator: Annotator, rng: np.random.Generator) -> str:
    if label in annotator.swaps and rng.random() < annotator.swap_rate:
        return next(other for other in annotator.swaps if other != label)
    return label if rng.random() < annotator.accuracy else wrong_label(label, rng)
