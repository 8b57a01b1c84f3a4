"""All decisions on all pictures, in order: refusals, people's orders, labels, copies, the model's doubts, class sizes.

The first reason that applies is the primary one. Nothing a model thinks takes a picture out of val or test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.curate.class_words import ClassWords
from pipeline_lib.curate.classes import class_table, over_cap, row_weights, too_small
from pipeline_lib.curate.duplicates import Views, group_duplicates
from pipeline_lib.curate.figures import (
    class_figures,
    duplicate_figures,
    issue_figures,
    leaks_if_split_by_file,
    override_figures,
    rounded,
    row_figures,
)
from pipeline_lib.curate.label_issues import Opinion, judge_labels
from pipeline_lib.curate.labels import Labels, decide_labels
from pipeline_lib.curate.ledger import balance, ledger
from pipeline_lib.curate.limits import check_limits, check_other_files
from pipeline_lib.curate.more_to_learn import unlabelled, vote_targets
from pipeline_lib.curate.outliers import outlier_scores
from pipeline_lib.curate.overrides import Override, class_changes, picture_changes, refuse_faults, stale_lines
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.profile import data_profile
from pipeline_lib.curate.quality import placeholders, quality_remarks
from pipeline_lib.curate.review import review_queue
from pipeline_lib.curate.rows import join_rows
from pipeline_lib.curate.settle import Settled, leaking, settle
from pipeline_lib.curate.splits import assign_splits, split_keys
from pipeline_lib.curate.verdicts import Verdicts, refused
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.tables.manifest import MANIFEST, SPLITS


@dataclass(frozen=True)
class Found:
    """What the earlier stages and people hand over. manifest_file and overrides_file are named in messages only.

    features: without `view`, which `views` reads for those pictures that it is asked for.
    """

    members: pd.DataFrame
    images: pd.DataFrame
    votes: pd.DataFrame
    features: pd.DataFrame
    views: Views
    overrides: tuple[Override, ...]
    class_words: Mapping[str, ClassWords]
    overrides_file: Path
    manifest_file: Path


@dataclass(frozen=True)
class Curated:
    """The tables of the stage.

    unlabelled, targets: what training learns from beside labels. labels: what votes say; balance: balance.csv; profile
    and figures: the JSON files.
    """

    manifest: pd.DataFrame
    selection: dict[str, pd.DataFrame]
    unlabelled: pd.DataFrame
    targets: pd.DataFrame
    classes: pd.DataFrame
    review: pd.DataFrame
    labels: Labels
    balance: pd.DataFrame
    profile: dict[str, Any]
    figures: dict[str, Any]


def curate(found: Found, params: CurateParams) -> Curated:
    """Decide on every member. Raises BadData for overrides that do not fit, DataCheckFailed for limits passed."""
    features = found.features.set_index("image_id")
    rows, labels = labelled(found, params)
    verdicts = _before_copies(rows, labels.classes, params)
    apart = rows.index[rows["not_duplicate"]]
    groups = group_duplicates(rows[rows["refusal"].isna()], features, found.views, params, apart=apart)
    rows = rows.join(groups.frame)
    standing = rows[verdicts.standing]
    leaks = {"if_split_by_file": leaks_if_split_by_file(standing, params), "before": int(leaking(standing).sum())}
    settled = settle(standing, shielded=rows["keep"] | rows["relabel"].notna())
    verdicts = _after_copies(verdicts, rows, settled)
    opinion = _opinion(rows[verdicts.standing | (verdicts.reason == Reason.LABEL_MISSING.value)], features, params)
    rows = _doubted(rows, opinion, params).join(outlier_scores(rows[verdicts.standing], features, params))
    verdicts = verdicts.exclude(Reason.LABEL_ISSUE, rows["label_issue"] == "auto")
    verdicts = verdicts.exclude(Reason.OVER_CLASS_CAP, over_cap(rows[verdicts.standing], params))
    small = too_small(rows[verdicts.standing], params, found.manifest_file)
    verdicts = _remarked(verdicts.exclude(Reason.CLASS_TOO_SMALL, small), rows, params)
    learned = unlabelled(rows, verdicts, params)
    verdicts = verdicts.remark(Remark.LEARNED_UNLABELLED, learned)
    kept = rows[verdicts.standing]
    manifest = _manifest(rows, verdicts, row_weights(kept, params))
    check_other_files(manifest, params, found.manifest_file)
    check_limits(manifest[~learned], leaking(kept), params, found.manifest_file)
    classes = class_table(kept, found.class_words, found.manifest_file)
    figures = {
        "ledger": ledger(manifest),
        **row_figures(rows, verdicts),
        "classes": class_figures(labels.classes, classes),
        "votes": labels.figures,
        "label_issues": issue_figures(rows, opinion),
        "duplicates": {**duplicate_figures(rows, verdicts), "maybe": len(groups.maybe), "buckets_cut": groups.n_cut},
        "leakage": {**leaks, "after": int(leaking(kept).sum())},
        "overrides": override_figures(rows, verdicts, n_lines=len(found.overrides)),
    }
    return Curated(
        manifest=manifest.reset_index(),
        selection=_selection(manifest, classes),
        unlabelled=rows.index[learned].to_frame(index=False),
        targets=vote_targets(labels.soft, kept, params),
        classes=classes,
        review=review_queue(rows, verdicts, groups.maybe, params),
        labels=labels,
        balance=balance(manifest, rows["split"]),
        profile=data_profile(kept, labels.became),
        figures=rounded(figures),
    )


def labelled(found: Found, params: CurateParams) -> tuple[pd.DataFrame, Labels]:
    """Every row with its class, its split and the orders people gave about it."""
    rows = join_rows(found.members, found.images)
    votes = found.votes.astype("str")
    known = {*rows["label_received"].dropna().unique(), *votes["label"].dropna().unique()}
    changes = class_changes(found.overrides, known)
    labels = decide_labels(rows, votes, changes, params)
    orders = picture_changes(found.overrides, rows, labels.classes)
    keys = split_keys(rows)
    usable = rows["refusal"].isna()
    splits = assign_splits(keys[usable], rows[usable], params).reindex(rows.index)
    stale = stale_lines(orders, labels=labels.frame["class_id"], splits=splits)
    refuse_faults(*changes.faults, *orders.faults, *stale, file=found.overrides_file)
    rows = rows.join(labels.frame).join(orders.frame.astype({"relabel": "str", "split": "str"}))
    class_id = rows["relabel"].fillna(rows["class_id"])
    decided = rows.assign(
        class_id=class_id,
        label_source=rows["label_source"].mask(rows["relabel"].notna(), "override"),
        excluded=class_id.isin(changes.excluded),
        split=rows["split"].fillna(splits),
        group_id=keys,
        touched=rows.index.isin(orders.frame.index),
        **{order: rows[order].fillna(False).astype(bool) for order in ("keep", "remove", "not_duplicate")},
    )
    return decided, labels


def _before_copies(rows: pd.DataFrame, classes: tuple[str, ...], params: CurateParams) -> Verdicts:
    unsettled = rows["undecided"] & (rows["split"] == "train") & ~rows["keep"] & rows["relabel"].isna()
    return (
        refused(rows)
        .exclude(Reason.OVERRIDE_REMOVED, rows["remove"])
        .exclude(Reason.PLACEHOLDER, placeholders(rows, params) & ~rows["keep"])
        .exclude(Reason.CLASS_EXCLUDED, rows["excluded"])
        .exclude(Reason.LABEL_MISSING, rows["class_id"].isna())
        .exclude(Reason.LABEL_UNKNOWN, rows["class_id"].notna() & ~rows["class_id"].isin(classes) & ~rows["excluded"])
        .exclude(Reason.VOTES_UNDECIDED, unsettled & (params.undecided_votes == "quarantine"))
    )


def _after_copies(verdicts: Verdicts, rows: pd.DataFrame, settled: Settled) -> Verdicts:
    verdicts = (
        verdicts.exclude(Reason.LABEL_CONFLICT, settled.conflict)
        .remark(Reason.LABEL_CONFLICT, settled.disputed)
        .exclude(Reason.LEAK_TRAIN_EVAL, settled.leak)
        .exclude(Reason.DUPLICATE, settled.surplus)
    )
    return verdicts.exclude(Reason.LEAK_TRAIN_EVAL, leaking(rows[verdicts.standing]))  # what a subject still ties


def _opinion(standing: pd.DataFrame, features: pd.DataFrame, params: CurateParams) -> Opinion:
    fold_group = standing["dup_group"].fillna(standing["group_id"])
    return judge_labels(standing.assign(fold_group=fold_group), features, params)


def _doubted(rows: pd.DataFrame, opinion: Opinion, params: CurateParams) -> pd.DataFrame:
    """Add label_issue. `auto`: a training label no person confirmed, doubted by predictors that are good enough."""
    doubted = opinion.frame["doubted"].reindex(rows.index, fill_value=False).astype(bool)
    by_people = rows["label_source"].isin(["votes", "override"]) | rows["keep"]
    automatic = doubted & (rows["split"] == "train") & ~by_people & (opinion.accuracy >= params.cl_auto_min_accuracy)
    issue = pd.Series("none", index=rows.index, dtype="str").mask(doubted, "review").mask(automatic, "auto")
    return rows.join(opinion.frame.drop(columns="doubted")).assign(label_issue=issue)


def _remarked(verdicts: Verdicts, rows: pd.DataFrame, params: CurateParams) -> Verdicts:
    remarks = {
        **quality_remarks(rows, params),
        Remark.LABEL_REVIEW: rows["label_issue"] == "review",
        Remark.RELABELLED_BY_VOTES: (rows["label_source"] == "votes") & (rows["class_id"] != rows["label_received"]),
        Remark.RELABELLED_BY_OVERRIDE: rows["relabel"].notna(),
    }
    for code, mask in remarks.items():
        verdicts = verdicts.remark(code, mask & rows["refusal"].isna())
    return verdicts


def _manifest(rows: pd.DataFrame, verdicts: Verdicts, weights: pd.Series) -> pd.DataFrame:
    by_votes = verdicts.marks[Remark.RELABELLED_BY_VOTES] | (verdicts.reason == Reason.VOTES_UNDECIDED.value)
    by_override = rows["touched"] | (verdicts.reason == Reason.CLASS_EXCLUDED.value)
    decided_by = pd.Series("rule", index=rows.index, dtype="str").mask(by_votes, "votes").mask(by_override, "override")
    table = rows.assign(
        split=rows["split"].where(verdicts.standing),
        weight=weights.reindex(rows.index),
        decision=verdicts.decisions(),
        reason=verdicts.reason,
        flags=verdicts.flags(),
        decided_by=decided_by,
    )
    return table[[column.name for column in MANIFEST.columns if column.name != "image_id"]]


def _selection(manifest: pd.DataFrame, classes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    kept = manifest[manifest["decision"] == "keep"]
    label = kept["class_id"].map(classes.set_index("class_id")["label"]).astype("int32")
    table = kept.assign(label=label).reset_index()
    return {split: table.loc[table["split"] == split, ["image_id", "label", "class_id", "weight"]] for split in SPLITS}
