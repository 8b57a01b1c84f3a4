"""Run the flow `retrain` in this process, on this project's server when it is up, else on one of its own."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flows.prefect_home import prefect_environment, server_url
from pipeline_lib.errors import ServiceUnavailable


@dataclass(frozen=True)
class RunResult:
    """What a run left. commit: params.yaml, dvc.lock and metrics; metrics: section -> name -> value.

    decision: promote, current, candidate, inconclusive or reject. version: of the registry, None when the gate refused
    the model. report: its path.
    """

    run: str
    commit: str
    candidate: bool
    metrics: dict[str, Any]
    decision: str = ""
    verdict: str = ""
    version: int | None = None
    report: str = ""

    def as_json(self) -> str:
        """For `perennial run --json`."""
        return json.dumps(asdict(self), indent=1)


def run_here(origin: Path, *, overrides: dict[str, Any], branch: str) -> RunResult:
    """Run the whole line. Raises the PipelineError of the stage that failed."""
    os.environ.pop("PREFECT_API_URL", None)
    os.environ.update(prefect_environment(origin, server_url(origin)))
    logging.getLogger().handlers.clear()  # Prefect formats its log only where nobody else has begun to
    from flows.form import Advanced  # Prefect reads the environment when it is imported
    from flows.retrain import retrain

    try:
        state = retrain(advanced=Advanced.model_validate(overrides), branch=branch, return_state=True)
    except RuntimeError as error:
        if "ephemeral" not in str(error):
            raise
        remedy = "try again when the machine is less busy, or start one that stays with `perennial up`"
        raise ServiceUnavailable(
            "Prefect's own server did not start", file="prefect", value=error, remedy=remedy
        ) from error
    result: Any = state.result(raise_on_failure=False)
    if isinstance(result, BaseException):
        raise result
    return RunResult(**result)


def summary(result: RunResult) -> str:
    """The result for people."""
    test = result.metrics.get("test", {})
    scores = ", ".join(f"{name} {test[name]:.4f}" for name in ("top1", "top5", "f1") if name in test)
    lines = [f"run {result.run}: {scores}" if scores else f"run {result.run}"]
    if result.verdict:
        numbered = f" (version {result.version})" if result.version else ""
        lines += [f"  {result.verdict}{numbered}", f"  report: {result.report}"]
    if result.candidate:
        lines.append(f"  candidate, off the line: git show perennial/run/{result.run}")
    else:
        lines.append("  into this checkout: git checkout perennial/line -- dvc.lock params.yaml line && dvc checkout")
    return "\n".join(lines)
