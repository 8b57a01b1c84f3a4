"""All decisions on all images, in order: refusals, people's overrides, labels, copies, the model's doubts, class sizes.

The first reason that applies is the primary one. A model's opinion never removes a val or test image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pandas as pd

from pipeline_lib.curate import extra_tests
from pipeline_lib.curate.classes import class_table, too_small
from pipeline_lib.curate.decisions import Decisions, check_limits, check_other_files, refused
from pipeline_lib.curate.duplicate_choice import Settled, settle
from pipeline_lib.curate.duplicates import group_duplicates
from pipeline_lib.curate.extra_classes import Training
from pipeline_lib.curate.extra_selection import extra_selection
from pipeline_lib.curate.inputs import Inputs, join_rows
from pipeline_lib.curate.label_issues import LabelIssues, find_label_issues
from pipeline_lib.curate.labels import Labels, decide_labels
from pipeline_lib.curate.outliers import outlier_scores
from pipeline_lib.curate.overrides import class_changes, image_changes, refuse_faults, stale_lines
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import placeholders, quality_remarks
from pipeline_lib.curate.review_queue import review_queue
from pipeline_lib.curate.selection import over_cap, row_weights, selection, unlabelled, vote_targets
from pipeline_lib.curate.splits import assign_splits, leaking, leaks_if_split_by_file, split_keys
from pipeline_lib.curate.statistics import (
    balance,
    class_statistics,
    counts,
    data_profile,
    duplicate_statistics,
    issue_statistics,
    ledger,
    override_statistics,
    rounded,
    row_statistics,
)
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.tables.manifest import MANIFEST

BY_PEOPLE = ("votes", "override")  # values of label_source


@dataclass(frozen=True)
class Curated:
    """The tables of the stage.

    extra: kept images of extra test sets. unlabelled, targets: what training learns from beside labels. labels: what votes
    say. balance: balance.csv. profile, statistics: the JSON files profile.json and curation.json.
    """

    manifest: pd.DataFrame
    selection: dict[str, pd.DataFrame]
    extra: pd.DataFrame
    unlabelled: pd.DataFrame
    targets: pd.DataFrame
    classes: pd.DataFrame
    review: pd.DataFrame
    labels: Labels
    balance: pd.DataFrame
    profile: dict[str, Any]
    statistics: dict[str, Any]


def curate(inputs: Inputs, params: CurateParams) -> Curated:
    """Decide on every member. Raises BadData for overrides that do not fit, DataCheckFailed for limits passed."""
    features = inputs.features.set_index("image_id")

    # What people and files say comes before anything that is computed from pixels.
    rows, labels, extra_rows = label_and_split(inputs, params)
    decided = _by_files_and_people(rows, labels.classes, params)
    extra = extra_tests.decide(extra_rows, inputs.extra_tests, labels.classes, params)

    # Copies among all sound images, also those left out: an excluded copy still tells what its group is.
    sound = rows[rows["refusal"].isna()]
    apart = rows.index[rows["not_duplicate"]]
    groups = group_duplicates(sound, features, inputs.views, params, apart=apart)
    rows = rows.join(groups.frame)

    # What an extra test set repeats leaves training, before anything is learnt from it.
    may_train = decided.standing | (decided.reason == Reason.LABEL_MISSING.value)
    training = rows[may_train & (rows["split"] == "train")]
    repeats = extra_tests.find_repeats(extra, training, features, inputs.views, params)
    extra_tests.check_repeats(repeats, training, params, inputs.manifest_file)
    rows = repeats.told(rows)
    decided = decided.exclude(Reason.LEAK_TRAIN_EVAL, repeats.of(rows))

    # One copy of each group stays, and training keeps nothing that val or test would meet again.
    standing = rows[decided.standing]
    leakage = {
        "if_split_by_file": leaks_if_split_by_file(standing, params),
        "before": int(leaking(standing).sum()),
    }
    by_hand = rows["keep"] | rows["relabel"].notna()
    settled = settle(standing, shielded=by_hand, framed=rows["framed"].eq(True))
    decided = _by_copies(decided, rows, settled)

    # Labels are doubted among what stands; copies that are left share a fold, or one would tell the other's answer.
    issues = _label_issues(rows, decided, features, params)
    rows = _with_label_issue(rows, issues, params)
    rows = rows.join(outlier_scores(rows[decided.standing], features, params))
    decided = decided.exclude(Reason.LABEL_ISSUE, rows["label_issue"] == "auto")

    # The sizes of classes come last: they count what is left.
    decided = decided.exclude(Reason.OVER_CLASS_CAP, over_cap(rows[decided.standing], params))
    small = too_small(rows[decided.standing], params, inputs.manifest_file)
    decided = decided.exclude(Reason.CLASS_TOO_SMALL, small)
    decided = _with_remarks(decided, rows, params)
    learned = unlabelled(rows, decided, params) & ~repeats.of(rows)
    decided = decided.remark(Remark.LEARNED_UNLABELLED, learned)

    # Limits are checked before classes are numbered: their message says more than "no image is left".
    kept = rows[decided.standing]
    manifest = _manifest(rows, decided, row_weights(kept, params))
    leaks = leaking(kept)
    check_other_files(manifest, params, inputs.manifest_file)
    waits = rows["source"].isin(inputs.unlabelled_sources)
    waits &= decided.reason == Reason.LABEL_MISSING.value
    check_limits(manifest[~learned & ~waits], leaks, params, inputs.manifest_file)
    classes = class_table(kept, inputs.class_words, inputs.manifest_file)

    # Extra test images of classes that training lost have no right answer; then all rows are in one table.
    extra = extra_tests.within(extra, list(classes["class_id"]))
    tests = _manifest_of_tests(extra, repeats, params)
    extra_tests.check_sets(tests, extra, params, inputs.manifest_file)
    splits = rows["split"]
    if len(tests):
        manifest = pd.concat([manifest, tests.astype(manifest.dtypes)]).sort_index()
        splits = pd.concat([splits, extra.rows["split"]])

    counts_of_tests = extra_tests.counts_by_set(tests, extra, repeats)
    statistics = {
        "ledger": ledger(manifest),
        **row_statistics(rows, decided, manifest["reason"]),
        "classes": class_statistics(labels.classes, classes),
        "features": counts(inputs.features["kind"]),
        "votes": labels.statistics,
        "label_issues": issue_statistics(rows, issues),
        "duplicates": {
            **duplicate_statistics(rows, decided),
            "maybe": len(groups.maybe),
            "buckets_cut": groups.n_cut,
        },
        "leakage": {**leakage, "after": int(leaks.sum())},
        "overrides": override_statistics(rows, decided, n_lines=len(inputs.overrides)),
        **({"extra_tests": counts_of_tests} if counts_of_tests else {}),
    }
    return Curated(
        manifest=manifest.reset_index(),
        selection=selection(manifest, classes),
        extra=extra_selection(extra, classes),
        unlabelled=rows.index[learned].to_frame(index=False),
        targets=vote_targets(labels.soft, kept, params),
        classes=classes,
        review=review_queue(rows, decided, groups.maybe, params),
        labels=labels,
        balance=balance(manifest, splits),
        profile=data_profile(kept, labels.became),
        statistics=rounded(statistics),
    )


def label_and_split(
    inputs: Inputs, params: CurateParams
) -> tuple[pd.DataFrame, Labels, pd.DataFrame]:
    """Every row with its class, its split and the overrides that people wrote about it; those of extra test sets apart."""
    rows = join_rows(inputs.members, inputs.images)
    is_test = rows["source"].isin([one.name for one in inputs.extra_tests])
    tests, rows = rows[is_test], rows[~is_test]
    votes = inputs.votes.astype("str")

    # Classes are renamed and merged first, so that votes and overrides speak of today's classes.
    received = set(rows["label_received"].dropna().unique())
    voted_for = set(votes["label"].dropna().unique())
    changes = class_changes(inputs.overrides, received | voted_for)
    labels = decide_labels(rows, votes, changes, params)

    # Splits are drawn over all images that can be used, so that no decision moves another image.
    keys = split_keys(rows)
    usable = rows["refusal"].isna()
    splits = assign_splits(keys[usable], rows[usable], params).reindex(rows.index)

    # Extra test images have the classes of training, whatever they came as.
    known = Training(labels.became, inputs.class_words)
    tests = extra_tests.with_classes(tests, inputs.extra_tests, known)

    # All faulty lines of the file in one error, instead of one per run.
    lines = extra_tests.of_others(inputs.overrides, tests, rows)
    orders = image_changes(lines, rows, labels.classes)
    stale = stale_lines(orders, labels=labels.frame["class_id"], splits=splits)
    ordered, orders_tests = extra_tests.overridden(tests, inputs.overrides, labels.classes)
    stale += stale_lines(orders_tests, labels=tests["class_id"], splits=splits)
    faults = (*changes.faults, *orders.faults, *orders_tests.faults, *stale)
    refuse_faults(*faults, file=inputs.overrides_file)

    # An override wins over votes and the received label, and over the drawn split.
    rows = rows.join(labels.frame)
    rows = rows.join(orders.frame.astype({"relabel": "str", "split": "str"}))
    class_id = rows["relabel"].fillna(rows["class_id"])
    flags = {
        # all empty, and so of type float, where there are no overrides
        name: rows[name].astype("boolean").fillna(False).astype(bool)
        for name in ("keep", "remove", "not_duplicate")
    }
    rows = rows.assign(
        class_id=class_id,
        label_source=rows["label_source"].mask(rows["relabel"].notna(), "override"),
        excluded=class_id.isin(changes.excluded),
        split=rows["split"].fillna(splits),
        group_id=keys,
        touched=rows.index.isin(orders.frame.index),
        **flags,
    )
    return rows, labels, ordered


def _by_files_and_people(
    rows: pd.DataFrame, classes: tuple[str, ...], params: CurateParams
) -> Decisions:
    """What needs no look at other images' content."""
    unlisted = rows["class_id"].notna() & ~rows["class_id"].isin(classes) & ~rows["excluded"]
    settled_by_hand = rows["keep"] | rows["relabel"].notna()
    unsettled = rows["undecided"] & (rows["split"] == "train") & ~settled_by_hand

    decided = refused(rows)
    decided = decided.exclude(Reason.OVERRIDE_REMOVED, rows["remove"])
    decided = decided.exclude(Reason.PLACEHOLDER, placeholders(rows, params) & ~rows["keep"])
    decided = decided.exclude(Reason.CLASS_EXCLUDED, rows["excluded"])
    decided = decided.exclude(Reason.LABEL_MISSING, rows["class_id"].isna())
    decided = decided.exclude(Reason.LABEL_UNKNOWN, unlisted)
    return decided.exclude(
        Reason.VOTES_UNDECIDED, unsettled & (params.undecided_votes == "quarantine")
    )


