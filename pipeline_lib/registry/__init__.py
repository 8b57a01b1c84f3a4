"""The model registry: MLflow keeps versions, aliases and verdicts; DVC's cache keeps the bytes they point to."""

from pipeline_lib.registry.outcome import Outcome, outcome_of
from pipeline_lib.registry.records import Attempt, Version
from pipeline_lib.registry.registry import Registry, load_registry
from pipeline_lib.registry.verdict import (
    ClassChange,
    Comparison,
    Rule,
    RuleName,
    ShiftChange,
    Verdict,
)

__all__ = [
    "Attempt",
    "ClassChange",
    "Comparison",
    "Outcome",
    "Registry",
    "Rule",
    "RuleName",
    "ShiftChange",
    "Verdict",
    "Version",
    "load_registry",
    "outcome_of",
]
