"""The numbers of curation.json: counts and shares, the same for the same data."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline_lib.curate.label_issues import Opinion
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.settle import leaking
from pipeline_lib.curate.splits import assign_splits
from pipeline_lib.curate.verdicts import Verdicts
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.tables.manifest import SPLITS

DIGITS = 6


def row_figures(rows: pd.DataFrame, verdicts: Verdicts) -> dict[str, Any]:
    """How often each primary reason, remark and split occurs."""
    kept = rows.loc[verdicts.standing, "split"]
    return {
        "reasons": counts(verdicts.reason.dropna()),
        "remarks": {code.value: verdicts.count(code) for code in Remark if verdicts.count(code)},
        "splits": {split: int((kept == split).sum()) for split in SPLITS},
    }


def class_figures(listed: tuple[str, ...], classes: pd.DataFrame) -> dict[str, int]:
    """listed: the classes a picture might have had. absent: those of them that no kept picture has."""
    n_train = classes["n_train"]
    absent = len(set(listed) - set(classes["class_id"]))
    return {"kept": len(classes), "absent": absent, "train_min": int(n_train.min()), "train_max": int(n_train.max())}


def issue_figures(rows: pd.DataFrame, opinion: Opinion) -> dict[str, float]:
    """How many labels were judged out of sample and doubted, and the share that confident learning thinks wrong."""
    issues = {kind: int((rows["label_issue"] == kind).sum()) for kind in ("auto", "review")}
    estimates = {"estimated_noise_rate": opinion.noise_rate, "out_of_fold_accuracy": opinion.accuracy}
    return {"scored": int(rows["p_given"].notna().sum()), **issues, **estimates}


def duplicate_figures(rows: pd.DataFrame, verdicts: Verdicts) -> dict[str, int]:
    """Groups of copies, the pictures in them by kind, and those whose copies have another class."""
    kinds = {kind: int((rows["dup_kind"] == kind).sum()) for kind in ("bytes", "pixels", "near")}
    return {
        "groups": int(rows["dup_group"].nunique()),
        "pictures": int(rows["dup_group"].notna().sum()),
        **kinds,
        "in_conflict": verdicts.count(Reason.LABEL_CONFLICT),
    }


def override_figures(rows: pd.DataFrame, verdicts: Verdicts, *, n_lines: int) -> dict[str, int]:
    """overruled: pictures a person wanted kept that a leak, their class or a missing label takes out all the same."""
    overruled = rows["keep"] & ~verdicts.standing
    return {"lines": n_lines, "pictures": int(rows["touched"].sum()), "overruled": int(overruled.sum())}


def leaks_if_split_by_file(rows: pd.DataFrame, params: CurateParams) -> int:
    """How many training pictures would be tied to evaluation if splits were drawn file by file, as is usual."""
    drawn = assign_splits(rows.index.to_series(), rows, params)
    return int(leaking(rows.assign(split=drawn)).sum())


def counts(values: pd.Series) -> dict[str, int]:
    """How often each value occurs, by name."""
    return {str(name): int(n) for name, n in values.value_counts().sort_index().items()}


def rounded(tree: dict[str, Any]) -> dict[str, Any]:
    """The same tree with floats at 6 digits; what is NaN (there was nothing to measure) is left out."""
    kept: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            kept[name] = rounded(value)
        elif not isinstance(value, float):
            kept[name] = value
        elif value == value:
            kept[name] = round(value, DIGITS)
    return kept
