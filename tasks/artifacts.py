"""Show the results of a run in the Prefect UI: scores, data ledger, verdict, lineage and a link to the report.

The keys are the same in every run, so the UI shows their history.
"""

from __future__ import annotations

import json
import math
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from pipeline_lib.harness.line import read_line
from pipeline_lib.lineage import as_mermaid, lineage_of_version
from pipeline_lib.safe_text import as_markdown
from tasks.registration import Registration
from tasks.sweep_trials import Trial
from tasks.workspace import Workspace

SPLITS = ("val", "test")


def read_metrics(workspace: Workspace) -> dict[str, Any]:
    """Return the content of metrics.json, empty when the line has none."""
    metrics = read_line(workspace.folder).path("metrics")
    return dict(json.loads(metrics.read_text(encoding="utf-8"))) if metrics.exists() else {}


def show_scores(workspace: Workspace) -> None:
    """Show a table with one row per split and one column per score."""
    rows = [
        {"split": split, **_rounded(scores)}
        for split, scores in read_metrics(workspace).items()
        if split in SPLITS
    ]
    create_table_artifact(
        rows,
        key="scores",
        description="Scores, with the bounds of their 95 % confidence intervals as _low and _high.",
    )


def show_ledger(workspace: Workspace) -> None:
    """Show how many images were kept, quarantined and removed, and for which reasons."""
    curation = json.loads(read_line(workspace.folder).path("curation").read_text(encoding="utf-8"))
    ledger, reasons = curation["ledger"], curation["reasons"]
    counts = ", ".join(
        f"{ledger[name]} {name}" for name in ("discovered", "kept", "quarantined", "removed")
    )
    table = "\n".join(f"| `{code}` | {count} |" for code, count in reasons.items())
    create_markdown_artifact(
        f"**{counts}**\n\n| reason | images |\n|---|---|\n{table}\n",
        key="data-ledger",
        description=counts,
    )


def show_verdict(registration: Registration) -> None:
    """Show the outcome for the model, the gate's rules, the model's lineage and a link to the report."""
    outcome, verdict, version = registration.outcome, registration.verdict, registration.version
    signs = {True: "passed", False: "failed", None: "cannot tell"}
    rules = "\n".join(
        f"| {as_markdown(rule.name)} | {signs[rule.passed]} | {as_markdown(rule.sentence)} |"
        for rule in verdict.rules
    )
    numbered = f", version {version.number}" if version else ""
    judged = "" if outcome.happened != "unchanged" else "The verdict at that time:\n\n"
    sentence = as_markdown(outcome.sentence)
    text = f"# {outcome.happened}{numbered}\n\n{sentence}\n\n{judged}| rule | | |\n|---|---|---|\n{rules}\n"
    text += "".join(f"\n- {as_markdown(note)}" for note in verdict.notes)
    create_markdown_artifact(text, key="verdict", description=outcome.sentence)
    create_link_artifact(
        registration.report.as_uri(),
        key="report",
        link_text=str(registration.report),
        description="The report of this run.",
    )
    if version:
        graph = as_mermaid(lineage_of_version(version, str(version.number)))
        create_markdown_artifact(f"```mermaid\n{graph}\n```\n", key="lineage")


def show_trials(trials: list[Trial], best: Trial) -> None:
    """Show a table with one row per trial, the swept keys first."""
    rows = [
        {
            "trial": trial.number,
            **trial.changes,
            "validation loss": _shown(trial.val_loss),
            "validation top-1": _shown(trial.val_top1),
            "epoch kept": trial.epoch,
            "": trial.error or ("best" if trial == best else ""),
        }
        for trial in trials
    ]
    create_table_artifact(rows, key="sweep", description="The trials, compared on validation.")


def _shown(value: float) -> float | str:
    return "" if math.isnan(value) else round(value, 4)


def _rounded(scores: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in scores.items()
    }
