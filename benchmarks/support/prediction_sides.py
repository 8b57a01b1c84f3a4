"""The sides of benchmarks/speed/prediction.py, each in a process that loads what it needs.

    python -m benchmarks.support.prediction_sides SIDE EXPORT IMAGES ROWS BATCH

Prints the CPU seconds of the process and its children and the seconds that passed, from the opening of the model on.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime  # noqa: F401 - loaded before the clock runs

from pipeline_lib.networks.exported import load_exported
from pipeline_lib.predict import exported_model, predict_each
from pipeline_lib.prediction.sight import trained_sight
from pipeline_lib.prediction_rows import RowRules, as_row

BARE, OURS = "bare loop", "predict"


def bare_loop(export: Path, files: Sequence[Path], target: Path, *, batch: int) -> None:
    """What a person would write: decode, stack, run, a row each."""
    exported = load_exported(export, threads=1)
    see = trained_sight(exported.about).see
    classes = list(zip(exported.about.classes, exported.about.names, strict=True))
    with target.open("w", encoding="utf-8") as rows:
        for start in range(0, len(files), batch):
            some = files[start : start + batch]
            images_BHWC = np.stack([see(file.read_bytes()) for file in some])
            (p_BK,) = exported.session.run(["probabilities"], {"images": images_BHWC})
            for file, p_K in zip(some, p_BK, strict=True):
                order = np.argsort(-p_K)[:5]
                guesses = [
                    {"class": classes[k][0], "name": classes[k][1], "p": round(float(p_K[k]), 6)}
                    for k in order
                ]
                rows.write(json.dumps({"file": str(file), "guesses": guesses}) + "\n")


def ours(export: Path, files: Sequence[Path], target: Path) -> None:
    """predict, with its rows."""
    model = exported_model(export)
    rules = RowRules(model.identity, 5, None)
    with target.open("w", encoding="utf-8") as rows:
        for one in predict_each(files, model):
            rows.write(json.dumps(as_row(one, rules)) + "\n")


def _cpu_s() -> float:
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def main() -> None:
    """Command line."""
    side, export, images, target, batch = sys.argv[1:]
    folder = Path(images)
    files = [folder / name for name in sorted(os.listdir(folder))]  # noqa: PTH208 - names alone
    before, began = _cpu_s(), time.monotonic()
    if side == BARE:
        bare_loop(Path(export), files, Path(target), batch=int(batch))
    else:
        ours(Path(export), files, Path(target))
    print(_cpu_s() - before, time.monotonic() - began)


if __name__ == "__main__":
    main()
