"""Wrong labels planted among photographs: how many are found, and whether the probabilities can be believed.

    python -m benchmarks.curation.photograph_labels --data FOLDER [--seeds 5] [--sheet FILE]

FOLDER: clothing.tar (`train|test/<class>/<name>.jpg`), or any tar of photographs in folders by class. 2, 8 and 20 % of the
labels become any other class. Each draw is judged as `curate` does at its defaults, by the features of the built-in network
and by gradients; as release 0.2.0 did (benchmarks/support/labels_020.py); and, where cleanlab is installed, by it, with its
defaults (logistic regression, five folds) on the same features. The constants of `curate` were chosen on draws 0 to 4 and on
other images; the draws here begin at FIRST_DRAW. What was wrong in the archive itself counts as right.
`--sheet`: draws the 24 most doubtful labels of the archive as it is, to be looked at.
Writes benchmarks/results/photograph_labels.json.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps
from sklearn.metrics import average_precision_score

from benchmarks.curation.photograph_copies import read_photographs
from benchmarks.support.labels_020 import opinion_020
from benchmarks.support.reliability import reliability_rows
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.inputs import axes_by_kind, cut
from pipeline_lib.curate.label_issues import LabelIssues, find_label_issues, folds_of, unit_scale
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.embedding import find_embedding
from pipeline_lib.inspect.image import examine
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.shard import describe

PARAMS = CurateParams()
SHARES = (0.02, 0.08, 0.2)
FIRST_DRAW = 10
NETWORK, GRADIENTS = "network", "gradients"
TILE_PX, PER_LINE, SHOWN, CAPTION_PX = 150, 8, 24, 26

Codes = NDArray[np.int64]
Found = dict[str, list[float]]


def features_of(photographs: dict[str, bytes]) -> tuple[dict[str, pd.DataFrame], list[Row]]:
    """kind and vector by image_id, cut as `curate` does; what they cost."""
    ways = {NETWORK: find_embedding(InspectParams(), Path()), GRADIENTS: None}
    found: dict[str, list[dict[str, Any]]] = {way: [] for way in ways}
    names, network_s = [], 0.0
    for name in sorted(photographs):
        examined = examine(name, photographs[name], InspectParams())
        if examined.grey_HW is None:
            continue
        names.append(name)
        for way, embedding in ways.items():
            start = time.process_time()
            found[way].append(describe(examined, embedding))
            network_s += (time.process_time() - start) * (way == NETWORK)
    each_ms = 1000 * network_s / len(names)
    tables = {
        way: pd.DataFrame(described, index=names)[["kind", "vector"]]
        for way, described in found.items()
    }
    rows = [
        row("photographs", "images", "images", [len(names)]),
        row("photographs", "described by the network", "CPU ms an image", [each_ms]),
    ]
    return {way: cut(table, axes_by_kind(table, seed=0)) for way, table in tables.items()}, rows


def flipped(truth: pd.Series, share: float, draw: int) -> pd.Series:
    """The labels with a share of them another class, any with equal chance."""
    rng = np.random.default_rng(draw)
    classes = np.unique(truth)
    codes = np.searchsorted(classes, truth)
    chosen = rng.permutation(len(truth))[: round(share * len(truth))]
    codes[chosen] += rng.integers(1, len(classes), len(chosen))
    return pd.Series(classes[codes % len(classes)], index=truth.index)


def judge(given: pd.Series, features: pd.DataFrame) -> LabelIssues:
    """What `curate` thinks of these labels."""
    rows = pd.DataFrame({"class_id": given, "fold_group": given.index}, index=given.index)
    return find_label_issues(rows.astype("str"), features, PARAMS)


def _ours(given: pd.Series, wrong: pd.Series, features: pd.DataFrame, found: Found) -> LabelIssues:
    start = time.process_time()
    opinion = judge(given, features)
    _note(found, "ours", "CPU s", time.process_time() - start)
    frame = opinion.frame
    _ranked(found, "ours", frame["label_doubt"], wrong)
    _listed(found, "ours", frame["doubted"], wrong)
    _note(found, "ours", "out-of-fold accuracy", opinion.accuracy)
    _note(found, "ours", "accuracy estimated against the right labels", opinion.true_accuracy)
    _note(found, "ours", "estimated noise rate", opinion.noise_rate)
    return opinion


def _of_020(given: pd.Series, wrong: pd.Series, features: pd.DataFrame, found: Found) -> None:
    codes = pd.Categorical(given).codes.astype(np.int64)
    vectors_ND = unit_scale(np.stack(features["vector"].to_list()).astype(np.float32))
    fold, drawn = folds_of(given.index.to_series(), codes, n_folds=5, salt=PARAMS.split_salt)
    start = time.process_time()
    opinion = opinion_020(vectors_ND, codes, fold, draw=drawn, most=PARAMS.cl_train_rows)
    _note(found, "0.2.0", "CPU s", time.process_time() - start)
    _ranked(found, "0.2.0", pd.Series(opinion.doubt, given.index), wrong)
    _listed(found, "0.2.0", pd.Series(opinion.doubted, given.index), wrong)
    _note(found, "0.2.0", "questions", float(opinion.queued.sum()))
    _note(found, "0.2.0", "out-of-fold accuracy", opinion.accuracy)


def _of_cleanlab(given: pd.Series, wrong: pd.Series, features: pd.DataFrame, found: Found) -> None:
    from cleanlab.filter import find_label_issues as listed
    from cleanlab.rank import get_label_quality_scores
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict

    codes = pd.Categorical(given).codes.astype(np.int64)
    vectors_ND = np.stack(features["vector"].to_list())
    p_NK = cross_val_predict(
        LogisticRegression(max_iter=400), vectors_ND, codes, cv=5, method="predict_proba"
    )
    quality = get_label_quality_scores(codes, p_NK, method="self_confidence")
    _ranked(found, "cleanlab", pd.Series(-quality, given.index), wrong)
    _listed(found, "cleanlab", pd.Series(listed(codes, p_NK), given.index), wrong)


def _ranked(found: Found, who: str, doubt: pd.Series, wrong: pd.Series) -> None:
    if wrong.any():
        _note(found, who, "average precision", float(average_precision_score(wrong, doubt)))
        first = wrong[doubt.sort_values(ascending=False, kind="stable").index[:50]]
        _note(found, who, "precision of the first 50", float(first.mean()))


def _listed(found: Found, who: str, chosen: pd.Series, wrong: pd.Series) -> None:
    right = float((chosen & wrong).sum())
    _note(found, who, "doubted", float(chosen.sum()))
    if wrong.any():
        _note(found, who, "doubted, recall", right / float(wrong.sum()))
        _note(found, who, "doubted, precision", right / max(float(chosen.sum()), 1.0))


def _note(found: Found, who: str, what: str, value: float) -> None:
    found.setdefault(f"{who}: {what}", []).append(value)


def planted_rows(truth: pd.Series, features: pd.DataFrame, way: str, seeds: int) -> list[Row]:
    """All shares of flips, each with all draws, and the reliability of our probabilities over all of them."""
    ways: list[Callable[[pd.Series, pd.Series, pd.DataFrame, Found], object]] = [_of_020]
    ways += [_of_cleanlab] if find_spec("cleanlab") else []
    rows: list[Row] = []
    for share in (0.0, *SHARES):
        found: Found = {}
        scores, wrongs = [], []
        for draw in range(FIRST_DRAW, FIRST_DRAW + (seeds if share else 1)):
            given = flipped(truth, share, draw)
            wrong = given != truth
            opinion = _ours(given, wrong, features, found)
            scores.append(opinion.frame["label_doubt"].to_numpy())
            wrongs.append(wrong.to_numpy())
            for judged_by in ways:
                judged_by(given, wrong, features, found)
        case = f"{way}, {share:.0%} flipped"
        rows += [row(case, name, _unit(name), values) for name, values in found.items()]
        rows += reliability_rows(f"reliability: {case}", scores, wrongs) if share else []
        shown = {name: round(float(np.median(values)), 3) for name, values in found.items()}
        print(case, shown, flush=True)
    return rows


def _unit(name: str) -> str:
    what = name.partition(": ")[2]
    return {"doubted": "labels", "questions": "labels", "CPU s": "CPU s"}.get(what, "share")


def sheet(opinion: LabelIssues, given: pd.Series, photographs: dict[str, bytes]) -> Image.Image:
    """The most doubtful labels, each with its probability, the label and what is suggested."""
    frame = opinion.frame.assign(given=given)
    worst = frame.sort_values("label_doubt", ascending=False, kind="stable").head(SHOWN)
    lines = -(-len(worst) // PER_LINE)
    whole = Image.new("RGB", (PER_LINE * TILE_PX, lines * (TILE_PX + CAPTION_PX)), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(11)
    for number, (name, one) in enumerate(worst.iterrows()):
        left, top = number % PER_LINE * TILE_PX, number // PER_LINE * (TILE_PX + CAPTION_PX)
        tile = ImageOps.contain(
            Image.open(io.BytesIO(photographs[str(name)])).convert("RGB"), (TILE_PX - 4,) * 2
        )
        whole.paste(tile, (left + 2, top + CAPTION_PX))
        mark = "*" if one["doubted"] else ""
        said = f"{number + 1}{mark} p(wrong) {one['label_doubt']:.2f}\n{one['given']} > {one['label_suggested']}"
        draw.multiline_text((left + 3, top), said, "black", font, spacing=1)
    return whole


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.photograph_labels", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="a folder with clothing.tar")
    parser.add_argument("--seeds", type=int, default=5, help="draws of the flips (default 5)")
    parser.add_argument("--sheet", type=Path, help="a JPEG file for the contact sheet")
    options = parser.parse_args()
    photographs = read_photographs(options.data / "clothing.tar")
    features, rows = features_of(photographs)
    names = features[NETWORK].index
    truth = pd.Series([name.split("/")[-2] for name in names], index=names)
    for way, table in features.items():
        rows += planted_rows(truth, table, way, options.seeds)
    if options.sheet:
        made = sheet(judge(truth, features[NETWORK]), truth, photographs)
        made.save(options.sheet, quality=72)
    if not find_spec("cleanlab"):
        print("cleanlab is not installed: not compared with it")
    also = ["onnxruntime", *(["cleanlab"] if find_spec("cleanlab") else [])]
    print(f"wrote {write_results('photograph_labels', rows, also=also)}")


if __name__ == "__main__":
    main()
