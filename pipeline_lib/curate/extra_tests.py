"""Extra test sets: their classes in the words of training, what is kept of them, and what training must do without.

They are decided on apart from all other images, so that a set more or less changes nothing else: no class, split, weight
or doubt. Only training images that an extra test image repeats leave training, as those do that val or test repeats.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from pipeline_lib.curate.decisions import Decisions, check_other_files, check_quarantine, refused
from pipeline_lib.curate.duplicates import Views, group_duplicates
from pipeline_lib.curate.extra_classes import Training, map_classes
from pipeline_lib.curate.overrides import (
    IMAGE_ACTIONS,
    Fault,
    ImageChanges,
    Override,
    image_changes,
)
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.quality import placeholders
from pipeline_lib.curate.splits import split_keys
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.reasons import Reason
from pipeline_lib.sources.source import Source
from pipeline_lib.tables.manifest import EXTRA

log = logging.getLogger(__name__)
ACTIONS = ("relabel", "remove")  # overrides of single images that mean something here


@dataclass(frozen=True)
class ExtraTests:
    """The rows of all extra test sets, sorted by image_id, in the columns of other rows and with `accepted`: the tuple of
    classes that are right for an image, () for none. decided: on these rows.
    """

    rows: pd.DataFrame
    decided: Decisions
    sources: tuple[Source, ...]

    @property
    def kept(self) -> pd.DataFrame:
        """The rows that stand."""
        return self.rows[self.decided.standing]


@dataclass(frozen=True)
class Repeats:
    """test_set: of the training images that an extra test set repeats, the set, by image_id. groups: dup_group and dup_kind
    of these and of all kept extra test images.
    """

    test_set: pd.Series
    groups: pd.DataFrame

    def of(self, rows: pd.DataFrame) -> pd.Series:
        """Boolean over rows: it is such a training image."""
        return pd.Series(rows.index.isin(self.test_set.index), index=rows.index)

    def told(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows with these groups, where they have no other."""
        if self.groups.empty:
            return rows
        found = self.groups.reindex(rows.index)
        if "dup_group" in rows:
            found = rows[["dup_group", "dup_kind"]].fillna(found)
        return rows.assign(dup_group=found["dup_group"], dup_kind=found["dup_kind"])


NO_REPEATS = Repeats(pd.Series(dtype="str"), pd.DataFrame({"dup_group": [], "dup_kind": []}))


def with_classes(rows: pd.DataFrame, sources: Sequence[Source], training: Training) -> pd.DataFrame:
    """The rows with class_id (the first that is right), `accepted`, and `left_out`: it had classes, and none is used.

    rows: source and label_received by image_id. Raises BadData for class names that are none of training.
    """
    accepted = pd.Series([()] * len(rows), index=rows.index, dtype=object)
    left_out = pd.Series(False, index=rows.index)
    for source in sources:
        texts = rows.loc[rows["source"] == source.name, "label_received"].dropna()
        names_of = {text: _names(text, source.label_separator) for text in texts.unique()}
        class_of = map_classes(
            {one for names in names_of.values() for one in names}, source, training
        )
        classes_of = {
            text: tuple(dict.fromkeys(to for name in names if (to := class_of[name]) is not None))
            for text, names in names_of.items()
        }
        found = texts.map(classes_of.__getitem__)
        accepted[texts.index] = found
        left_out[texts.index] = found.map(len) == 0
    first = accepted.map(lambda classes: classes[0] if classes else None).astype("str")
    return rows.assign(accepted=accepted, class_id=first, left_out=left_out)


def overridden(
    rows: pd.DataFrame, overrides: Sequence[Override], classes: Sequence[str]
) -> tuple[pd.DataFrame, ImageChanges]:
    """The rows with relabel, remove and touched by people's lines, and what these lines are.

    A line that names the bytes (sha256) of other images too is only applied as far as it means something here.
    """
    own = [o for o in overrides if o.key_type in ("image_id", "sha256")]
    faults: list[Fault] = [
        (o.line, f"{o.key} is of an extra test set, which takes {' and '.join(ACTIONS)} only")
        for o in own
        if o.key_type == "image_id" and o.key in rows.index and o.action not in ACTIONS
    ]
    lines = [o for o in own if o.action in ACTIONS and _names_one_of(o, rows)]
    changes = image_changes(lines, rows, classes)
    orders = changes.frame.reindex(rows.index)
    relabel = orders["relabel"].astype("str")
    is_relabelled = relabel.notna()
    accepted = rows["accepted"].mask(is_relabelled, relabel.map(lambda name: (name,)))
    now = rows.assign(
        accepted=accepted,
        class_id=rows["class_id"].mask(is_relabelled, relabel),
        left_out=rows["left_out"] & ~is_relabelled,
        relabel=relabel,
        remove=orders["remove"].eq(True),
        touched=rows.index.isin(changes.frame.index),
    )
    return now, replace(changes, faults=(*changes.faults, *faults))


def of_others(
    overrides: Sequence[Override], extra: pd.DataFrame, others: pd.DataFrame
) -> list[Override]:
    """The lines that are not about extra test images alone."""
    return [
        o
        for o in overrides
        if o.action not in IMAGE_ACTIONS or not _names_one_of(o, extra) or _names_one_of(o, others)
    ]


