"""Which nights there were, and what became of each: out of the registry, git's runs, and operations.jsonl."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline_lib.history import costs
from pipeline_lib.history.costs import Operations
from pipeline_lib.history.night import Night, Outcome, Score
from pipeline_lib.history.runs import NAME, Run, md5s_in_lock, read_files, read_runs, started_at
from pipeline_lib.registry import Attempt, Registry, Version, records
from pipeline_lib.registry.closure import closure_from_json


@dataclass(frozen=True)
class Found:
    """A night with what its facts are read from. outs: role -> (path, md5), of its dvc.lock. judged: ISO time."""

    night: Night
    outs: Mapping[str, tuple[str, str]]
    attempt: Attempt | None = None
    ended: str = ""


def with_results(
    registry: Registry, versions: Sequence[Version], *, is_candidate: bool
) -> list[Found]:
    """The runs that git knows, then the verdicts of which git knows no run. is_candidate: the run that we are in."""
    attempts = registry.attempts()
    runs = read_runs(registry.origin)
    by_run = {a.tags[records.SETTLED_BY]: a for a in attempts if records.SETTLED_BY in a.tags}
    by_commit = {a.tags[records.COMMIT]: a for a in attempts if records.COMMIT in a.tags}
    outs_of_commit: dict[str, dict[str, tuple[str, str]]] = {}
    found = []
    told = set()
    without: list[Run] = []
    for run in runs:
        attempt = by_run.get(run.name)
        if attempt is None and run.made_by == run.name and run.parents:
            same = by_commit.get(run.parents[-1])
            is_its = same is not None and same.tags.get(records.REGISTERED_AT, "") >= run.started
            attempt = same if is_its else None
        if attempt is None:
            without.append(run)
            continue
        told.add(attempt.run_id)
        outs = _outs(attempt)
        outs_of_commit[run.commit] = outs
        found.append(_judged(attempt, outs, versions, run))
    locks = read_files(
        registry.origin,
        [f"{run.commit}:dvc.lock" for run in without if run.commit not in outs_of_commit],
    )
    for run in without:
        outs = outs_of_commit.get(run.commit) or _by_role(
            md5s_in_lock(locks.get(f"{run.commit}:dvc.lock", ""))
        )
        found.append(met_again(run, outs, attempts, versions, registry.name))
    for attempt in attempts:
        if attempt.run_id in told:
            continue
        # Only of candidates git forgets the commit; our own run has none yet.
        run_name = attempt.tags.get(records.SETTLED_BY, "")
        off_line = is_candidate if run_name == registry.run else bool(run_name)
        one = _judged(attempt, _outs(attempt), versions, None)
        off_line = off_line or one.night.candidate
        found.append(replace(one, night=replace(one.night, candidate=off_line)))
    return found


def _judged(
    attempt: Attempt,
    outs: Mapping[str, tuple[str, str]],
    versions: Sequence[Version],
    run: Run | None,
) -> Found:
    """The night of a verdict. run: None where git knows none, as of `dvc repro`."""
    verdict = attempt.verdict
    judged = attempt.tags.get(records.REGISTERED_AT, "")
    name = run.name if run else attempt.tags.get(records.SETTLED_BY, "")
    when = started_at(name) if NAME.fullmatch(name) else judged
    made = int(attempt.tags.get(records.VERSION, 0))  # none for a model that was refused
    version = records.with_number(versions, made)
    night = Night(
        when=when,
        run=name,
        outcome=verdict.decision,
        sentence=verdict.sentence + _since(attempt, version),
        key=attempt.tags[records.KEY],
        version=version.number if version else None,
        aliases=version.aliases if version else (),
        candidate=verdict.decision == "candidate" or bool(run and run.changes),
        changes=run.changes if run else (),
        commit=run.commit if run else attempt.tags.get(records.COMMIT, ""),
        comparison=verdict.comparison,
        score=score_of(json.loads(attempt.tags.get(records.METRICS, "{}")), "test."),
    )
    return Found(night, outs, attempt, run.ended if run else judged)


def met_again(
    run: Run,
    outs: Mapping[str, tuple[str, str]],
    attempts: Sequence[Attempt],
    versions: Sequence[Version],
    name: str,
) -> Found:
    """A run whose model and evaluation were judged before."""
    from pipeline_lib.register.attempt import GateQuestion

    key, attempt = "", None
    if "export" in outs and "predictions" in outs:
        key = GateQuestion(name, outs["export"][1], outs["predictions"][1], "").key
        # A verdict that came later is not this night's: that one is lost, as of a refused model in a fresh clone.
        before = [
            one
            for one in attempts
            if one.tags[records.KEY] == key
            and one.tags.get(records.REGISTERED_AT, "") <= run.started
        ]
        attempt = before[-1] if before else None
    version = next((v for v in versions if attempt and v.tags[records.KEY] == key), None)
    outcome: Outcome = "unknown"
    sentence = "The registry holds no verdict on this run."
    if attempt is not None:
        outcome = "unchanged"
        judged = records.day(attempt.tags.get(records.REGISTERED_AT))
        what = "the model and its answers" if run.made_by == run.name else "everything"
        numbered = f", as version {version.number}" if version else ""
        sentence = f"Nothing new: {what} as judged{judged}{numbered}."
    night = Night(
        when=run.started,
        run=run.name,
        outcome=outcome,
        sentence=sentence,
        key=key if attempt else "",
        version=version.number if version else None,
        aliases=version.aliases if version else (),
        candidate=not run.on_line,
        changes=run.changes,
        commit=run.commit,
    )
    # Of a run that tagged an earlier commit, that commit's time is not its end.
    return Found(night, outs, attempt, run.ended if run.made_by == run.name else "")


def _since(attempt: Attempt, version: Version | None) -> str:
    """What became of a version since its verdict."""
    if version is None:
        number = attempt.tags.get(records.VERSION)
        return f" Version {number} was deleted from the registry since." if number else ""
    if version.rolled_back:
        on = records.day(version.tags.get(records.ROLLED_BACK_AT))
        return f" Rolled back{on}: {version.rolled_back}"
    if records.PROMOTED_FOR in version.tags:
        on = records.day(version.tags.get(records.PROMOTED_AT))
        return f" Promoted by hand{on}: {version.tags[records.PROMOTED_FOR]}"
    return ""


def without_result(
    registry: Registry, operations: Operations, known: Collection[str], running: Collection[str]
) -> list[Found]:
    """Runs that failed, were skipped, go on, or left a workspace and no word."""
    nights = []
    for run, entry in operations.ends.items():
        if run not in known and NAME.fullmatch(run):
            outcome: Outcome = "skipped" if "skipped" in entry else "failed"
            said = str(entry.get("skipped") or entry.get("error") or "no reason is on record")
            nights.append(Night(when=started_at(run), run=run, outcome=outcome, sentence=said))
    told = {*known, *(night.run for night in nights)}
    for run in sorted(set(running) - told):
        if NAME.fullmatch(run):
            nights.append(Night(started_at(run), run, "running", "It has not ended yet."))
    told |= set(running)
    left = {one.name for one in (registry.state_folder / "workspaces").glob("*")}
    left |= set(operations.of_run)
    for run in sorted(left - told):
        if NAME.fullmatch(run) and costs.of_sweep(run) == run:
            nights.append(_left(run, operations))
    return [Found(night, {}) for night in nights]


def _left(run: str, operations: Operations) -> Night:
    """A run of which git and registry know nothing: it found nothing new and lost its tag since, or it never ended."""
    ended = any(
        one["stage"] == "register" and one.get("ok") for one in operations.of_run.get(run, ())
    )
    if ended:
        said = "Nothing new: no verdict is its own. What it was about is not known: its tag is gone (setting keep_runs)."
        return Night(started_at(run), run, "unchanged", said)
    said = "It left no result and no reason: killed, or the machine stopped."
    return Night(started_at(run), run, "no end", said)


def _outs(attempt: Attempt) -> dict[str, tuple[str, str]]:
    closure = closure_from_json(attempt.tags[records.CLOSURE])
    return _by_role(
        {path: md5 for one in closure.stages.values() for path, md5 in one.outs.items()}
    )


def _by_role(md5s: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """role -> (path, md5). The files that people write have the names of others, and are no out."""
    return {Path(path).stem: (path, md5) for path, md5 in md5s.items() if path.startswith("line/")}


def score_of(metrics: Mapping[str, float], prefix: str) -> Score | None:
    if f"{prefix}top1" not in metrics:
        return None
    return Score(
        float(metrics[f"{prefix}top1"]),
        metrics.get(f"{prefix}top1_low"),
        metrics.get(f"{prefix}top1_high"),
        int(metrics.get(f"{prefix}n", 0)),
    )
