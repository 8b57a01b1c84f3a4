"""The limits that the data must keep. Each one passed stops the stage and names the ten worst pictures, with why."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.reasons import Reason
from pipeline_lib.remedies import LEAVES_NOTHING, remedy_of
from pipeline_lib.sources.names import is_companion, with_and_without_ending

NAMED = 10  # examples in a message
FEW = 5  # files beside the images, such as README, licence and tables: in a small set each is a large share


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


def check_other_files(manifest: pd.DataFrame, params: CurateParams, file: Path) -> None:
    """Raise DataCheckFailed when too many files are no images by their names and go with no image either.

    A few lie beside any images, and so do companions of images. A large share of others says that images came in
    another form, or that the folder is another one. manifest: as written, indexed by image_id, all rows.
    """
    limit = params.max_quarantine_rate
    is_other = manifest["reason"] == Reason.NOT_A_PICTURE_NAME.value
    allowed = max(FEW, limit * len(manifest))
    if is_other.sum() <= allowed:  # the usual case, settled without a look at names
        return
    images = with_and_without_ending(manifest.index[~is_other])
    others = [image_id for image_id in sorted(manifest.index[is_other]) if not is_companion(image_id, images)]
    if len(others) <= allowed:
        return
    endings = Counter(_ending(image_id) for image_id in others)
    what = f"{len(others)} of {len(manifest)} files are no images by their names, {allowed:.0f} are allowed"
    value = f"{', '.join(f'{ending}: {n}' for ending, n in endings.most_common())}; {', '.join(others[:NAMED])}"
    remedy = (
        "name the folder that holds the images in discover.sources, save what should be images as JPEG or PNG, "
        "or raise curate.max_quarantine_rate in params.yaml"
    )
    raise DataCheckFailed(what, file=file, value=value, remedy=remedy)


def _ending(image_id: str) -> str:
    last = image_id.rpartition("/")[2]
    return f".{last.rpartition('.')[2].lower()}" if "." in last else last


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
