"""evaluate: weights + betons + selection -> predictions, metrics, tables, export."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from pipeline_lib.errors import BadData
from pipeline_lib.evaluate.explanations import write_explanations
from pipeline_lib.evaluate.export import export_onnx, measure_parity
from pipeline_lib.evaluate.extra_figures import plain_of_sets
from pipeline_lib.evaluate.metrics import share_with_interval
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.predictions import (
    fit_temperature,
)
from pipeline_lib.evaluate.shift import answer_shifted, shifted_images
from pipeline_lib.evaluate.split_tables import ScoredSplit, write_tables
from pipeline_lib.evaluate.unlike import (
    Rank,
    Remarking,
    Spread,
    draw_evenly,
    fit_spread,
    promised_false_alarms,
    watch_features,
    why_not,
)
from pipeline_lib.files.atomic import atomic_folder, link_or_copy, write_text
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import BatchLoader, open_still
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.device import choose_device
from pipeline_lib.networks.exported import UNLIKE, UNLIKE_BORDER, UNLIKE_FILE, load_exported
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.model_file import ModelFile, read_model_file
from pipeline_lib.networks.saved_weights import WEIGHTS_FILE, load_weights
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.extra_tests import EXTRA_TESTS
from pipeline_lib.tables.selection import SELECTION

log = logging.getLogger(__name__)
NAMED = 10  # classes in a message
SHOWN = 5  # of the classes of the weights, in a message


def run(job: StageRun[EvaluateParams]) -> None:
    """Score validation and test, calibrate on validation, learn what unlike images are, write tables and export.

    Raises BadData when a split is empty, the weights are of other classes, or the export does not repeat torch.
    """
    params = job.params

    # The weights must be of today's classes: their outputs are numbered in the order of classes.csv.
    about = read_model_file(job.reads["weights"])
    classes = read_classes(job.reads["classes"])
    if tuple(classes["class_id"]) != about.classes:
        raise BadData(
            "the weights are of other classes than classes.csv",
            file=job.reads["weights"],
            value=about.classes[:SHOWN],
            remedy="run `dvc repro train`",
        )

    # Build the network and load its weights.
    device = choose_device(job.settings.device, threads=params.threads, seed=0)
    network = build_network(about.network, n_classes=len(classes), side_px=about.side_px)
    load_weights(network, job.reads["weights"])
    model = Classifier(network, mean=about.mean, std=about.std, name=about.network).to(device)

    # How far images may lie from the training images: fitted to some of these.
    rows = {split: _read_rows(job, split) for split in ("train", "val", "test")}
    no_unlike = why_not(n_validation=len(rows["val"]), n_training=params.unlike_images)
    spread: Spread | None = None
    if no_unlike:
        log.warning("no image will be called unlike the training images: %s", no_unlike)
    else:
        drawn = draw_evenly(rows["train"], params.unlike_images)
        spread = _fit_spread(job, model, about, drawn, device=device)

    # Calibrate and rank on validation, so that nothing is chosen on the test split.
    splits = {
        split: _score_split(job, model, about, split, rows[split], spread, device=device)
        for split in ("val", "test")
    }
    temperature = fit_temperature(splits["val"].logits_NK, splits["val"].labels_N)
    far_N = splits["val"].distances_N
    rank = None if far_N is None else Rank(far_N)
    alarms = _false_alarms(splits["test"], rank)

    # Corrupted images and extra test sets.
    extra = EXTRA_TESTS.read(job.reads["selection"] / "extra.parquet")
    images = shifted_images(rows["test"], extra, params)
    shifted = answer_shifted(job, model, about, images, temperature=temperature, device=device)
    test = splits["test"]
    plain = plain_of_sets(images, test.logits_NK, test.labels_N)
    write_tables(
        job, splits, shifted, plain, temperature=temperature, alarms=alarms, class_ids=about.classes
    )

    # The export has the temperature inside: its probabilities are the calibrated ones.
    calibrated = Calibrated(model.cpu(), temperature=temperature)
    write_explanations(job, model, about, partial(_open, job, side_px=about.side_px))
    about = about.model_copy(update={"temperature": temperature})
    told: dict[str, Any] = {"why_not": no_unlike}
    exported: Calibrated | Remarking = calibrated
    if spread and rank:
        exported = Remarking(calibrated, spread, rank)
        told = {
            "border": UNLIKE_BORDER,
            "n_training": len(drawn),
            "n_validation": len(rows["val"]),
            "promised": asdict(promised_false_alarms(len(rows["val"]))),
            "on_test": alarms,
        }
    _export(job, exported, about, told, splits["test"].kept_BHWC)


def _read_rows(job: StageRun[EvaluateParams], split: str) -> pd.DataFrame:
    path = job.reads["selection"] / f"{split}.parquet"
    rows = SELECTION.read(path)
    if rows.empty:
        remedy = (
            "add images to the source, or see in line/curate/curation.json why they were left out"
        )
        raise BadData(f"no images in the {split} split", file=path, value="0 rows", remedy=remedy)
    return rows


def _open(job: StageRun[EvaluateParams], rows: pd.DataFrame, side_px: int) -> BatchLoader:
    return open_still(
        job.reads["betons"],
        rows,
        batch_size=job.params.batch_size,
        side_px=side_px,
        kind=job.settings.loader,
        workers=job.settings.worker_count(),
    )


def _fit_spread(
    job: StageRun[EvaluateParams],
    model: Classifier,
    about: ModelFile,
    rows: pd.DataFrame,
    *,
    device: torch.device,
) -> Spread:
    """Fit to these training images, as evaluation sees them."""
    loader = _open(job, rows, about.side_px)
    positions: list[torch.Tensor] = []
    features: list[torch.Tensor] = []
    with closing(loader), watch_features(model) as take:
        for scored in score(model, loader, device):
            positions.append(scored.batch.positions_B)
            features.append(take())
    # In the order of the rows, so that the loader does not change the last bits.
    return fit_spread(torch.cat(features)[torch.cat(positions).argsort()])


def _score_split(
    job: StageRun[EvaluateParams],
    model: Classifier,
    about: ModelFile,
    split: str,
    rows: pd.DataFrame,
    spread: Spread | None,
    *,
    device: torch.device,
) -> ScoredSplit:
    loader = _open(job, rows, about.side_px)
    meter = Meter(f"evaluate {split}", "images", len(rows), job.settings.progress_every_s)
    positions: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []
    distances: list[torch.Tensor] = []
    kept: list[torch.Tensor] = []  # images for the parity check
    room = job.params.parity_images
    with closing(loader), watch_features(model) as take:
        for scored in score(model, loader, device):
            positions.append(scored.batch.positions_B)
            logits.append(scored.logits_BK)
            features_BF = take()
            if spread:
                distances.append(spread(features_BF))
            if room > 0:  # a clone: a slice would hold the whole batch in memory
                kept.append(scored.batch.images_BHWC[:room].clone())
            room -= len(scored.batch.positions_B)
            meter.step(len(scored.batch.positions_B))

    # The loader gives images in an order of its own; each brings its position in the selection.
    position_N = torch.cat(positions).numpy()
    assert sorted(position_N) == list(range(len(rows))), "an image was scored twice or never"
    seen = rows.iloc[position_N]
    return ScoredSplit(
        image_ids=list(seen["image_id"]),
        labels_N=seen["label"].to_numpy(np.int64),
        logits_NK=torch.cat(logits).double().numpy(),
        distances_N=torch.cat(distances) if distances else None,
        kept_BHWC=torch.cat(kept).numpy(),
    )


def _false_alarms(test: ScoredSplit, rank: Rank | None) -> dict[str, float]:
    """The share of test images that are called unlike the training images, with its interval: for metrics.json."""
    if rank is None or test.distances_N is None:
        return {}
    n_called = int((rank(test.distances_N) <= UNLIKE_BORDER).sum())
    return share_with_interval(UNLIKE, n_called, len(test.distances_N))


def _export(
    job: StageRun[EvaluateParams],
    model: Calibrated | Remarking,
    about: ModelFile,
    unlike: Mapping[str, Any],
    images_BHWC: npt.NDArray[np.uint8],
) -> None:
    params = job.params
    with atomic_folder(job.writes["export"]) as folder:
        link_or_copy(job.reads["weights"] / WEIGHTS_FILE, folder / WEIGHTS_FILE)
        about.write(folder)
        write_text(folder / UNLIKE_FILE, json.dumps(unlike, indent=1, sort_keys=True) + "\n")
        export_onnx(model, folder, side_px=about.side_px)
        parity = measure_parity(model, load_exported(folder, threads=params.threads), images_BHWC)
        write_text(
            folder / "parity.json", json.dumps(asdict(parity), indent=1, sort_keys=True) + "\n"
        )
