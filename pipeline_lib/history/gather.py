"""All nights of a model, computed from registry, git, DVC's cache and operations.jsonl: nothing is kept for it.

A night is a run, or a registration by `dvc repro`. The registry knows what was judged, git which runs had a result,
operations.jsonl which had none. What one of them has forgotten, another may still tell.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pipeline_lib.harness.operations import read_operations
from pipeline_lib.history import costs
from pipeline_lib.history.changes import Changes
from pipeline_lib.history.costs import Operations, sort_operations
from pipeline_lib.history.night import (
    ChangeCounts,
    History,
    Images,
    Night,
)
from pipeline_lib.history.results import Found, score_of, with_results, without_result
from pipeline_lib.history.runs import (
    champion_turns,
    read_files,
)
from pipeline_lib.registry import Registry, Version, records
from pipeline_lib.registry.report_places import report_of
from pipeline_lib.settings import Settings

NEVER = "9999-12-31T00:00:00+00:00"


def gather(
    registry: Registry,
    settings: Settings,
    *,
    running: Collection[str] = (),
    most_counted: int | None = None,
) -> History:
    """running: runs that have not ended. most_counted: of the manifests that were never compared; None: all."""
    versions = registry.known_versions()
    operations = sort_operations(read_operations(registry.state_folder))
    found = with_results(registry, versions, is_candidate=settings.candidate)
    found += without_result(registry, operations, {one.night.run for one in found}, running)
    found.sort(key=lambda one: (one.night.when, one.night.run))
    found = _with_champions(found, registry, versions)
    files = _files_in_git(found, registry.origin)
    found = [_with_facts(one, files, registry.state_folder) for one in found]
    found = _with_costs(found, operations, settings.price_per_hour)
    nights = _with_changes(found, Changes(registry.cache, registry.state_folder), most_counted)
    champion = next((v.number for v in versions if records.CHAMPION in v.aliases), None)
    return History(registry.name, tuple(nights), champion, records.now())


def _with_champions(
    found: Sequence[Found], registry: Registry, versions: Sequence[Version]
) -> list[Found]:
    """Which version was champion after each night: the last that was set before the next one."""
    turns: list[tuple[str, int | None]] = champion_turns(registry.origin, registry.name)
    if not turns:  # not a git repository: only the last promotion of each version is on record
        turns = sorted(
            (v.tags[records.PROMOTED_AT], v.number)
            for v in versions
            if records.PROMOTED_AT in v.tags
        )
    top1 = {
        int(one.attempt.tags[records.VERSION]): one.night.score.top1
        for one in found
        if one.attempt and one.night.score and records.VERSION in one.attempt.tags
    } | {v.number: v.metrics["test.top1"] for v in versions if "test.top1" in v.metrics}
    told = []
    at = 0
    champion: int | None = None
    for number, one in enumerate(found):
        following = found[number + 1].night.when if number + 1 < len(found) else NEVER
        while at < len(turns) and turns[at][0] < following:
            champion = turns[at][1]
            at += 1
        night = replace(one.night, champion=champion, champion_top1=top1.get(champion or 0))
        told.append(replace(one, night=night))
    return told


def _files_in_git(found: Sequence[Found], repository: Path) -> dict[str, str]:
    """`commit:path` -> text of the figures that git holds."""
    names = [
        f"{one.night.commit}:{one.outs[role][0]}"
        for one in found
        for role in ("curation", "metrics")
        if one.night.commit and role in one.outs
    ]
    return read_files(repository, names)


def _with_facts(one: Found, files: Mapping[str, str], state_folder: Path) -> Found:
    """Figures and the report."""
    if not one.outs:  # of a run without a result, or one that is forgotten
        return one
    unknown = []
    texts = {role: files.get(f"{one.night.commit}:{out[0]}") for role, out in one.outs.items()}
    score = one.night.score
    if score is None and texts.get("metrics"):
        score = score_of(json.loads(texts["metrics"] or "{}").get("test", {}), "")
    if score is None:
        unknown.append("top-1: neither registry nor git holds the metrics")
    images = None
    if curation := texts.get("curation"):
        ledger = json.loads(curation).get("ledger", {})
        if {"discovered", "kept"} <= ledger.keys():
            images = Images(int(ledger["discovered"]), int(ledger["kept"]))
    report = report_of(one.night.key) if one.night.key else ""
    if report and not (state_folder / "reports" / report).exists():
        report = ""
        unknown.append("report: removed by retention (setting keep_reports), or made elsewhere")
    night = replace(one.night, score=score, images=images, report=report, unknown=tuple(unknown))
    return replace(one, night=night)


def _with_costs(
    found: Sequence[Found], operations: Operations, price_per_hour: str | None
) -> list[Found]:
    told = []
    for number, one in enumerate(found):
        night = one.night
        entries = operations.of_run.get(costs.of_sweep(night.run), ()) if night.run else ()
        if not entries and night.run:
            following = found[number + 1].night.when if number + 1 < len(found) else NEVER
            entries = costs.group_between(operations, night.when, one.ended or following)
        elif not night.run and one.ended:
            entries = costs.group_of_verdict(operations, one.ended)
        cost = costs.cost_of(entries, price_per_hour)
        unknown = night.unknown
        if cost is None and night.outcome not in ("skipped", "running"):
            unknown = (*unknown, "time: operations.jsonl holds no line of it")
        told.append(replace(one, night=replace(night, cost=cost, unknown=unknown)))
    return told


def _with_changes(
    found: Sequence[Found], changes: Changes, most_counted: int | None
) -> list[Night]:
    """What changed in images and labels since the last night of the line."""
    before: Found | None = None
    asked = []
    for one in found:
        if "manifest" not in one.outs:
            continue
        if before is not None:
            asked.append((before, one))
        if not one.night.candidate:
            before = one
    counted = changes.count([(then.outs, now.outs) for then, now in asked], most=most_counted)
    of_night = {id(now): (then, count) for (then, now), count in zip(asked, counted, strict=True)}
    nights = []
    for one in found:
        night = one.night
        if id(one) in of_night:
            then, count = of_night[id(one)]
            night = _counted(replace(night, since=then.night.when), count)
        if one.outs and night.images is None:
            night = replace(
                night, unknown=(*night.unknown, "images: git no longer holds the figures of curate")
            )
        nights.append(night)
    return nights


def _counted(night: Night, count: ChangeCounts | str) -> Night:
    """count: the changes, or why they are not known."""
    if isinstance(count, str):
        return replace(night, unknown=(*night.unknown, count))
    return replace(night, changed=count, images=night.images or Images(None, count.kept_now))
