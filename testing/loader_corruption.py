"""Damage a beton in many ways, and see what a loader makes of it. Each batch of cases is a process of its own.

    python -m testing.loader_corruption FOLDER KIND SEED FIRST END

runs some cases and prints a line of JSON for each. `run_cases` starts these processes and counts a crash or a hang as
what became of the case at work.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.betons.layout import ALLOCATION, JPG, SAMPLE, SAMPLES_AT, Array
from pipeline_lib.betons.read import Beton, open_beton
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.errors import PipelineError
from pipeline_lib.loader import Augmentation, open_loader
from testing.damaged_betons import smooth
from tests.unit.loader.conftest import write_beton

ROOT = Path(__file__).parents[1]
SIZES = ((48, 48), (60, 90), (81, 81), (40, 130), (97, 100), (64, 64))
BATCH_CASES, BATCH_S = 100, 300
TRAINING = Augmentation(scale_min=0.2, flip=True)


class Outcome(StrEnum):
    """What became of a damaged beton."""

    REFUSED = "refused when it was opened, by name"
    NAMED = "the damaged image is named"
    SAME = "shown as if nothing had happened, every pixel right"
    SILENT = "shown with other pixels, without a word"
    TRACEBACK = "an error that is not for users"
    CRASH = "the process crashed"
    HANG = "no end"


BROKEN_PROMISES = (Outcome.SILENT, Outcome.TRACEBACK, Outcome.CRASH, Outcome.HANG)


@dataclass(frozen=True)
class Damaged:
    """The bytes of a damaged file, what was done, and to which row (None: to the tables or the length)."""

    content: bytes
    how: str
    row: int | None


HOW = (
    "bits of a JPEG",
    "a JPEG cut",
    "zeros in a JPEG",
    "bits of raw pixels",
    "bits of the tables",
    "the file cut",
)


def damage(beton: Beton, rng: np.random.Generator, how: str) -> Damaged:
    """One kind of damage, at a random place."""
    content, end = (
        bytearray(beton.content.tobytes()),
        len(beton.content) - len(beton.samples_N) * ALLOCATION.itemsize,
    )
    if how == "the file cut":
        return Damaged(bytes(content[: rng.integers(len(content))]), how, None)
    if how == "bits of the tables":
        tables = [
            *range(SAMPLES_AT + len(beton.samples_N) * SAMPLE.itemsize),
            *range(end, len(content)),
        ]
        _flip(content, rng.choice(tables, rng.integers(1, 4)), rng)
        return Damaged(bytes(content), how, None)
    is_jpeg = beton.samples_N["image"]["mode"] == JPG
    row = int(rng.choice(np.flatnonzero(is_jpeg == ("JPEG" in how))))
    start, size = int(beton.samples_N["image"]["data_ptr"][row]), int(beton.sizes_N[row])
    at = start + int(rng.integers(size))
    if how == "a JPEG cut":
        content[at : start + size] = bytes(start + size - at)
    elif how == "zeros in a JPEG":
        length = min(40, start + size - at)
        content[at : at + length] = bytes(length)
    else:
        _flip(content, start + rng.integers(0, size, rng.integers(1, 4)), rng)
    return Damaged(bytes(content), how, row)


def make_beton(folder: Path) -> None:
    """One beton of raw images and JPEGs of several kinds, in `folder`/betons."""
    images = {f"{n:02}.png": smooth(n, *size) for n, size in enumerate((*SIZES, *SIZES))}
    write_beton(folder, "aa", images, ConvertParams(mode="auto", raw_up_to_px=60))


def run_cases(folder: Path, kind: str, *, count: int, seed: int) -> list[tuple[str, Outcome]]:
    """(how, outcome) of each case, in order."""
    found: list[tuple[str, Outcome]] = []
    while len(found) < count:
        end = min(count, len(found) + BATCH_CASES)
        case = [str(folder), kind, str(seed), str(len(found)), str(end)]
        command = [sys.executable, "-m", "testing.loader_corruption", *case]
        try:
            ended = subprocess.run(
                command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=BATCH_S, check=False
            )
            said, last = ended.stdout, Outcome.CRASH
        except subprocess.TimeoutExpired as late:
            said, last = (late.stdout or b"").decode(), Outcome.HANG  # bytes, whatever `text` says
        found += [(how, Outcome(outcome)) for how, outcome in map(json.loads, said.splitlines())]
        if len(found) < end:
            found.append((HOW[len(found) % len(HOW)], last))
    return found


class Bench:
    """A folder with one beton, opened again and again by one kind of loader."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder, self.kind = folder, kind
        self.path = folder / "betons" / "aa.beton"
        self.sound = open_beton(self.path)
        names = [f"{n:02}.png" for n in range(len(self.sound.samples_N))]
        self.selection = pd.DataFrame({"image_id": names, "label": 0, "weight": 1.0})
        self.right = {augmentation: self.show(augmentation) for augmentation in self.views()}

    def views(self) -> list[Augmentation | None]:
        """Evaluation and training views; training views of FFCV cannot be repeated, so not compared."""
        return [None] if self.kind == "ffcv" else [None, TRAINING]

    def show(self, augmentation: Augmentation | None) -> Array:
        """All images in the order of their rows, uint8 [N, side, side, 3]."""
        options: dict[str, Any] = {
            "batch_size": 4,
            "side_px": 40,
            "shuffle": False,
            "seed": 1,
            "drop_last": False,
        }
        options["kind"] = self.kind  # of the command line
        loader = open_loader(
            self.folder / "betons", self.selection, augmentation=augmentation, workers=2, **options
        )
        return np.concatenate([batch.images_BHWC.numpy().copy() for batch in loader.epoch(0)])

    def outcome(self, damaged: Damaged, augmentation: Augmentation | None) -> Outcome:
        """Put the damaged bytes in the place of the beton, and look."""
        self.path.unlink()  # a new file: the old one may still be mapped
        self.path.write_bytes(damaged.content)
        try:
            shown = self.show(augmentation)
        except PipelineError as error:
            if f"row {damaged.row}, {damaged.row or 0:02}.png" in str(error):
                return Outcome.NAMED
            is_of_file = error.file == str(self.path) and (damaged.row is None)
            return Outcome.REFUSED if is_of_file else Outcome.TRACEBACK
        except Exception:
            return Outcome.TRACEBACK
        return Outcome.SAME if np.array_equal(shown, self.right[augmentation]) else Outcome.SILENT


def _flip(content: bytearray, places: Array, rng: np.random.Generator) -> None:
    for at in places.tolist():
        content[at] ^= 1 << int(rng.integers(8))


def main(folder: Path, kind: str, seed: int, first: int, end: int) -> None:
    """Command line."""
    if not (folder / "sound").exists():
        make_beton(folder)
        (folder / "betons" / "aa.beton").rename(folder / "sound")
    (folder / "betons" / "aa.beton").unlink(missing_ok=True)
    (folder / "betons" / "aa.beton").write_bytes((folder / "sound").read_bytes())
    bench = Bench(folder, kind)
    for number in range(first, end):
        damaged = damage(bench.sound, np.random.default_rng((seed, number)), HOW[number % len(HOW)])
        augmentation = bench.views()[number // len(HOW) % len(bench.views())]
        print(json.dumps([damaged.how, bench.outcome(damaged, augmentation)]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:6]))
