"""`perennial versions`: list the registered models."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline_lib.registry import Attempt, Version

HELP = "list the registered models: number, aliases, date, top-1 on test, verdict"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial versions`."""
    parser.add_argument("--json", action="store_true", help="print a JSON array")


def run(options: argparse.Namespace) -> int:
    """Print one version per line, oldest first; if there is none, the verdict on the last model."""
    from flows.cli.project import find_project
    from pipeline_lib.registry.registry import load_registry
    from pipeline_lib.settings import load_settings

    origin = find_project(Path.cwd())
    registry = load_registry(load_settings(origin), origin)
    versions = registry.known_versions()
    if options.json:
        print(json.dumps([_facts(version) for version in versions], indent=1))
    elif versions:
        print("\n".join(_line(_facts(version)) for version in versions))
    else:
        print(_none(registry.last_attempt()))
    return 0


def _facts(version: Version) -> dict[str, Any]:
    """*_at, *_since: ISO 8601, None if unknown or no longer true. top1: 0..1 on test, None if not measured."""
    from pipeline_lib.registry import records

    is_reference = records.REFERENCE in version.aliases
    return {
        "number": version.number,
        "aliases": list(version.aliases),
        "registered_at": version.tags.get(records.REGISTERED_AT),
        "promoted_at": version.tags.get(records.PROMOTED_AT),
        "promoted_for": version.tags.get(records.PROMOTED_FOR),
        "rolled_back_at": version.tags.get(records.ROLLED_BACK_AT) if version.rolled_back else None,
        "rolled_back_for": version.rolled_back,
        "reference_since": version.tags.get(records.REFERENCE_SINCE) if is_reference else None,
        "reference_for": version.tags.get(records.REFERENCE_FOR) if is_reference else None,
        "top1": version.metrics.get("test.top1"),
        "decision": version.verdict.decision,
        "verdict": version.verdict.sentence,
    }


def _line(facts: dict[str, Any]) -> str:
    aliases, day = (
        ", ".join(facts["aliases"]) or "-",
        (facts["registered_at"] or "")[:10] or "date unknown",
    )
    top1 = "?" if facts["top1"] is None else f"{100 * facts['top1']:.1f} %"
    lines = [f"{facts['number']:>4}  {aliases:<19}  {day:<12}  top-1 {top1:>7}  {facts['verdict']}"]
    if facts["promoted_for"]:
        lines.append(f"      promoted by hand{_on(facts['promoted_at'])}: {facts['promoted_for']}")
    if facts["reference_for"]:
        lines.append(
            f"      reference by hand{_on(facts['reference_since'])}: {facts['reference_for']}"
        )
    if facts["rolled_back_for"]:
        lines.append(f"      rolled back{_on(facts['rolled_back_at'])}: {facts['rolled_back_for']}")
    return "\n".join(lines)


def _on(when: str | None) -> str:
    from pipeline_lib.registry.records import day

    return day(when)


def _none(last: Attempt | None) -> str:
    if last is None:
        return "no model is registered yet: `dvc repro` or `perennial run` trains, evaluates and registers one"
    return f"no model is registered yet. The last one: {last.verdict.sentence}"
