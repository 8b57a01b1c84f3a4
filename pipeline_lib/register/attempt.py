"""What is recorded with a registration attempt: the question's key, the verdict, receipts, commit and libraries."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from pipeline_lib.register.params import PARAMS, RegisterParams
from pipeline_lib.registry import Verdict, records
from pipeline_lib.registry.closure import Closure
from pipeline_lib.registry.git_tags import Snapshot

LATER = ("approval", "shift_loss", "corruption_loss", "shift_significance")
LIBRARIES = (
    "torch",
    "torchvision",
    "ffcv",
    "numpy",
    "pillow",
    "simplejpeg",
    "opencv-python",
    "onnx",
    "onnxruntime",
)


@dataclass(frozen=True)
class GateQuestion:
    """May this model, with this evaluation, be registered under this name, by this rule?"""

    name: str
    model_md5: str
    evaluation_md5: str
    rule: str  # digest of the gate's parameters and of whether the run may promote

    @property
    def key(self) -> str:
        """The registration key: sha256 over model, evaluation and name."""
        return hashlib.sha256(
            f"{self.model_md5}\0{self.evaluation_md5}\0{self.name}".encode()
        ).hexdigest()


def ask(closure: Closure, params: RegisterParams, *, name: str, candidate: bool) -> GateQuestion:
    """The question that the receipts of a line put."""
    # Keys that are newer than questions on record count where they are set; `slices` is the report's, and no rule.
    later = {name for name in LATER if getattr(params, name) == PARAMS.model_fields[name].default}
    gate = params.model_dump_json(exclude={"slices", *later})
    rule = hashlib.sha256(f"{gate}|{candidate}".encode()).hexdigest()
    return GateQuestion(name, closure.md5_of("export"), closure.md5_of("predictions"), rule)


def attempt_tags(
    question: GateQuestion,
    verdict: Verdict,
    *,
    closure: Closure,
    metrics: dict[str, float],
    trained_on: str,
    snapshot: Snapshot | None,
    description: str,
) -> dict[str, str]:
    """All that is needed to carry the attempt out, and to explain its model when git and DVC have forgotten.

    trained_on: device, processor, instruction set and threads, in words.
    """
    commit = (
        {records.COMMIT: snapshot.commit, records.DIRTY: str(snapshot.dirty).lower()}
        if snapshot
        else {}
    )
    return {
        records.KEY: question.key,
        records.RULE: question.rule,
        records.MODEL: question.model_md5,
        records.SOURCE: f"dvc://md5/{question.model_md5}",
        records.VERDICT: verdict.as_json(),
        records.CLOSURE: closure.as_json(),
        records.METRICS: json.dumps(metrics, sort_keys=True),
        records.LIBRARIES: json.dumps(libraries(), sort_keys=True),
        records.TRAINED_ON: trained_on,
        records.DESCRIPTION: description,
        **commit,
    }


def libraries() -> dict[str, str]:
    """Versions of the libraries that make pixels, weights and exports; an absent one is named so."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "absent"
    return found