def _by_copies(decided: Decisions, rows: pd.DataFrame, settled: Settled) -> Decisions:
    decided = decided.exclude(Reason.LABEL_CONFLICT, settled.conflict)
    decided = decided.remark(Reason.LABEL_CONFLICT, settled.disputed)
    decided = decided.exclude(Reason.LEAK_TRAIN_EVAL, settled.leak)
    decided = decided.exclude(Reason.DUPLICATE, settled.surplus)
    # What a subject (a person, a burst) still ties to val or test.
    return decided.exclude(Reason.LEAK_TRAIN_EVAL, leaking(rows[decided.standing]))


def _label_issues(
    rows: pd.DataFrame, decided: Decisions, features: pd.DataFrame, params: CurateParams
) -> LabelIssues:
    """Doubt the labels that stand; images without a class are ranked for labelling beside them."""
    asked = decided.standing | (decided.reason == Reason.LABEL_MISSING.value)
    chosen = rows[asked]
    fold_group = chosen["dup_group"].fillna(chosen["group_id"])
    return find_label_issues(chosen.assign(fold_group=fold_group), features, params)


def _with_label_issue(
    rows: pd.DataFrame, issues: LabelIssues, params: CurateParams
) -> pd.DataFrame:
    """Add label_issue. `auto`: a training label no person confirmed, doubted by predictors that are good enough."""
    doubted = issues.frame["doubted"].reindex(rows.index, fill_value=False).astype(bool)
    by_people = rows["label_source"].isin(BY_PEOPLE) | rows["keep"]
    good_enough = issues.accuracy >= params.cl_auto_min_accuracy
    automatic = doubted & (rows["split"] == "train") & ~by_people & good_enough

    issue = pd.Series("none", index=rows.index, dtype="str")
    issue = issue.mask(doubted, "review").mask(automatic, "auto")
    return rows.join(issues.frame.drop(columns="doubted")).assign(label_issue=issue)


