"""The page of corrupted images and extra test sets: what is left of the accuracy, beside the champion's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from pipeline_lib.files.csv_cells import read_frame
from pipeline_lib.loader.augmentation import image_keys
from pipeline_lib.registry import ShiftChange, Verdict
from pipeline_lib.report.thumbnails import Thumbnail
from pipeline_lib.shift.corruptions import corrupt
from pipeline_lib.shift.names import (
    CORRUPTED,
    KINDS,
    STRENGTHS,
    Kind,
    corrupted_set,
    extra_set,
    in_words,
    is_corrupted,
)
from pipeline_lib.tables.shifted import SHIFTED

FIGURES = ("top1", "top1_low", "top1_high", "drop", "drop_low", "drop_high")
SHADES = 9


@dataclass(frozen=True)
class Figures:
    """Of a shifted test set: shares 0..1, with limits of 95 %. change: what the gate found against the champion."""

    name: str
    words: str
    n: int
    top1: float
    top1_low: float
    top1_high: float
    drop: float
    drop_low: float
    drop_high: float
    change: ShiftChange | None = None

    @property
    def shade(self) -> int:
        """0..9, by the drop."""
        return int(np.clip(np.ceil(10 * self.drop - 0.05), 0, SHADES))


@dataclass(frozen=True)
class KindOfCorruption:
    """kind: its name. mean: over its strengths, which are `levels`."""

    kind: Kind
    mean: Figures
    levels: tuple[Figures, ...]


@dataclass(frozen=True)
class Shift:
    """All that was measured. mean: over all corruptions, None without any. example: an image that has them all."""

    mean: Figures | None
    kinds: tuple[KindOfCorruption, ...]
    extras: tuple[Figures, ...]
    example: str = ""

    @property
    def sets(self) -> tuple[Figures, ...]:
        """The sets that the gate looks at."""
        return (*(one.mean for one in self.kinds), *self.extras)


def read_shift(files: Mapping[str, Path], predictions: pd.DataFrame, verdict: Verdict) -> Shift:
    """Read shift.csv and shifted.parquet. predictions: of the plain images."""
    table = read_frame(files["shift"], ("test_set",))
    change_of = {change.name: change for change in verdict.shift_changes}
    by_name = {
        str(row["test_set"]): Figures(
            name=str(row["test_set"]),
            words=in_words(str(row["test_set"])),
            n=int(row["n"]),
            change=change_of.get(str(row["test_set"])),
            **{figure: float(row[figure]) for figure in FIGURES},
        )
        for row in table.to_dict("records")
    }
    kinds = tuple(
        KindOfCorruption(
            kind,
            by_name[f"{CORRUPTED}/{kind}"],
            tuple(by_name[corrupted_set(kind, strength)] for strength in STRENGTHS),
        )
        for kind in KINDS
        if f"{CORRUPTED}/{kind}" in by_name
    )
    extras = tuple(one for name, one in by_name.items() if name.startswith(extra_set("")))
    return Shift(by_name.get(CORRUPTED), kinds, extras, _example(files["shifted"], predictions))


def _example(shifted: Path, predictions: pd.DataFrame) -> str:
    """A corrupted image that the model gets right as it is; "" where nothing was corrupted."""
    rows = SHIFTED.read(shifted, ["test_set", "image_id"])
    shown = rows.loc[rows["test_set"].map(is_corrupted).astype(bool), "image_id"].unique()
    right = set(predictions.loc[predictions["correct"].astype(bool), "image_id"])
    return str(min(shown, key=lambda image: (image not in right, image), default=""))


def write_examples(
    shift: Shift, images: Mapping[str, Thumbnail], folder: Path
) -> dict[str, Thumbnail]:
    """Corrupt the example's thumbnail in all kinds and strengths: test set -> its file in `folder`.

    The names begin as the thumbnail's does, so that an image that must be erased is found in all of them.
    """
    plain = images.get(shift.example)
    if plain is None:
        return {}
    with Image.open(folder / plain.file) as opened:
        pixels_HWC = np.asarray(opened.convert("RGB"))
    side = min(pixels_HWC.shape[:2])
    top, left = (pixels_HWC.shape[0] - side) // 2, (pixels_HWC.shape[1] - side) // 2
    square_HWC = np.ascontiguousarray(pixels_HWC[top : top + side, left : left + side])
    key = int(image_keys([shift.example])[0])
    found = {}
    for one in shift.kinds:
        for strength in STRENGTHS:
            name = f"{Path(plain.file).stem}-{one.kind}-{strength}.webp"
            made = Image.fromarray(corrupt(square_HWC, one.kind, strength, key=key))
            made.save(folder / name, "WEBP", lossless=plain.tiny, quality=100 if plain.tiny else 72)
            found[corrupted_set(one.kind, strength)] = Thumbnail(name, plain.tiny)
    return found
