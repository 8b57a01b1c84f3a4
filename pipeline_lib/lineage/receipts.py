"""Chains out of DVC's receipts: pure functions over closures (what dvc.lock says, or said when a version was made)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline_lib.code_fingerprints import FINGERPRINT
from pipeline_lib.lineage.lineage import Fact, Step
from pipeline_lib.registry.closure import Closure, StageReceipt

SOURCE = "source "  # begins the label of a source's address


def steps_to_weights(
    closure: Closure, *, commit: str = "", dirty: bool = False, trained_on: str = ""
) -> tuple[Step, ...]:
    """Evaluation, weights, params and code, betons, selection and manifest, shards, listing: newest first.

    trained_on: device, processor, instruction set and threads, in words.
    """
    return (
        _outs_step("evaluation", closure, "evaluate", ("export", "predictions", "metrics")),
        _weights_step(closure, trained_on),
        _code_step(closure, commit, dirty),
        _outs_step("betons", closure, "convert", ("betons",)),
        _selection_step(closure),
        _outs_step("shards", closure, "download", ("shards", "members", "votes")),
        _source_step(closure),
    )


def made_from(closure: Closure, path: str) -> tuple[Step, ...]:
    """The stages behind a file of the line, nearest first."""
    steps: list[Step] = []
    queue, seen = [path], set()
    while queue:
        wanted = queue.pop(0)
        stage = _producer(closure, wanted)
        if stage is None or stage in seen:
            continue
        seen.add(stage)
        receipt = closure.stages[stage]
        data = {dep: md5 for dep, md5 in receipt.deps.items() if not _is_code(dep)}
        facts = [Fact(dep, md5, md5=True) for dep, md5 in data.items()]
        facts += [Fact("params", _params_text(receipt.params)), Fact("code", code_digest(receipt))]
        steps.append(Step(stage, stage, tuple(facts)))
        queue += list(data)
    return tuple(steps)


def made_with(closure: Closure, path: str) -> tuple[Step, ...]:
    """The outs that depend on a file of the line, directly or not, stage by stage."""
    steps: list[Step] = []
    touched = {path}
    producer = _producer(closure, path)
    for stage, receipt in _in_order(closure):
        reads_it = any(_overlaps(dep, known) for dep in receipt.deps for known in touched)
        if not reads_it or stage == producer:
            continue
        touched |= set(receipt.outs)
        facts = tuple(Fact(out, md5, md5=True) for out, md5 in receipt.outs.items())
        steps.append(Step(stage, stage, facts))
    return tuple(steps)


def md5_at(closure: Closure, path: str) -> str | None:
    """The md5 that a closure gives for a path, as an out or as a dep."""
    for receipt in closure.stages.values():
        found = receipt.outs.get(path) or receipt.deps.get(path)
        if found:
            return found
    return None


def paths_of(closure: Closure, md5: str) -> list[str]:
    """The paths whose md5 begins with the one given (at least 6 hex digits), in line order."""
    found: list[str] = []
    for _, receipt in _in_order(closure):
        hashes = {**receipt.outs, **receipt.deps}
        found += [path for path, hash_ in hashes.items() if hash_.startswith(md5)]
    return list(dict.fromkeys(found))


def code_digest(receipt: StageReceipt) -> str:
    """The fingerprint of the code a stage was run with; of an older line, one hash over its files and folders."""
    code = sorted((dep, md5) for dep, md5 in receipt.deps.items() if _is_code(dep))
    if len(code) == 1 and _is_fingerprint(code[0][0]):
        return f"fingerprint md5 {code[0][1]}"
    digest = hashlib.sha256(json.dumps(code).encode()).hexdigest()
    return f"{len(code)} files and folders, sha256 {digest[:16]}" if code else "not among its deps"


def _in_order(closure: Closure) -> list[tuple[str, StageReceipt]]:
    """The stages such that each comes after those it reads from."""
    left, done = dict(closure.stages), []
    while left:
        ready = [
            s for s in left if not any(_producer(closure, dep) in left for dep in left[s].deps)
        ]
        assert ready, f"a circle among the stages {sorted(left)}"
        done += [(stage, left.pop(stage)) for stage in ready]
    return done


def _producer(closure: Closure, path: str) -> str | None:
    for stage, receipt in closure.stages.items():
        if any(path == out or Path(out) in Path(path).parents for out in receipt.outs):
            return stage
    return None


def _overlaps(dep: str, known: str) -> bool:
    one, other = Path(dep), Path(known)
    return one == other or one in other.parents or other in one.parents


def _is_code(path: str) -> bool:
    return (
        _is_fingerprint(path) or Path(path).parts[0] == "pipeline_lib"
    )  # a line made before there were fingerprints


def _is_fingerprint(path: str) -> bool:
    return Path(path).name.startswith(FINGERPRINT)


def _outs_step(title: str, closure: Closure, stage: str, roles: Iterable[str]) -> Step:
    outs = {Path(path).stem: (path, md5) for path, md5 in closure.stages[stage].outs.items()}
    facts = tuple(Fact(*outs[role], md5=True) for role in roles if role in outs)
    return Step(title, stage, facts)


def _weights_step(closure: Closure, trained_on: str) -> Step:
    step = _outs_step("weights", closure, "train", ("weights",))
    return (
        replace(step, facts=(*step.facts, Fact("trained on", trained_on))) if trained_on else step
    )


def _code_step(closure: Closure, commit: str, dirty: bool) -> Step:
    state = " (a snapshot: the checkout had uncommitted changes)" if dirty else ""
    facts = [Fact("commit", f"{commit}{state}" if commit else "none: not in a git repository")]
    facts += [
        Fact(f"params of {name}", _params_text(closure.stages[name].params))
        for name in ("curate", "train", "evaluate")
    ]
    facts += [
        Fact(f"code of {name}", code_digest(closure.stages[name])) for name in ("train", "evaluate")
    ]
    return Step("params and code", "", tuple(facts))


def _selection_step(closure: Closure) -> Step:
    step = _outs_step(
        "selection and manifest", closure, "curate", ("selection", "manifest", "classes")
    )
    people = [
        Fact(dep, md5, md5=True)
        for dep, md5 in closure.stages["curate"].deps.items()
        if dep.startswith("curation/")
    ]
    return Step(step.title, step.made_by, (*step.facts, *people))


def _source_step(closure: Closure) -> Step:
    step = _outs_step("listing and source", closure, "discover", ("listing",))
    sources: list[Mapping[str, Any]] = (
        closure.stages["discover"].params.get("discover", {}).get("sources", [])
    )
    named = tuple(Fact(f"{SOURCE}{source['name']}", str(source["uri"])) for source in sources)
    return Step(step.title, step.made_by, (*step.facts, *named))


def without_local_folders(steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps for others to read: of a source on this machine the name alone, not the folders above it."""
    shortened = []
    for step in steps:
        facts = (
            replace(fact, value=Path(fact.value).name) if _is_local(fact) else fact
            for fact in step.facts
        )
        shortened.append(replace(step, facts=tuple(facts)))
    return tuple(shortened)


def _is_local(fact: Fact) -> bool:
    return fact.label.startswith(SOURCE) and Path(fact.value).is_absolute()


def _params_text(params: Mapping[str, Any]) -> str:
    """The section a stage ran with, as compact JSON; {} is all defaults."""
    (section,) = list(params.values()) or [{}]
    return json.dumps(section, separators=(", ", ": "), ensure_ascii=False)
