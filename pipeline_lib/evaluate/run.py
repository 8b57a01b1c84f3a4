"""evaluate: weights + betons + selection val, test -> predictions, metrics, tables, export."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from pipeline_lib.errors import BadData
from pipeline_lib.evaluate.calibrate import Floats, Labels, fit_temperature, log_softmax
from pipeline_lib.evaluate.export import export_onnx, measure_parity
from pipeline_lib.evaluate.metrics import per_class, summarise
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.evaluate.predictions import predictions
from pipeline_lib.files.atomic import atomic_folder, link_or_copy, write_text
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.loader import open_still
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Calibrated, Classifier
from pipeline_lib.networks.device import choose_device
from pipeline_lib.networks.exported import load_exported
from pipeline_lib.networks.infer import score
from pipeline_lib.networks.model_file import ModelFile, read_model_file
from pipeline_lib.networks.saved_weights import WEIGHTS_FILE, load_weights
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION

log = logging.getLogger(__name__)
NAMED = 10  # classes in a message


@dataclass(frozen=True)
class Answers:
    """What the model said of one split, in no order that matters; `kept_BHWC`: the first few pictures it saw."""

    image_ids: list[str]
    labels_N: Labels
    logits_NK: Floats
    kept_BHWC: npt.NDArray[np.uint8]


def run(job: StageRun[EvaluateParams]) -> None:
    """Score validation and test, calibrate on validation, write tables and export.

    Raises BadData when a split is empty, the weights are of other classes, or the export does not repeat torch.
    """
    params = job.params
    about = read_model_file(job.reads["weights"])
    classes = read_classes(job.reads["classes"])
    if tuple(classes["class_id"]) != about.classes:
        remedy = "run `dvc repro train`"
        raise BadData(
            "the weights are of other classes than classes.csv",
            file=job.reads["weights"],
            value=about.classes[:5],
            remedy=remedy,
        )
    device = choose_device(job.settings.device, threads=params.threads, seed=0)
    network = build_network(about.network, n_classes=len(classes), side_px=about.side_px)
    load_weights(network, job.reads["weights"])
    model = Classifier(network, mean=about.mean, std=about.std, name=about.network).to(device)

    val, test = _answers(job, model, about, "val", device=device), _answers(job, model, about, "test", device=device)
    temperature = fit_temperature(val.logits_NK, val.labels_N)
    _write_tables(job, {"val": val, "test": test}, temperature=temperature, class_ids=about.classes)
    calibrated = Calibrated(model.cpu(), temperature=temperature)
    _export(job, calibrated, about.model_copy(update={"temperature": temperature}), test.kept_BHWC)


def _answers(
    job: StageRun[EvaluateParams], model: Classifier, about: ModelFile, split: str, *, device: torch.device
) -> Answers:
    params = job.params
    path = job.reads["selection"] / f"{split}.parquet"
    rows = SELECTION.read(path)
    if rows.empty:
        remedy = "add pictures to the source, or see in line/curate/curation.json why they were left out"
        raise BadData(f"no pictures in the {split} split", file=path, value="0 rows", remedy=remedy)
    loader = open_still(
        job.reads["betons"],
        rows,
        batch_size=params.batch_size,
        side_px=about.side_px,
        kind=job.settings.loader,
        workers=job.settings.worker_count(),
    )
    meter = Meter(f"evaluate {split}", "images", len(rows), job.settings.progress_every_s)
    positions, logits, kept, room = [], [], [], params.parity_images
    with closing(loader):
        for scored in score(model, loader, device):
            positions.append(scored.batch.positions_B)
            logits.append(scored.logits_BK)
            if room > 0:  # a clone: a slice would hold the whole batch in memory
                kept.append(scored.batch.images_BHWC[:room].clone())
            room -= len(scored.batch.positions_B)
            meter.step(len(scored.batch.positions_B))
    position_N = torch.cat(positions).numpy()
    assert sorted(position_N) == list(range(len(rows))), "a picture was scored twice or never"
    seen = rows.iloc[position_N]
    return Answers(
        list(seen["image_id"]),
        seen["label"].to_numpy(np.int64),
        torch.cat(logits).double().numpy(),
        torch.cat(kept).numpy(),
    )


def _write_tables(
    job: StageRun[EvaluateParams], splits: dict[str, Answers], *, temperature: float, class_ids: tuple[str, ...]
) -> None:
    params = job.params
    log_p = {split: log_softmax(answers.logits_NK / temperature) for split, answers in splits.items()}
    frames = {
        split: predictions(answers.image_ids, split, log_p_NK=log_p[split], labels_N=answers.labels_N)
        for split, answers in splits.items()
    }
    figures = {
        split: summarise(
            np.exp(log_p[split]), answers.labels_N, rounds=params.bootstrap_rounds, seed=params.bootstrap_seed
        )
        for split, answers in splits.items()
    }
    PREDICTIONS.write(pd.concat(frames.values()), job.writes["predictions"])
    write_text(job.writes["metrics"], json.dumps({**figures, "temperature": temperature}, indent=1) + "\n")
    test = frames["test"].sort_values("image_id")
    table = per_class(test["predicted"].to_numpy(np.int64), test["label"].to_numpy(np.int64), n_classes=len(class_ids))
    table.insert(0, "class", class_ids)
    _say_what_is_not_measured(table)
    names = np.array(class_ids, dtype=object)
    confusion = pd.DataFrame(
        {"image_id": test["image_id"], "actual": names[test["label"]], "predicted": names[test["predicted"]]}
    )
    for role, frame in (("per_class", table), ("confusion", confusion)):
        write_text(job.writes[role], frame_as_csv(frame))
    log.info(
        "test: top-1 %.2f %% (%.2f to %.2f), %d pictures",
        *(100 * figures["test"][key] for key in ("top1", "top1_low", "top1_high")),
        len(test),
    )


def _say_what_is_not_measured(table: pd.DataFrame) -> None:
    unmeasured = list(table.loc[table["support"] == 0, "class"])
    if unmeasured:
        named = ", ".join(unmeasured[:NAMED]) + (" ..." if len(unmeasured) > NAMED else "")
        log.warning("%d of %d classes have no test picture: not measured (%s)", len(unmeasured), len(table), named)


def _export(
    job: StageRun[EvaluateParams], model: Calibrated, about: ModelFile, images_BHWC: npt.NDArray[np.uint8]
) -> None:
    params = job.params
    with atomic_folder(job.writes["export"]) as folder:
        link_or_copy(job.reads["weights"] / WEIGHTS_FILE, folder / WEIGHTS_FILE)
        about.write(folder)
        export_onnx(model, folder, side_px=about.side_px)
        parity = measure_parity(model, load_exported(folder, threads=params.threads), images_BHWC)
        write_text(folder / "parity.json", json.dumps(asdict(parity), indent=1, sort_keys=True) + "\n")