def _with_remarks(decided: Decisions, rows: pd.DataFrame, params: CurateParams) -> Decisions:
    relabelled = (rows["label_source"] == "votes") & (rows["class_id"] != rows["label_received"])
    remarks = {
        **quality_remarks(rows, params),
        Remark.LABEL_REVIEW: rows["label_issue"] == "review",
        Remark.RELABELLED_BY_VOTES: relabelled,
        Remark.RELABELLED_BY_OVERRIDE: rows["relabel"].notna(),
    }
    for code, mask in remarks.items():
        decided = decided.remark(code, mask & rows["refusal"].isna())
    return decided


def _manifest(rows: pd.DataFrame, decided: Decisions, weights: pd.Series) -> pd.DataFrame:
    """The columns of MANIFEST, by image_id."""
    by_votes = decided.marks[Remark.RELABELLED_BY_VOTES] | (
        decided.reason == Reason.VOTES_UNDECIDED.value
    )
    by_override = rows["touched"] | (decided.reason == Reason.CLASS_EXCLUDED.value)
    decided_by = pd.Series("rule", index=rows.index, dtype="str")
    decided_by = decided_by.mask(by_votes, "votes").mask(by_override, "override")
    table = rows.assign(
        split=rows["split"].where(decided.standing),
        weight=weights.reindex(rows.index),
        decision=decided.kinds(),
        reason=decided.reason,
        flags=decided.flags(),
        decided_by=decided_by,
    )
    return table[[column.name for column in MANIFEST.columns if column.name != "image_id"]]


def _manifest_of_tests(
    extra: extra_tests.ExtraTests, repeats: extra_tests.Repeats, params: CurateParams
) -> pd.DataFrame:
    """The columns of MANIFEST, by image_id, for extra test sets: nobody votes on them, and no model doubts them."""
    names = [column.name for column in MANIFEST.columns if column.name != "image_id"]
    if extra.rows.empty:
        return pd.DataFrame(columns=names)
    rows = repeats.told(extra.rows)
    rows = rows.reindex(columns=rows.columns.union(names, sort=False))
    decided = _with_remarks(extra.decided, rows, params)
    return _manifest(rows, decided, pd.Series(dtype="float32"))
