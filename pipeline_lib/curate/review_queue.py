"""review.parquet: the questions for a person, most urgent first within each kind."""

from __future__ import annotations

from itertools import compress
from typing import Any

import pandas as pd

from pipeline_lib.curate.decisions import Decisions
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.tables.review import REVIEW

LEFT_OUT_COPY = (Reason.DUPLICATE.value, Reason.LEAK_TRAIN_EVAL.value)
UNSETTLED = (Reason.VOTES_UNDECIDED.value, Reason.LABEL_MISSING.value)
QUALITY = (
    Remark.DARK,
    Remark.LIGHT,
    Remark.BLURRED,
    Remark.LOW_INFORMATION,
    Remark.ELONGATED,
    Remark.SEVERAL_FRAMES,
)


def review_queue(
    rows: pd.DataFrame, decided: Decisions, maybe: pd.DataFrame, params: CurateParams
) -> pd.DataFrame:
    """One row per image and question, in the columns of REVIEW. What a person has decided on is not asked again.

    rows: everything decided, by image_id. maybe: pairs that might be copies, see `duplicates.Groups`.
    """
    reason = decided.reason
    by_person = rows["keep"] | rows["remove"] | rows["relabel"].notna()
    asking = rows[~by_person]
    sound = asking["refusal"].isna()
    standing = decided.standing[asking.index]
    kept = asking[standing]

    # Votes can still bring in what has no class yet, or no sure one.
    open_to_votes = sound & (standing | reason[asking.index].isin(UNSETTLED))
    in_conflict = decided.marks[Reason.LABEL_CONFLICT][asking.index]
    left_out_copy = (asking["dup_kind"] == "near") & reason[asking.index].isin(LEFT_OUT_COPY)
    parts = [
        _label_issues(asking[sound], params.label_questions),
        _conflicts(asking[in_conflict], rows),
        _more_votes(asking[(asking["votes_missing"] > 0) & open_to_votes]),
        _near_copies(asking[left_out_copy], reason),
        _maybe_copies(maybe, kept, params.dup_questions),
        _quality(kept, decided),
        _outliers(asking[asking["ood_score"] > params.ood_spreads]),
        _to_label(asking[asking["class_id"].isna() & asking["al_rank"].notna()]),
    ]
    queue = pd.concat(
        [part for part in parts if len(part)] or [REVIEW.empty().drop(columns="rank")]
    )

    # Quarantined images last: only those that no other question is about.
    quarantined = (decided.kinds() == "quarantine")[asking.index]
    unasked = asking[~asking.index.isin(queue["image_id"]) & quarantined]
    if len(unasked):
        queue = pd.concat([queue, _quarantined(unasked, reason)])
    if len(queue):
        queue = queue.sort_values(["kind", "urgency", "image_id"], ascending=[True, False, True])
    queue = queue.assign(rank=queue.groupby("kind").cumcount() + 1)
    return queue[[column.name for column in REVIEW.columns]].reset_index(drop=True)


def _questions(kind: str, rows: pd.DataFrame, **columns: Any) -> pd.DataFrame:
    """Rows as questions. columns: suggested, score, urgency and note, one value for all or one for each."""
    frame = pd.DataFrame(
        {
            "image_id": rows.index,
            "sha256": rows["sha256"].to_numpy(),
            "given": rows["class_id"].to_numpy(),
        }
    )
    return frame.assign(kind=kind, **columns)


