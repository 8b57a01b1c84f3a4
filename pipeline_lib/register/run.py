"""register: ask the registry about this model and evaluation; judge, record and promote if it has no answer yet.

A reconciler: it brings registry, git tags and report to what they should be, and changes nothing when they are.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

from pipeline_lib.errors import BadData
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.networks.model_file import read_model_file
from pipeline_lib.register.attempt import GateQuestion, ask, attempt_tags
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.publish import publish
from pipeline_lib.registry import Attempt, Registry, Verdict, load_registry, outcome_of
from pipeline_lib.registry.closure import Closure, read_closure
from pipeline_lib.registry.git_tags import take_snapshot
from pipeline_lib.registry.reconcile import reconcile
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)


def run(job: StageRun[RegisterParams]) -> None:
    """Settle the question this line puts, mirror the registry as git tags, publish the report.

    Raises BadData when dvc.lock is not the receipt of the available files, ServiceUnavailable when the registry refuses.
    """
    closure = read_closure(job.checkout).without("register")
    _check_receipt(job.reads["predictions"], closure)
    registry = load_registry(job.settings, job.checkout)
    question = ask(closure, job.params, name=registry.name, candidate=is_candidate(job.settings))
    with registry.locked():
        carried_out = registry.settle()  # what a killed run left
        reconcile(registry)
        known = registry.find(question.key, question.rule)
        attempt = known
        if known is None or known.verdict.provisional:
            attempt = _settle_question(question, known, job=job, closure=closure, registry=registry)
        assert attempt is not None, "a question was settled without an attempt"
        registry.mirror_tags(job.checkout)
        report = publish(
            attempt, registry.version_of(question.key), job=job, closure=closure, registry=registry
        )
        is_new = attempt is not known or attempt.run_id in carried_out
        outcome = outcome_of(attempt, registry.versions(), is_new=is_new)
    log.info(outcome.sentence)
    log.info("report: %s", report)


def is_candidate(settings: Settings) -> bool:
    """Whether this run may register a challenger at most: a run with changed parameters, or an experiment of DVC."""
    return settings.candidate or "DVC_EXP_BASELINE_REV" in os.environ


def _settle_question(
    question: GateQuestion,
    known: Attempt | None,
    *,
    job: StageRun[RegisterParams],
    closure: Closure,
    registry: Registry,
) -> Attempt:
    """Judge and record; a verdict that is provisional again is not recorded twice."""
    from pipeline_lib.slices.columns import Wanted, check_columns  # with pandas: 2 s

    check_columns(Wanted(job.params.slices, job.checkout), job.reads)
    verdict = _judge(question, job=job, closure=closure, registry=registry)
    if known is not None and verdict.provisional:
        return known
    metrics = json.loads(job.reads["metrics"].read_text(encoding="utf-8"))["test"]
    tags = attempt_tags(
        question,
        verdict,
        closure=closure,
        metrics={f"test.{name}": float(value) for name, value in metrics.items()},
        trained_on=read_model_file(job.reads["export"]).trained_in_words(),
        snapshot=take_snapshot(job.checkout),
        description=f"{verdict.sentence}\n\nTop-1 {metrics['top1']:.2%} on {metrics['n']} test images.",
    )
    return registry.record(tags, title=f"{verdict.decision} {question.key[:12]}")


def _judge(
    question: GateQuestion, *, job: StageRun[RegisterParams], closure: Closure, registry: Registry
) -> Verdict:
    """Gather what the gate looks at, and ask it."""
    # Here and not above: pandas and SciPy cost 2 s that a run with nothing new need not pay.
    from pipeline_lib.register.champion_answers import ask_champion, ask_reference
    from pipeline_lib.register.gate import Evaluation, judge, same_model
    from pipeline_lib.register.reference import only_seed_differs
    from pipeline_lib.tables.predictions import PREDICTIONS
    from pipeline_lib.tables.selection import SELECTION
    from pipeline_lib.upgrade.releases import known_releases

    champion = registry.champion()
    if champion is not None and champion.model_md5 == question.model_md5:
        return same_model(champion.number)
    releases = known_releases(job.checkout)
    evaluation = Evaluation(
        predictions=PREDICTIONS.read(job.reads["predictions"]),
        selection={
            split: SELECTION.read(job.reads["selection"] / f"{split}.parquet")
            for split in ("train", "val", "test")
        },
        parity=json.loads((job.reads["export"] / "parity.json").read_text(encoding="utf-8")),
    )
    asked = ask_champion(champion, job, closure=closure, registry=registry) if champion else None
    return judge(
        evaluation,
        job.params,
        champion=asked,
        candidate=is_candidate(job.settings),
        rolled_back=registry.rolled_back(question.model_md5),
        reference=ask_reference(asked, job, closure=closure, registry=registry) if asked else None,
        only_seed_changed=champion is not None
        and only_seed_differs(closure, champion.closure, releases),
    )


def _check_receipt(predictions: Path, closure: Closure) -> None:
    """dvc.lock must be the receipt of the files that are judged: it says which bytes get registered."""
    with predictions.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != closure.md5_of("predictions"):
        remedy = "run `dvc repro`, which brings both in line, instead of the stage alone"
        raise BadData(
            "dvc.lock is the receipt of another evaluation",
            file=predictions,
            value=found,
            remedy=remedy,
        )
