"""What the champion says of today's shifted images, beside what the new model says.

The images are those that the new model was shown (shifted.parquet). Its recorded answers serve where today's betons,
classes, test rows, extra test sets and code of `evaluate` made them; else its exported ONNX is shown the images, once:
the answers are kept by (model, images).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline_lib.errors import PipelineError
from pipeline_lib.files.atomic import write_text
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.exported import ExportedModel, load_exported
from pipeline_lib.register.champion_answers import BATCH
from pipeline_lib.register.gate import Champion, Shifted
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Registry, Version
from pipeline_lib.registry.closure import Closure
from pipeline_lib.shift.names import extra_set, is_corrupted
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.extra_tests import EXTRA_TESTS
from pipeline_lib.tables.shifted import SHIFTED

log = logging.getLogger(__name__)
SHOWN_BY = ("betons", "classes", "test", "extra", "code_of_evaluate")  # deps of evaluate
KEY = ["test_set", "image_id"]
Labels = npt.NDArray[np.int64]


class _CannotBeAsked(Exception):
    """The champion's bytes are not available: with the reason and the remedy."""


def compare_shifted(
    champion: Champion,
    version: Version,
    job: StageRun[RegisterParams],
    *,
    closure: Closure,
    registry: Registry,
) -> Shifted:
    """Both models' answers to the images that the new one was shown; none, with the reason, where it cannot be asked.

    Raises PipelineError when today's own betons or tables are at fault.
    """
    rows = SHIFTED.read(job.reads["shifted"])
    if rows.empty or champion.answers is None:
        return Shifted(None)
    extra = EXTRA_TESTS.read(job.reads["selection"] / "extra.parquet")
    said = _recorded(version, rows, job, closure=closure, registry=registry)
    if said is None:
        try:
            said = _asked(champion, version, rows, extra, job, closure=closure, registry=registry)
        except _CannotBeAsked as error:
            log.warning("version %d cannot be asked: %s", version.number, error)
            return Shifted(None, str(error))
    names = read_classes(job.reads["classes"])["class_id"]
    return Shifted(joined(rows, said, extra, names, champion.today))


def joined(
    rows: pd.DataFrame,
    said: pd.Series,
    extra: pd.DataFrame,
    names: pd.Series,
    today: Mapping[str, str],
) -> pd.DataFrame:
    """The answers with `champion_right` and `shared` (the champion knows a class that is right).

    said: the champion's class ids by row, in its own classes. names: class ids by label.
    """
    right_of = dict(zip(extra["image_id"], map(frozenset, extra["class_ids"]), strict=True))
    label_class = names.loc[rows["label"].to_numpy(int)]
    known = frozenset(today.values())
    right = [
        frozenset((class_id,)) if is_corrupted(name) else right_of[image_id]
        for name, image_id, class_id in zip(
            rows["test_set"], rows["image_id"], label_class, strict=True
        )
    ]
    said_today = said.map(dict(today))
    return rows.assign(
        champion_right=[one in some for one, some in zip(said_today, right, strict=True)],
        shared=[not known.isdisjoint(some) for some in right],
    )


def shown_by(closure: Closure) -> dict[str, str]:
    """role -> md5 of what decides which images are shown and how."""
    deps = closure.stages["evaluate"].deps
    return {Path(path).stem: md5 for path, md5 in deps.items() if Path(path).stem in SHOWN_BY}


def _recorded(
    version: Version,
    rows: pd.DataFrame,
    job: StageRun[RegisterParams],
    *,
    closure: Closure,
    registry: Registry,
) -> pd.Series | None:
    """Class ids as recorded when the champion was evaluated; None where it was shown other images."""
    if shown_by(version.closure) != shown_by(closure):
        return None
    outs = version.closure.stages["evaluate"].outs
    md5s = [md5 for path, md5 in outs.items() if Path(path).stem == "shifted"]
    file = registry.cache.find(md5s[0]) if md5s else None
    if file is None:
        return None
    table = SHIFTED.read(file, [*KEY, "predicted"])
    found = rows[KEY].merge(table, on=KEY, how="left", validate="one_to_one")["predicted"]
    if found.isna().any():  # other params of `evaluate`
        return None
    names = read_classes(job.reads["classes"])["class_id"]
    return pd.Series(names.loc[found.to_numpy(int)].to_numpy(), index=rows.index)


def _asked(
    champion: Champion,
    version: Version,
    rows: pd.DataFrame,
    extra: pd.DataFrame,
    job: StageRun[RegisterParams],
    *,
    closure: Closure,
    registry: Registry,
) -> pd.Series:
    """Class ids as the exported model says now, or said before of the same images. Raises _CannotBeAsked."""
    text = json.dumps(
        [
            version.model_md5,
            shown_by(closure),
            sorted(champion.today.items()),
            *rows[KEY].to_numpy().tolist(),
        ]
    )
    key = hashlib.sha256(text.encode()).hexdigest()
    memo = registry.state_folder / "champion_answers" / f"shifted-{key}.json"
    if not memo.exists():
        try:
            folder = registry.export_folder(version)
            model = load_exported(folder, threads=job.settings.worker_count())
        except PipelineError as error:
            raise _CannotBeAsked(f"{error.what}; {error.remedy}") from error
        labels_N = score(model, rows, choices(extra, model.about.classes, champion.today), job)
        write_text(memo, json.dumps({"classes": model.about.classes, "labels": labels_N.tolist()}))
    known = json.loads(memo.read_text(encoding="utf-8"))
    names = np.array(known["classes"], dtype=object)
    return pd.Series(names[known["labels"]], index=rows.index)


def choices(
    extra: pd.DataFrame, own: tuple[str, ...], today: Mapping[str, str]
) -> dict[str, list[int]]:
    """test set -> outputs among which its answers are chosen, for restricted sets: those of the set's own classes."""
    found: dict[str, list[int]] = {}
    for source, rows in extra[extra["restricted"]].groupby("test_set"):
        classes = {class_id for some in rows["class_ids"] for class_id in some}
        found[extra_set(str(source))] = [
            k for k, name in enumerate(own) if today.get(name) in classes
        ]
    return found


def score(
    model: ExportedModel,
    rows: pd.DataFrame,
    choice_of: Mapping[str, list[int]],
    job: StageRun[RegisterParams],
) -> Labels:
    """The output that the model chooses for each row, in its own view of today's betons."""
    from pipeline_lib.shift.shown import chosen, show  # with torch: 2 s that most runs need not pay

    log.info("showing a registered model %d corrupted and extra images", len(rows))
    frame = rows[KEY].reset_index(drop=True)
    labels_N = np.zeros(len(frame), np.int64)
    for shown in show(
        job.reads["betons"],
        frame,
        side_px=model.about.side_px,
        batch_size=BATCH,
        loader=job.settings.loader,
        workers=job.settings.worker_count(),
    ):
        p_BK = model.probabilities(shown.images_BHWC.numpy())
        labels_N[shown.rows_B] = chosen(p_BK, choice_of.get(shown.test_set))
    return labels_N
