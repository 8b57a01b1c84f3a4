"""What training may learn from beside labels: pictures without a class, and votes as degrees of belief.

Both are empty unless params ask for them: whatever `train` reads costs a training when it changes.
"""

from __future__ import annotations

import pandas as pd

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.settle import leaking
from pipeline_lib.curate.verdicts import Verdicts
from pipeline_lib.reasons import Reason
from pipeline_lib.tables.soft_labels import SOFT_LABELS


def unlabelled(rows: pd.DataFrame, verdicts: Verdicts, params: CurateParams) -> pd.Series:
    """Which rows have nothing against them but the missing class, and may go to training: boolean by image_id.

    Only the training split's, none that shares pixels or a subject with a val or test picture that is kept (a model
    would be tested on what it has seen), and of copies only the first, if no labelled one is kept.
    """
    candidate = (verdicts.reason == Reason.LABEL_MISSING.value) & (rows["split"] == "train") & params.learn_unlabelled
    together = rows[verdicts.standing | candidate]
    tied = leaking(together).reindex(rows.index, fill_value=False)
    group = rows["dup_group"]
    copied = group.isin(group[verdicts.standing].dropna()) | (group.notna() & group[candidate].duplicated())
    return candidate & ~tied & ~copied.reindex(rows.index, fill_value=False)


def vote_targets(soft: pd.DataFrame, kept: pd.DataFrame, params: CurateParams) -> pd.DataFrame:
    """The rows of SOFT_LABELS that training may learn: of kept training pictures whose class no person overrode."""
    if not params.learn_votes:
        return SOFT_LABELS.empty()
    own = kept[(kept["split"] == "train") & (kept["label_source"] != "override")]
    return soft[soft["image_id"].isin(own.index) & soft["class_id"].isin(kept["class_id"])]