def _label_issues(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """The `most` doubted labels that are wrong most probably. Weaker suspicions stand in the manifest only."""
    doubted = rows[rows["label_issue"] != "none"].sort_index()
    doubted = doubted.sort_values("label_doubt", ascending=False, kind="stable").head(most)
    doubt = doubted["label_doubt"].to_numpy()
    notes = {"auto": "left out of training", "review": "still used; decide"}
    note = (
        "wrong with probability "
        + doubted["label_doubt"].map("{:.2f}".format).astype("str")
        + "; looks like "
        + doubted["label_suggested"]
        + " out of sample; "
        + doubted["label_issue"].map(notes)
    )
    return _questions(
        "label_issue",
        doubted,
        suggested=doubted["label_suggested"].to_numpy(),
        score=doubt,
        urgency=doubt,
        note=note.to_numpy(),
    )


def _outliers(rows: pd.DataFrame) -> pd.DataFrame:
    score = rows["ood_score"].to_numpy()
    note = "far from all others of its class; still used"
    return _questions("outlier", rows, suggested=None, score=score, urgency=score, note=note)


def _to_label(rows: pd.DataFrame) -> pd.DataFrame:
    """Images without a class, the ones that teach the predictors most first."""
    guess = ("has no class; perhaps " + rows["label_suggested"]).fillna("has no class")
    return _questions(
        "to_label",
        rows,
        suggested=rows["label_suggested"].to_numpy(),
        score=rows["p_suggested"].to_numpy(),
        urgency=-rows["al_rank"].to_numpy(),
        note=guess.to_numpy(),
    )


def _conflicts(chosen: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    members = rows[rows["dup_group"].isin(chosen["dup_group"])]
    classes = members.groupby("dup_group")["class_id"]
    labels = classes.agg(lambda found: ", ".join(sorted(set(found.dropna()))))
    note = "copies of this picture have the classes " + chosen["dup_group"].map(labels)
    return _questions(
        "duplicate_conflict",
        chosen,
        suggested=None,
        score=float("nan"),
        urgency=0.0,
        note=note.to_numpy(),
    )


def _more_votes(rows: pd.DataFrame) -> pd.DataFrame:
    """Images whose votes do not settle the class, the least sure first."""
    n_missing = rows["votes_missing"].astype("int64").astype("str")
    more = n_missing + " more for " + rows["voted"].astype("str") + " would"
    cast = rows["n_votes"].astype("str") + " votes do not settle it; "
    cast = cast.mask(rows["n_votes"] == 1, "1 vote does not settle it; ")
    note = cast + more
    return _questions(
        "need_more_votes",
        rows,
        suggested=rows["voted"].to_numpy(),
        score=rows["label_confidence"].to_numpy(),
        urgency=(1 - rows["label_confidence"]).to_numpy(),
        note=note.to_numpy(),
    )


def _near_copies(rows: pd.DataFrame, reason: pd.Series) -> pd.DataFrame:
    """Images left out as nearly equal to another one; those that would have leaked into evaluation first."""
    note = "left out as nearly the same picture as others of its group"
    leak = (reason[rows.index] == Reason.LEAK_TRAIN_EVAL.value).to_numpy(dtype=float)
    return _questions(
        "near_duplicate", rows, suggested=None, score=float("nan"), urgency=leak, note=note
    )


def _maybe_copies(maybe: pd.DataFrame, standing: pd.DataFrame, most: int) -> pd.DataFrame:
    """Kept images that might be copies of another kept one, each with its likeliest; the `most` likeliest of all."""
    split = standing["split"]
    both_stand = maybe["image_id"].isin(standing.index) & maybe["other"].isin(standing.index)
    pairs = maybe[both_stand]

    # Of a training and an evaluation image it is the training one that may go, so it is the one asked about.
    evaluated = (pairs["image_id"].map(split) != "train") & (pairs["other"].map(split) == "train")
    turned = pairs.rename(columns={"image_id": "other", "other": "image_id"})[list(pairs.columns)]
    pairs = pairs.where(~evaluated, turned)
    pairs = pairs.sort_values(["score", "image_id", "other"], ascending=[False, True, True])
    pairs = pairs.drop_duplicates("image_id").head(most)
    note = (
        "may be a copy of " + pairs["other"] + " (" + pairs["other"].map(split) + "); both are used"
    ).to_numpy()
    score = pairs["score"].to_numpy(dtype=float)
    asked = standing.loc[pairs["image_id"]]
    return _questions("near_review", asked, suggested=None, score=score, urgency=score, note=note)


def _quarantined(rows: pd.DataFrame, reason: pd.Series) -> pd.DataFrame:
    """Quarantined images that no other question is about; those that can be shown first."""
    note = "left out: " + reason[rows.index].str.replace("_", " ")
    shown = rows["refusal"].isna().to_numpy(dtype=float)
    return _questions(
        "quarantined", rows, suggested=None, score=float("nan"), urgency=shown, note=note.to_numpy()
    )


def _quality(rows: pd.DataFrame, decided: Decisions) -> pd.DataFrame:
    """Remarked images that are used; those with several remarks first."""
    marked = pd.DataFrame({code.value: decided.marks[code][rows.index] for code in QUALITY})
    chosen = marked[marked.any(axis=1)]
    words = [code.value.replace("_", " ") for code in QUALITY]
    note = ["remarked: " + ", ".join(compress(words, line)) for line in chosen.to_numpy().tolist()]
    urgency = chosen.sum(axis=1).to_numpy(dtype=float)
    return _questions(
        "quality",
        rows.loc[chosen.index],
        suggested=None,
        score=float("nan"),
        urgency=urgency,
        note=note,
    )
