"""The trials of a sweep: what each set of overrides reached on validation, and which is best.

The test split has no part in this. A validation score that was the best of many is optimistic; the winner's test score,
asked once, is not.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pipeline_lib.errors import ConfigError, UsageError
from pipeline_lib.harness.line import STAGES, read_line
from tasks.overrides import flat
from tasks.workspace import Workspace

if TYPE_CHECKING:
    import pandas as pd

By = Literal["val_loss", "val_top1"]
SWEPT = STAGES[STAGES.index("download") : STAGES.index("train") + 1]


@dataclass(frozen=True)
class Trial:
    """One set of overrides (flat: `train.epochs` -> 2) and the validation scores of the epoch it kept.

    val_loss: nats per picture. val_top1: 0..1. error: why it has no scores, "" for one that has.
    """

    number: int
    overrides: dict[str, Any]
    val_loss: float = math.nan
    val_top1: float = math.nan
    epoch: int = 0
    error: str = ""


def check_sections(overrides: dict[str, Any]) -> None:
    """Raise UsageError for a section of params.yaml that a sweep cannot compare."""
    strange = [section for section in overrides if section not in SWEPT]
    if strange:
        remedy = f"sweep keys of {', '.join(SWEPT)}: validation scores on one listing of the sources are compared"
        raise UsageError("this section cannot be swept", file="--set", value=", ".join(strange), remedy=remedy)


def stages_of_trial(overrides: dict[str, Any]) -> tuple[str, ...]:
    """The stages that may differ from the sweep's own: from the first one whose parameters are swept to `train`."""
    return SWEPT[min(SWEPT.index(section) for section in overrides) :]


def check_same_validation(workspace: Workspace, base: Workspace) -> None:
    """Raise ConfigError where the overrides changed which pictures validate, or their labels."""
    mine, theirs = _validation(workspace), _validation(base)
    if not mine.equals(theirs):
        remedy = "sweep keys that leave the validation split alone; those of train do"
        value = ", ".join(flat(workspace.overrides))
        what = f"{len(mine)} other validation pictures or labels than the sweep's {len(theirs)}: no fair comparison"
        raise ConfigError(what, file="params.yaml", value=value, remedy=remedy)


def read_trial(number: int, workspace: Workspace) -> Trial:
    """The scores that a trained workspace reached on validation."""
    kept = json.loads(read_line(workspace.folder).path("validation").read_text(encoding="utf-8"))
    return Trial(number, flat(workspace.overrides), kept["val_loss"], kept["val_top1"], kept["epoch"])


def best_trial(trials: list[Trial], by: By) -> Trial | None:
    """The lowest loss, or the highest top-1 and among equals the lowest loss; the first of equals; None without any."""
    scored = [trial for trial in trials if not trial.error]
    if by == "val_loss":
        return min(scored, key=lambda trial: trial.val_loss, default=None)
    return min(scored, key=lambda trial: (-trial.val_top1, trial.val_loss), default=None)


def not_told_apart(trials: list[Trial], best: Trial, n: int) -> list[int]:
    """The other trials whose top-1 is within one standard error of the best's, on n validation pictures.

    The standard error of a share p of n is sqrt(p (1 - p) / n). The same pictures for all make it a cautious bound.
    """
    error = math.sqrt(best.val_top1 * (1 - best.val_top1) / n)
    others = [trial for trial in trials if trial != best and not trial.error]
    return [trial.number for trial in others if abs(trial.val_top1 - best.val_top1) <= error]


def count_validation(workspace: Workspace) -> int:
    """How many pictures validate."""
    return len(_validation(workspace))


def _validation(workspace: Workspace) -> pd.DataFrame:
    import pandas as pd  # half a second that only a sweep needs: every flow run imports this module

    rows = pd.read_parquet(read_line(workspace.folder).path("selection") / "val.parquet", columns=["image_id", "label"])
    return rows.sort_values("image_id", ignore_index=True)
