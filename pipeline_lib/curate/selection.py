"""What training reads: the kept rows of each split with their weights, and what it may learn from beside labels.

The latter, images without a class and votes as degrees of belief, is empty unless params ask for it: whatever `train`
reads costs a training when it changes.
"""

from __future__ import annotations

import pandas as pd

from pipeline_lib.curate.decisions import Decisions
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01, leaking
from pipeline_lib.reasons import Reason
from pipeline_lib.tables.manifest import SPLITS
from pipeline_lib.tables.soft_labels import SOFT_LABELS

BETA = 0.999  # of the effective number of samples; the middle of the paper's 0.9 to 0.9999
POWER_OF_SIZE = {
    "none": 0.0,
    "sqrt": -0.5,
    "inverse": -1.0,
}  # curate.class_weights -> weight is size to this power
COLUMNS = ["image_id", "label", "class_id", "weight"]


def over_cap(standing: pd.DataFrame, params: CurateParams) -> pd.Series:
    """Training rows beyond `cap_per_class`; val and test are never cut.

    standing: class_id, split, group_id, keep and relabel of the rows that stand. What a person kept or relabelled
    comes first, then the order of a hash of the image, so that new images displace few old ones.
    """
    train = standing[standing["split"] == "train"]
    if params.cap_per_class is None or train.empty:
        return pd.Series(False, index=standing.index)

    wanted = train["keep"] | train["relabel"].notna()
    order = pd.DataFrame(
        {
            "class_id": train["class_id"],
            "by_hash": ~wanted,
            "draw": hash_01(train.index, f"cap {params.split_salt}"),
        }
    )
    order = order.sort_values(["class_id", "by_hash", "draw"], kind="stable")
    rank = order.groupby("class_id", sort=False).cumcount()
    return (rank >= params.cap_per_class).reindex(standing.index, fill_value=False)


def row_weights(kept: pd.DataFrame, params: CurateParams) -> pd.Series:
    """Weight in the loss by image_id: by class size in training, mean 1 over the training rows; 1 in val and test.

    `effective`: 1 / ((1 - beta^n) / (1 - beta)), the effective number of samples (Y. Cui, M. Jia, T.-Y. Lin, Y. Song,
    S. Belongie, "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, equation 2).
    """
    train = kept["split"] == "train"
    n_by_class = kept[train].groupby("class_id").size()
    size = kept["class_id"].map(n_by_class).astype(float)
    if params.class_weights == "effective":
        weight = (1 - BETA) / (1 - BETA**size)
    else:
        weight = size ** POWER_OF_SIZE[params.class_weights]
    scaled = weight / weight[train].mean()
    return scaled.where(train, 1.0).astype("float32")


def selection(manifest: pd.DataFrame, classes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The kept rows of each split, in the columns of SELECTION. classes: see `classes.class_table`."""
    kept = manifest[manifest["decision"] == "keep"]
    label_of = classes.set_index("class_id")["label"]
    label = kept["class_id"].map(label_of).astype("int32")
    table = kept.assign(label=label).reset_index()
    return {split: table.loc[table["split"] == split, COLUMNS] for split in SPLITS}


def unlabelled(rows: pd.DataFrame, decided: Decisions, params: CurateParams) -> pd.Series:
    """Which rows have nothing against them but the missing class, and may go to training: boolean by image_id.

    Only the training split's, none that shares pixels or a subject with a val or test image that is kept (a model
    would be tested on what it has seen), and of copies only the first, if no labelled one is kept.
    """
    has_no_class = decided.reason == Reason.LABEL_MISSING.value
    candidate = has_no_class & (rows["split"] == "train") & params.learn_unlabelled

    # Tied to evaluation, as if they were kept.
    together = rows[decided.standing | candidate]
    tied = leaking(together).reindex(rows.index, fill_value=False)

    # A copy of a labelled image, or of an earlier candidate, teaches nothing new.
    group = rows["dup_group"]
    labelled_groups = group[decided.standing].dropna()
    later_copy = group[candidate].duplicated().reindex(rows.index, fill_value=False)
    copied = group.isin(labelled_groups) | (group.notna() & later_copy)
    return candidate & ~tied & ~copied


def vote_targets(soft: pd.DataFrame, kept: pd.DataFrame, params: CurateParams) -> pd.DataFrame:
    """The rows of SOFT_LABELS that training may learn: of kept training images whose class no person overrode."""
    if not params.learn_votes:
        return SOFT_LABELS.empty()
    own = kept[(kept["split"] == "train") & (kept["label_source"] != "override")]
    of_training = soft["image_id"].isin(own.index)
    of_known_class = soft["class_id"].isin(kept["class_id"])
    return soft[of_training & of_known_class]
