"""The digits of scikit-learn as a line up to `convert`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from sklearn.model_selection import train_test_split

from benchmarks.support.file_line import FileLine, Picture
from demo.images import load_scans, png

TEST, VAL = 0.2, 0.1  # shares of all 1,797 digits


@dataclass(frozen=True)
class Split:
    """Rows of a selection (image_id, label, class_id, weight), drawn so that all classes have their share."""

    train: pd.DataFrame
    val: pd.DataFrame
    test: pd.DataFrame


class DigitLine(FileLine):
    """Betons of all digits below a folder, and draws of training, validation and test rows."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, digits())

    def split(self, seed: int) -> Split:
        """Another draw for every seed: 1,257 to train on, 180 to validate, 360 to test."""
        rest, test = train_test_split(
            self.rows, test_size=TEST, stratify=self.rows["label"], random_state=seed
        )
        share = VAL / (1 - TEST)
        train, val = train_test_split(
            rest, test_size=share, stratify=rest["label"], random_state=seed
        )
        return Split(train, val, test)


def digits() -> list[Picture]:
    """All 1,797, each 32 px as PNG; the class is the digit."""
    scans = load_scans()
    named = zip(scans.labels, scans.images, strict=True)
    return [
        Picture(f"digits/{number:04}.png", str(label), png(image))
        for number, (label, image) in enumerate(named)
    ]
