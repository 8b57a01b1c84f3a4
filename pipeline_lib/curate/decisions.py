"""What was decided on each image, and the limits that the decisions must keep.

The first reason that applies to an image is the primary one; all that apply are flags. Each limit passed stops the
stage and names the ten worst images, with why.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.reasons import Reason, Remark
from pipeline_lib.remedies import LEAVES_NOTHING, remedy_of

CHOICES = frozenset(  # nothing is wrong with the file: a rule or a person chose to do without it
    {
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


@dataclass(frozen=True)
class Verdicts:
    """reason: primary reason by image_id, NaN while the picture stands. marks: code -> boolean Series over all rows."""

    reason: pd.Series
    marks: dict[Reason | Remark, pd.Series] = field(default_factory=dict)

    @property
    def standing(self) -> pd.Series:
        """Boolean by image_id: nothing excludes it so far."""
        return self.reason.isna()

    def exclude(self, code: Reason, mask: pd.Series) -> Verdicts:
        """Give a reason to the rows of `mask` (by image_id, absent rows are False)."""
        everywhere = mask.reindex(self.reason.index, fill_value=False).astype(bool)
        marked = self.remark(code, everywhere)
        return replace(marked, reason=self.reason.mask(self.standing & everywhere, code.value))

    def remark(self, code: Reason | Remark, mask: pd.Series) -> Verdicts:
        """Flag rows without excluding them."""
        everywhere = mask.reindex(self.reason.index, fill_value=False).astype(bool)
        before = self.marks.get(code)
        return replace(self, marks={**self.marks, code: everywhere if before is None else everywhere | before})

    def decisions(self) -> pd.Series:
        """keep, quarantine (a fault that can be mended) or remove (a choice), by image_id."""
        decision = pd.Series("quarantine", index=self.reason.index, dtype="str")
        return decision.mask(self.standing, "keep").mask(self.reason.isin([code.value for code in CHOICES]), "remove")

    def flags(self) -> pd.Series:
        """All codes that apply, sorted, as one list per row."""
        codes = sorted(self.marks, key=str)
        assert len(codes) < 64, "more codes than bits"
        bits = np.zeros(len(self.reason), np.int64)
        for bit, code in enumerate(codes):
            bits |= self.marks[code].to_numpy().astype(np.int64) << bit
        patterns, which = np.unique(bits, return_inverse=True)  # few: millions of rows share some dozens of lists
        lists = np.empty(len(patterns), dtype=object)
        for number, pattern in enumerate(patterns.tolist()):
            lists[number] = [code.value for bit, code in enumerate(codes) if pattern >> bit & 1]
        return pd.Series(lists[which], index=self.reason.index, dtype=object)

    def count(self, code: Reason | Remark) -> int:
        """How many rows carry a code, excluded by it or not."""
        return int(self.marks[code].sum()) if code in self.marks else 0


def refused(rows: pd.DataFrame) -> Verdicts:
    """The first verdicts: members the download or the decoder refused."""
    verdicts = Verdicts(pd.Series(float("nan"), index=rows.index, dtype="str"))
    for code in sorted(set(rows["refusal"].dropna())):
        verdicts = verdicts.exclude(Reason(code), rows["refusal"] == code)
    return verdicts


NAMED = 10  # examples in a message


def check_limits(manifest: pd.DataFrame, leaks: pd.Series, params: CurateParams, file: Path) -> None:
    """Raise DataCheckFailed when a limit is passed.

    manifest: as written, indexed by image_id. leaks: boolean by image_id, the kept training rows still tied to val or
    test. Label issues are counted among the labels that were judged out of sample.
    """
    _check_quarantine(manifest, params.max_quarantine_rate, file)
    _check_label_issues(manifest, params.max_label_issue_rate, file)
    leaking = leaks.index[leaks]
    if len(leaking) > params.max_leakage:
        what = f"{len(leaking)} training pictures are tied to val or test, {params.max_leakage} are allowed"
        remedy = "remove them in curation/overrides.csv, or raise curate.max_leakage in params.yaml"
        why = pd.Series("tied to val or test", index=leaking)
        raise DataCheckFailed(what, file=file, value=_worst(why), remedy=remedy)


def _check_quarantine(manifest: pd.DataFrame, limit: float, file: Path) -> None:
    """The worst: pictures of the commonest reason, which the remedy speaks of."""
    reasons = manifest.loc[manifest["decision"] == "quarantine", "reason"].sort_index()
    allowed = limit * len(manifest)
    if len(reasons) <= allowed:
        return
    counts = reasons.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    ordered = reasons.iloc[(-reasons.map(counts)).argsort(kind="stable")]
    what = f"{len(reasons)} of {len(manifest)} pictures are quarantined, {allowed:.0f} are allowed"
    value = f"{', '.join(f'{reason}: {n}' for reason, n in counts.items())}; {_worst(ordered)}"
    commonest = Reason(ordered.iloc[0])
    raise_limit = ", or raise curate.max_quarantine_rate in params.yaml"
    remedy = remedy_of(commonest) + (raise_limit if commonest not in LEAVES_NOTHING else "")
    raise DataCheckFailed(what, file=file, value=value, remedy=remedy)


def _check_label_issues(manifest: pd.DataFrame, limit: float, file: Path) -> None:
    """The worst: those whose suggested class is more probable than the given one by most."""
    judged = manifest[manifest["p_given"].notna()]
    doubted = judged[judged["label_issue"] != "none"].sort_index()
    allowed = limit * len(judged)
    if len(doubted) <= allowed:
        return
    ordered = doubted.iloc[(doubted["p_given"] - doubted["p_suggested"]).argsort(kind="stable")]
    why = ordered["class_id"] + ", looks like " + ordered["label_suggested"]
    what = f"{len(doubted)} of {len(judged)} labels are doubted, {allowed:.0f} are allowed"
    remedy = (
        "look at line/curate/review.parquet and correct labels in curation/overrides.csv, "
        "or raise curate.max_label_issue_rate in params.yaml"
    )
    raise DataCheckFailed(what, file=file, value=_worst(why), remedy=remedy)


def _worst(why: pd.Series) -> str:
    """image_id (why) of the first ten. why: text by image_id, worst first."""
    more = f" and {len(why) - NAMED} more" if len(why) > NAMED else ""
    return ", ".join(f"{image_id} ({text})" for image_id, text in why.iloc[:NAMED].items()) + more
