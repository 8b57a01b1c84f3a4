"""What the registry answered to the run of a workspace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.params import load_params
from pipeline_lib.register.attempt import ask
from pipeline_lib.register.publish import report_path
from pipeline_lib.registry import Verdict, Version, open_registry
from pipeline_lib.registry.closure import read_closure
from pipeline_lib.settings import load_settings
from tasks.workspace import Workspace


@dataclass(frozen=True)
class Registration:
    """The verdict on a run's model, the version it got (None when it was refused), and its report."""

    verdict: Verdict
    version: Version | None
    report: Path


def registration_of(workspace: Workspace) -> Registration | None:
    """Put the question again that `register` put, and find its recorded answer; None when there is none."""
    registry = open_registry(load_settings(workspace.origin), workspace.origin)
    params = load_params(workspace.folder / "params.yaml").register_
    closure = read_closure(workspace.folder).without("register")
    question = ask(closure, params, name=registry.name, candidate=workspace.candidate)
    attempt = registry.find(question.key, question.rule)
    if attempt is None:
        return None
    report = report_path(workspace.state, question.key)
    return Registration(attempt.verdict, registry.version_of(question.key), report)
