"""What was decided on each image, and the limits that the decisions must keep.

The first reason that applies to an image is the primary one; all that apply are flags. Each limit passed stops the
stage and names the ten worst images, with why.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.remedies import LEAVES_NOTHING, remedy_of
from pipeline_lib.sources.names import is_companion, with_and_without_ending

# Nothing is wrong with the file: a rule or a person chose to do without it.
CHOICES = frozenset(
    {
        Reason.EXCLUDED_BY_PATTERN,
        Reason.IGNORED_SYSTEM_FILE,
        Reason.NOT_A_PICTURE_NAME,
        Reason.LABEL_UNKNOWN,
        Reason.DUPLICATE,
        Reason.LEAK_TRAIN_EVAL,
        Reason.OVER_CLASS_CAP,
        Reason.CLASS_EXCLUDED,
        Reason.OVERRIDE_REMOVED,
    }
)
MOST_CODES = 63  # one bit each of an int64
NAMED = 10  # examples in a message
FEW = 5  # files beside the images, such as README, licence and tables: in a small set each is a large share


@dataclass(frozen=True)
class Decisions:
    """reason: primary reason by image_id, NaN while the image stands. marks: code -> boolean Series over all rows."""

    reason: pd.Series
    marks: dict[Reason | Remark, pd.Series] = field(default_factory=dict)

    @property
    def standing(self) -> pd.Series:
        """Boolean by image_id: nothing excludes it so far."""
        return self.reason.isna()

    def exclude(self, code: Reason, mask: pd.Series) -> Decisions:
        """Give a reason to the rows of `mask` (by image_id, absent rows are False)."""
        chosen = self._over_all_rows(mask)
        marked = self.remark(code, chosen)
        # A row that has a reason keeps it: the first one counts.
        return replace(marked, reason=self.reason.mask(self.standing & chosen, code.value))

    def remark(self, code: Reason | Remark, mask: pd.Series) -> Decisions:
        """Flag rows without excluding them."""
        chosen = self._over_all_rows(mask)
        if code in self.marks:
            chosen = chosen | self.marks[code]
        return replace(self, marks={**self.marks, code: chosen})

    def kinds(self) -> pd.Series:
        """By image_id: keep, quarantine (a fault that can be fixed) or remove (a choice)."""
        by_choice = self.reason.isin([code.value for code in CHOICES])
        kind = pd.Series("quarantine", index=self.reason.index, dtype="str")
        kind = kind.mask(self.standing, "keep")
        return kind.mask(by_choice, "remove")

    def flags(self) -> pd.Series:
        """All codes that apply, sorted, as one list per row."""
        codes = sorted(self.marks, key=str)
        assert len(codes) <= MOST_CODES, "more codes than bits"

        # The codes of a row as the bits of one number: millions of rows share some dozens of patterns.
        bits = np.zeros(len(self.reason), np.int64)
        for bit, code in enumerate(codes):
            bits |= self.marks[code].to_numpy().astype(np.int64) << bit
        patterns, which = np.unique(bits, return_inverse=True)

        # One list per pattern, and each row refers to the list of its own.
        lists = np.empty(len(patterns), dtype=object)
        for number, pattern in enumerate(patterns.tolist()):
            lists[number] = [code.value for bit, code in enumerate(codes) if pattern >> bit & 1]
        return pd.Series(lists[which], index=self.reason.index, dtype=object)

    def count(self, code: Reason | Remark) -> int:
        """How many rows carry a code, excluded by it or not."""
        if code not in self.marks:
            return 0
        return int(self.marks[code].sum())

    def _over_all_rows(self, mask: pd.Series) -> pd.Series:
        return mask.reindex(self.reason.index, fill_value=False).astype(bool)


def refused(rows: pd.DataFrame) -> Decisions:
    """The first decisions: members the download or the decoder refused."""
    undecided = pd.Series(float("nan"), index=rows.index, dtype="str")
    decided = Decisions(undecided)
    for code in sorted(set(rows["refusal"].dropna())):
        decided = decided.exclude(Reason(code), rows["refusal"] == code)
    return decided


def check_limits(
    manifest: pd.DataFrame, leaks: pd.Series, params: CurateParams, file: Path
) -> None:
    """Raise DataCheckFailed when a limit is passed.

    manifest: as written, indexed by image_id. leaks: boolean by image_id, the kept training rows still tied to val or
    test. Label issues are counted among the labels that were scored out of sample.
    """
    check_quarantine(manifest, params.max_quarantine_rate, file)
    _check_label_issues(manifest, params.max_label_issue_rate, file)
    _check_leakage(leaks.index[leaks], params.max_leakage, file)


def check_other_files(manifest: pd.DataFrame, params: CurateParams, file: Path) -> None:
    """Raise DataCheckFailed when too many files are no images by their names and go with no image either.

    A few lie beside any images, and so do companions of images. A large share of others says that images came in
    another form, or that the folder is another one. manifest: as written, indexed by image_id, all rows.
    """
    is_other = manifest["reason"] == Reason.NOT_A_PICTURE_NAME.value
    allowed = max(FEW, params.max_quarantine_rate * len(manifest))
    if is_other.sum() <= allowed:  # the usual case, settled without a look at names
        return
    images = with_and_without_ending(manifest.index[~is_other])
    others = [
        image_id
        for image_id in sorted(manifest.index[is_other])
        if not is_companion(image_id, images)
    ]
    if len(others) <= allowed:
        return
    endings = Counter(_ending(image_id) for image_id in others)
    each = ", ".join(f"{ending}: {n}" for ending, n in endings.most_common())
    raise DataCheckFailed(
        f"{len(others)} of {len(manifest)} files are no images by their names, {allowed:.0f} are allowed",
        file=file,
        value=f"{each}; {', '.join(others[:NAMED])}",
        remedy="name the folder that holds the images in discover.sources, save what should be images as JPEG or PNG, "
        "or raise curate.max_quarantine_rate in params.yaml",
    )


def _ending(image_id: str) -> str:
    last = image_id.rpartition("/")[2]
    return f".{last.rpartition('.')[2].lower()}" if "." in last else last


def check_quarantine(manifest: pd.DataFrame, limit: float, file: Path, *, of_set: str = "") -> None:
    """Raise DataCheckFailed when more than this share is quarantined. of_set: what the rows are, in the message.

    The worst: images of the commonest reason, which the remedy speaks of.
    """
    reasons = manifest.loc[manifest["decision"] == "quarantine", "reason"].sort_index()
    allowed = limit * len(manifest)
    if len(reasons) <= allowed:
        return

    # Reasons by how often they occur; among equals the one that sorts first.
    counts = reasons.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    ordered = reasons.iloc[(-reasons.map(counts)).argsort(kind="stable")]
    each = ", ".join(f"{reason}: {n}" for reason, n in counts.items())

    # A limit is no remedy where keeping more of the same would leave too little to train on.
    commonest = Reason(ordered.iloc[0])
    remedy = remedy_of(commonest)
    if commonest not in LEAVES_NOTHING:
        remedy += ", or raise curate.max_quarantine_rate in params.yaml"
    raise DataCheckFailed(
        f"{len(reasons)} of {len(manifest)} images{of_set} are quarantined, {allowed:.0f} are allowed",
        file=file,
        value=f"{each}; {_worst(ordered)}",
        remedy=remedy,
    )


def _check_label_issues(manifest: pd.DataFrame, limit: float, file: Path) -> None:
    """The worst: those whose suggested class is more probable than the given one by most."""
    scored = manifest[manifest["p_given"].notna()]
    doubted = scored[scored["label_issue"] != "none"].sort_index()
    allowed = limit * len(scored)
    if len(doubted) <= allowed:
        return

    margin = doubted["p_given"] - doubted["p_suggested"]
    ordered = doubted.iloc[margin.argsort(kind="stable")]
    why = ordered["class_id"] + ", looks like " + ordered["label_suggested"]
    raise DataCheckFailed(
        f"{len(doubted)} of {len(scored)} labels are doubted, {allowed:.0f} are allowed",
        file=file,
        value=_worst(why),
        remedy="look at line/curate/review.parquet and correct labels in curation/overrides.csv, "
        "or raise curate.max_label_issue_rate in params.yaml",
    )


def _check_leakage(leaking: pd.Index, limit: int, file: Path) -> None:
    if len(leaking) <= limit:
        return
    raise DataCheckFailed(
        f"{len(leaking)} training images are tied to val or test, {limit} are allowed",
        file=file,
        value=_worst(pd.Series("tied to val or test", index=leaking)),
        remedy="remove them in curation/overrides.csv, or raise curate.max_leakage in params.yaml",
    )


def _worst(why: pd.Series) -> str:
    """image_id (why) of the first ten. why: text by image_id, worst first."""
    named = ", ".join(f"{image_id} ({text})" for image_id, text in why.iloc[:NAMED].items())
    if len(why) > NAMED:
        return f"{named} and {len(why) - NAMED} more"
    return named
