"""What was decided on each picture: the first reason that applies is the primary one, all that apply are flags."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd

from pipeline_lib.reasons import Reason, Remark

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
