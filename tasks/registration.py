"""Find the registry's current answer to the run of a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.params import load_params
from pipeline_lib.register.attempt import ask
from pipeline_lib.register.publish import report_path
from pipeline_lib.registry import Outcome, Verdict, Version, load_registry, outcome_of
from pipeline_lib.registry.closure import read_closure
from pipeline_lib.registry.records import SETTLED_BY, with_number
from pipeline_lib.settings import load_settings
from tasks.workspace import Workspace


@dataclass(frozen=True)
class Registration:
    """The outcome for a run's model, its version (None if it was refused), its verdict and its report.

    key: identifies the question, see pipeline_lib.register.attempt.
    """

    key: str
    outcome: Outcome
    verdict: Verdict
    version: Version | None
    report: Path


def registration_of(workspace: Workspace) -> Registration | None:
    """Find the recorded answer to the question that `register` asked; None if there is none.

    The outcome also depends on later changes of the registry, see Outcome.
    """
    registry = load_registry(load_settings(workspace.origin), workspace.origin)
    params = load_params(workspace.folder / "params.yaml").register_
    closure = read_closure(workspace.folder).without("register")
    question = ask(closure, params, name=registry.name, candidate=workspace.candidate)
    attempt = registry.find(question.key, question.rule)
    if attempt is None:
        return None
    versions = registry.versions()
    outcome = outcome_of(attempt, versions, is_new=attempt.tags.get(SETTLED_BY) == workspace.run)
    report = report_path(workspace.state, question.key)
    return Registration(
        question.key, outcome, attempt.verdict, with_number(versions, outcome.version), report
    )
