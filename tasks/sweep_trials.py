"""The trials of a sweep: the validation scores of each set of parameters, and the best trial.

The test split plays no part. The best of many validation scores is optimistic; the winner's test score, computed once,
is not.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline_lib.errors import ConfigError, UsageError
from pipeline_lib.harness.line import STAGES, read_line
from tasks.changed_params import flat
from tasks.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

By = Literal["val_loss", "val_top1"]
SWEPT = STAGES[STAGES.index("download") : STAGES.index("train") + 1]


@dataclass(frozen=True)
class Trial:
    """One set of changed parameters (flat: `train.epochs` -> 2) and the validation scores of its best epoch.

    val_loss: nats per image. val_top1: 0..1. error: why there are no scores, "" if there are.
    """

    number: int
    changes: dict[str, Any]
    val_loss: float = math.nan
    val_top1: float = math.nan
    epoch: int = 0
    error: str = ""


def check_sections(changes: dict[str, Any]) -> None:
    """Raise UsageError for a section of params.yaml that a sweep cannot compare."""
    strange = [section for section in changes if section not in SWEPT]
    if strange:
        remedy = f"sweep keys of {', '.join(SWEPT)}, which leave the listing of the sources alone"
        raise UsageError(
            "this section cannot be swept", file="--set", value=", ".join(strange), remedy=remedy
        )


def stages_of_trial(changes: dict[str, Any]) -> tuple[str, ...]:
    """Return the stages of a trial that may differ from the sweep's: the first with swept parameters, up to `train`."""
    return SWEPT[min(SWEPT.index(section) for section in changes) :]


def check_same_validation(workspace: Workspace, base: Workspace) -> None:
    """Raise ConfigError if the changed parameters led to another validation split or other labels."""
    mine, theirs = _validation(workspace), _validation(base)
    if not mine.equals(theirs):
        remedy = "sweep only keys that leave the validation split alone, such as those of train"
        value = ", ".join(flat(workspace.changes))
        what = f"{len(mine)} validation images that differ, or whose labels do, from the sweep's {len(theirs)}"
        raise ConfigError(what, file="params.yaml", value=value, remedy=remedy)


def read_trial(number: int, workspace: Workspace) -> Trial:
    """Read the validation scores of a trained workspace."""
    kept = json.loads(read_line(workspace.folder).path("validation").read_text(encoding="utf-8"))
    return Trial(number, flat(workspace.changes), kept["val_loss"], kept["val_top1"], kept["epoch"])


def best_trial(trials: list[Trial], by: By) -> Trial | None:
    """Return the trial with the lowest loss or highest top-1 (ties: lowest loss, then first); None if all failed."""
    scored = [trial for trial in trials if not trial.error]
    if by == "val_loss":
        return min(scored, key=lambda trial: trial.val_loss, default=None)
    return min(scored, key=lambda trial: (-trial.val_top1, trial.val_loss), default=None)


def not_told_apart(trials: list[Trial], best: Trial, n: int) -> list[int]:
    """Return the other trials whose top-1 is within one standard error of the best's, on n validation images.

    The standard error of a share p of n is sqrt(p (1 - p) / n), a cautious bound since all trials see the same images.
    """
    error = math.sqrt(best.val_top1 * (1 - best.val_top1) / n)
    others = [trial for trial in trials if trial != best and not trial.error]
    return [trial.number for trial in others if abs(trial.val_top1 - best.val_top1) <= error]


def count_validation(workspace: Workspace) -> int:
    """Count the validation images."""
    return len(_validation(workspace))


def _validation(workspace: Workspace) -> pd.DataFrame:
    import pandas as pd  # takes half a second, and every flow run imports this module

    rows = pd.read_parquet(
        read_line(workspace.folder).path("selection") / "val.parquet", columns=["image_id", "label"]
    )
    return rows.sort_values("image_id", ignore_index=True)
