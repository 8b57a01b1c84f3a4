"""What the champion, and the reference, say of today's test images, and what their classes are called today.

Its recorded predictions serve when it was evaluated on these very betons, classes and test rows. Else its exported ONNX
is run on today's test rows (today's code may no longer build its network), once: the answers are kept by (model, rows).

Its classes become today's through the renames and merges that `curate` recorded: profile.json of each version says what
every received class became. A champion's class is today's class when all that went into it then goes into one class
now.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import PipelineError
from pipeline_lib.files.atomic import write_text
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.exported import ExportedModel, load_exported
from pipeline_lib.register.gate import Champion
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Registry, Version
from pipeline_lib.registry.closure import Closure
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION

log = logging.getLogger(__name__)
BATCH = 128
ANSWERS_VERSION = 2  # raised when the file of answers is written otherwise
Became = Mapping[str, str | None]  # received class -> class id; None: excluded


@dataclass(frozen=True)
class ModelAnswers:
    """What a model says. classes: its own, by output index. by_image: image_id -> one of them."""

    classes: tuple[str, ...]
    by_image: pd.Series


def ask_champion(
    version: Version, job: StageRun[RegisterParams], *, closure: Closure, registry: Registry
) -> Champion:
    """The champion's answers on today's test rows; silent, with reason and remedy, when its bytes are not available.

    Raises PipelineError when today's own betons or selection are at fault.
    """
    memo = _memo(version, closure, registry)
    try:
        if test_inputs(version.closure) == test_inputs(closure):
            return _champion(version, _recorded(version, job, registry), job, registry)
        if memo.exists():
            return _champion(version, _from_json(memo.read_text(encoding="utf-8")), job, registry)
        model = load_exported(registry.export_folder(version), threads=job.settings.worker_count())
    except PipelineError as error:
        log.warning("version %d cannot be asked: %s", version.number, error)
        why = f"version {version.number} cannot be asked: {error.what}; {error.remedy}"
        return Champion(version.number, None, {}, why_silent=why)
    answers = score(model, job)
    write_text(
        memo, json.dumps({"classes": answers.classes, "answers": answers.by_image.to_dict()})
    )
    return _champion(version, answers, job, registry)


def ask_reference(
    champion: Champion, job: StageRun[RegisterParams], *, closure: Closure, registry: Registry
) -> Champion | None:
    """The pinned model's answers: not asked again where it is the champion; None where that one is silent too."""
    version = registry.reference()
    if version is None:
        return None
    if version.number == champion.version:
        return champion if champion.answers is not None else None
    return ask_champion(version, job, closure=closure, registry=registry)


def _champion(
    version: Version, answers: ModelAnswers, job: StageRun[RegisterParams], registry: Registry
) -> Champion:
    """The champion with its answers, and what its classes are called today."""
    profiles = [
        md5
        for path, md5 in version.closure.stages["curate"].outs.items()
        if Path(path).stem == "profile"
    ]
    then = read_became(registry.cache.find(profiles[0]) if profiles else None)
    now = read_became(job.reads["profile"])
    today = classes_today(answers.classes, then, now)
    return Champion(
        version.number, answers.by_image, today, recorded=then is not None and now is not None
    )


def _from_json(text: str) -> ModelAnswers:
    """What `ask_champion` noted of an earlier run."""
    content = json.loads(text)
    return ModelAnswers(tuple(content["classes"]), pd.Series(content["answers"], dtype="str"))


def test_inputs(closure: Closure) -> dict[str, str]:
    """role -> md5 of what decides the test rows, their classes and pixels."""
    deps = closure.stages["evaluate"].deps
    return {
        Path(path).stem: md5
        for path, md5 in deps.items()
        if Path(path).stem in ("betons", "classes", "test")
    }


def _recorded(version: Version, job: StageRun[RegisterParams], registry: Registry) -> ModelAnswers:
    """Predictions as recorded when the champion was evaluated, on today's classes.csv. Raises SourceMissing."""
    path = registry.cache.object(version.closure.md5_of("predictions"))
    table = PREDICTIONS.read(path, ["image_id", "split", "predicted"]).query("split == 'test'")
    names = read_classes(job.reads["classes"])["class_id"]
    said = names.loc[table["predicted"].to_numpy(int)].to_numpy()
    return ModelAnswers(tuple(names), pd.Series(said, index=table["image_id"].to_numpy()))


def _memo(version: Version, closure: Closure, registry: Registry) -> Path:
    """Where the answers of this model on these test rows are kept."""
    key = hashlib.sha256(
        json.dumps(
            [ANSWERS_VERSION, version.model_md5, test_inputs(closure)], sort_keys=True
        ).encode()
    ).hexdigest()
    return registry.state_folder / "champion_answers" / f"{key}.json"


def score(model: ExportedModel, job: StageRun[RegisterParams]) -> ModelAnswers:
    """What an exported model says of today's test rows, in its own classes and its own view of today's betons."""
    from pipeline_lib.loader import open_still  # with torch: 2 s that most runs need not pay

    rows = SELECTION.read(job.reads["selection"] / "test.parquet")
    log.info("the test images changed: asking a registered model about %d of them", len(rows))
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
            answers |= {
                image: model.about.classes[k]
                for image, k in zip(ids_B, said_B.tolist(), strict=True)
            }
    return ModelAnswers(model.about.classes, pd.Series(answers))


def read_became(profile: Path | None) -> Became | None:
    """What every received class became, out of a profile.json; None when it is absent or older than the record."""
    if profile is None:
        return None
    became: Became | None = json.loads(profile.read_text(encoding="utf-8")).get("became")
    return became


def classes_today(
    champion_classes: Iterable[str], then: Became | None, now: Became | None
) -> dict[str, str]:
    """Champion's class id -> today's class id, without those that were split or excluded since.

    then, now: what received classes became when the champion was trained, and today. Without both records, or where
    the sources themselves no longer use the name, a class is known by its id.
    """
    if then is None or now is None:
        return {name: name for name in champion_classes}
    today: dict[str, str] = {}
    for name in champion_classes:
        still_received = [
            received for received, became in then.items() if became == name and received in now
        ]
        candidates = {now[received] for received in still_received} if still_received else {name}
        wanted = candidates - {None}
        if len(wanted) == 1:
            today[name] = str(wanted.pop())
    return today
