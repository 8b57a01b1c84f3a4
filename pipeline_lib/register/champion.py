"""What the champion says of today's test pictures.

Its recorded predictions serve when it was evaluated on these very betons, classes and test rows. Else its exported ONNX
is run on today's test rows (today's code may no longer build its network), once: the answers are kept by (model, rows).
"""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import closing
from pathlib import Path

import pandas as pd

from pipeline_lib.atomic_files import write_text
from pipeline_lib.errors import PipelineError
from pipeline_lib.networks.exported import ExportedModel, open_exported
from pipeline_lib.register.gate import Champion
from pipeline_lib.registry import Registry, Version
from pipeline_lib.registry.closure import Closure
from pipeline_lib.stage import StageRun
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION

log = logging.getLogger(__name__)
BATCH = 128


def ask_champion(version: Version, job: StageRun, *, closure: Closure, registry: Registry) -> Champion:
    """The champion's answers on today's test rows; silent, with reason and remedy, when its bytes are not at hand.

    Raises PipelineError when today's own betons or selection are at fault.
    """
    memo = _memo(version, closure, registry)
    try:
        if test_inputs(version.closure) == test_inputs(closure):
            return Champion(version.number, _recorded(version, job, registry))
        if memo.exists():
            return Champion(version.number, pd.Series(json.loads(memo.read_text())))
        model = open_exported(registry.export_folder(version), threads=job.settings.worker_count())
    except PipelineError as error:
        log.warning("the champion (version %d) cannot be asked: %s", version.number, error)
        return Champion(version.number, None, f"version {version.number} cannot be asked: {error.what}; {error.remedy}")
    answers = score(model, job)
    write_text(memo, answers.to_json())
    return Champion(version.number, answers)


def test_inputs(closure: Closure) -> dict[str, str]:
    """role -> md5 of what decides the test rows, their classes and pixels."""
    deps = closure.stages["evaluate"].deps
    return {Path(path).stem: md5 for path, md5 in deps.items() if Path(path).stem in ("betons", "classes", "test")}


def _recorded(version: Version, job: StageRun, registry: Registry) -> pd.Series:
    """Predictions as recorded when the champion was evaluated. Raises SourceMissing."""
    path = registry.cache.object(version.closure.md5_of("predictions"))
    table = PREDICTIONS.read(path, ["image_id", "split", "predicted"]).query("split == 'test'")
    names = read_classes(job.reads["classes"])["class_id"]
    return pd.Series(names.loc[table["predicted"].to_numpy(int)].to_numpy(), index=table["image_id"].to_numpy())


def _memo(version: Version, closure: Closure, registry: Registry) -> Path:
    """Where the answers of this model on these test rows are kept."""
    key = hashlib.sha256(json.dumps([version.model_md5, test_inputs(closure)], sort_keys=True).encode()).hexdigest()
    return registry.state_folder / "champion_answers" / f"{key}.json"


def score(model: ExportedModel, job: StageRun) -> pd.Series:
    """class_id by image_id that an exported model gives for today's test rows, in its own view of today's betons."""
    from pipeline_lib.loader import open_still  # with torch: 2 s that most runs need not pay

    rows = SELECTION.read(job.reads["selection"] / "test.parquet")
    log.info("the test pictures changed: asking the champion about %d of them", len(rows))
    answers: dict[str, str] = {}
    loader = open_still(
        job.reads["betons"],
        rows,
        batch_size=BATCH,
        side_px=model.about.side_px,
        kind=job.settings.loader,
        workers=job.settings.worker_count(),
    )
    with closing(loader):
        for batch in loader.epoch(0):
            said_B = model.probabilities(batch.images_BHWC.numpy()).argmax(axis=1)
            ids_B = rows["image_id"].iloc[batch.positions_B.numpy()]
            answers |= {image: model.about.classes[k] for image, k in zip(ids_B, said_B.tolist(), strict=True)}
    return pd.Series(answers)