def decide(
    rows: pd.DataFrame, sources: Sequence[Source], classes: Sequence[str], params: CurateParams
) -> ExtraTests:
    """What is kept. classes: those that an image may have. Files with the same pixels and classes count once in a set."""
    accepted, first = _only(rows["accepted"], classes)
    unlisted = rows["class_id"].notna() & first.isna()
    full = rows.assign(
        accepted=accepted,
        class_id=first.fillna(rows["class_id"]),
        split=EXTRA,
        group_id=split_keys(rows),
        label_source=pd.Series("received", index=rows.index, dtype="str")
        .mask(rows["relabel"].notna(), "override")
        .where(rows["class_id"].notna()),
        label_issue="none",
        n_votes=0,
        keep=False,
        excluded=rows["left_out"],
    )
    decided = refused(full)
    decided = decided.exclude(Reason.OVERRIDE_REMOVED, full["remove"])
    decided = decided.exclude(Reason.PLACEHOLDER, placeholders(full, params))
    decided = decided.exclude(Reason.LABEL_UNKNOWN, full["left_out"] | unlisted)
    decided = decided.exclude(Reason.LABEL_MISSING, full["class_id"].isna())
    standing = full[decided.standing]
    key = ["source", "pixel_hash", "accepted"]
    again = standing[standing["pixel_hash"].notna()].duplicated(key, keep="first")
    return ExtraTests(full, decided.exclude(Reason.DUPLICATE, again), tuple(sources))


def find_repeats(
    extra: ExtraTests,
    training: pd.DataFrame,
    features: pd.DataFrame,
    views: Views,
    params: CurateParams,
) -> Repeats:
    """Which training images a kept extra test image repeats: as bytes, as pixels or nearly, and what is grouped with such.

    training: the rows that training may use. features, views: see `group_duplicates`.
    """
    kept = extra.kept
    if kept.empty:
        return NO_REPEATS
    shared = training.columns.intersection(kept.columns)
    together = pd.concat([training[shared], kept[shared]]).sort_index()
    apart = training.index[training["not_duplicate"]]
    groups = group_duplicates(together, features, views, params, apart=apart).frame
    set_of_group = kept["source"].groupby(groups.loc[kept.index, "dup_group"]).first()
    test_set = groups.loc[training.index, "dup_group"].map(set_of_group)
    with_others = test_set.groupby(training["dup_group"]).transform("first")
    test_set = test_set.fillna(with_others).dropna()
    told = groups.index.isin(kept.index) | groups.index.isin(test_set.index)
    return Repeats(test_set, groups.loc[told, ["dup_group", "dup_kind"]])


def check_repeats(
    repeats: Repeats, training: pd.DataFrame, params: CurateParams, file: Path
) -> None:
    """Raise DataCheckFailed when an extra test set repeats so many training images that it is rather the same images."""
    taken = repeats.test_set
    allowed = params.max_quarantine_rate * len(training)
    if len(taken) <= allowed:
        return
    examples = {str(name): (len(part), part.index.min()) for name, part in taken.groupby(taken)}
    raise DataCheckFailed(
        f"extra test sets repeat {len(taken)} of {len(training)} training images, {allowed:.0f} are allowed to leave training",
        file=file,
        value="; ".join(f"{name}: {n}, such as {first}" for name, (n, first) in examples.items()),
        remedy="test with other images than those of training: take the extra test set, or these images from the other "
        "sources, out of discover.sources, or raise curate.max_quarantine_rate in params.yaml",
    )


def within(extra: ExtraTests, classes: Sequence[str]) -> ExtraTests:
    """Leave out what is right for none of these classes, such as those that have too few training images."""
    accepted, first = _only(extra.rows["accepted"], classes)
    rows = extra.rows.assign(accepted=accepted, class_id=first.fillna(extra.rows["class_id"]))
    return replace(
        extra, rows=rows, decided=extra.decided.exclude(Reason.LABEL_UNKNOWN, first.isna())
    )


def check_sets(manifest: pd.DataFrame, extra: ExtraTests, params: CurateParams, file: Path) -> None:
    """Raise DataCheckFailed for a set of which too much is quarantined, or nothing is left. manifest: of these rows."""
    for source in extra.sources:
        of_set = manifest[manifest["source"] == source.name]
        check_other_files(of_set, params, file)
        check_quarantine(
            of_set, params.max_quarantine_rate, file, of_set=f" of the extra test set {source.name}"
        )
        if (of_set["decision"] == "keep").any():
            continue
        reasons = ", ".join(
            f"{reason}: {n}" for reason, n in of_set["reason"].value_counts().items()
        )
        raise DataCheckFailed(
            f"no image of the extra test set {source.name} is left",
            file=file,
            value=reasons,
            remedy=f"look at why, or remove the source {source.name} from discover.sources in params.yaml",
        )


def counts_by_set(
    manifest: pd.DataFrame, extra: ExtraTests, repeats: Repeats
) -> dict[str, dict[str, int]]:
    """Counts by set, for curation.json. manifest: of these rows."""
    found = {}
    for source in extra.sources:
        of_set = manifest["decision"][manifest["source"] == source.name]
        kept = extra.kept[extra.kept["source"] == source.name]
        found[source.name] = {
            "kept": int((of_set == "keep").sum()),
            "quarantined": int((of_set == "quarantine").sum()),
            "removed": int((of_set == "remove").sum()),
            "classes": len({one for names in kept["accepted"] for one in names}),
            "taken_from_training": int((repeats.test_set == source.name).sum()),
        }
    return found


def _only(accepted: pd.Series, classes: Sequence[str]) -> tuple[pd.Series, pd.Series]:
    """The right classes that are among these, and the first of each."""
    known = frozenset(classes)
    left = accepted.map(lambda names: tuple(one for one in names if one in known))
    return left, left.map(lambda names: names[0] if names else None).astype("str")


def _names(text: str, separator: str | None) -> list[str]:
    parts = [text] if separator is None else text.split(separator)
    return [normalize("NFC", part.strip()) for part in parts if part.strip()]


def _names_one_of(override: Override, rows: pd.DataFrame) -> bool:
    if override.key_type == "sha256":
        return bool(rows["sha256"].eq(override.key).any())
    return override.key in rows.index
