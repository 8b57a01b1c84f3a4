"""Labels that the picture itself contradicts, found out of sample.

k-fold predictions of three cheap predictors over the feature vectors (logistic regression, nearest neighbours,
extremely randomised trees), joined by their geometric mean: all three must believe in a class. A label is doubted
when another class is more probable by `cl_margin`. The idea is confident learning (C. Northcutt, L. Jiang, I. Chuang,
JAIR 70, 2021). Measured without votes on the demo's planted digits (66 flips among 1,885 pictures, half of them
lookalikes, 5 seeds): recall of the flips .985 to 1.00, precision .97 to 1.00.

How many labels are wrong is estimated by confident learning proper (confident.py) from the same predictions. Above
`cl_train_rows` each fold learns from a random sample of that size; predictions are made in blocks and kept as float16,
from MOST_IN_MEMORY bytes in a temporary file, so memory does not grow with pictures x classes.

Legend: N pictures, D features, K classes.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.active_learning import rank_to_label
from pipeline_lib.curate.confident_learning import confident_joint, label_doubt
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01

FEWEST_ROWS = 50  # below, an out-of-sample opinion is worth nothing
MOST_CLASSES_FOR_TREES = 200  # a tree keeps K numbers per leaf: 20,000 leaves x 1,000 classes would be 160 MB each
TREES, NEIGHBOURS = 25, 10  # 50 or 100 trees: the same recall and precision, twice and four times the time
FLOOR = 1e-3  # a predictor that never saw a class does not veto it
BLOCK_ROWS = 16_384
MOST_IN_MEMORY = 256_000_000
COLUMNS = ("p_given", "label_suggested", "p_suggested", "label_doubt", "al_rank")

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Opinion:
    """What the predictors think.

    frame, by image_id: p_given, label_suggested, p_suggested, label_doubt (0..1, most doubtful highest; NaN: not
    scored), doubted, al_rank (1: label it first, or look at its label first; NaN: neither). accuracy: share of scored
    pictures whose most probable class is the one given; noise_rate: estimated share of wrong labels; both NaN when none
    was scored.
    """

    frame: pd.DataFrame
    accuracy: float
    noise_rate: float


def judge_labels(rows: pd.DataFrame, features: pd.DataFrame, params: CurateParams) -> Opinion:
    """Doubt labels out of sample, and say which pictures without a class to label next.

    rows: class_id (NaN: none) and fold_group by image_id. features: kind and vector by image_id. Vectors of different
    kinds (pixels, embeddings) cannot be compared; each kind is judged among its own.
    """
    joined = rows.join(features[["kind", "vector"]], how="inner").sort_index()
    parts = [_judge(part, params) for _, part in joined.groupby("kind", sort=True)]
    empty = pd.DataFrame({name: [] for name in COLUMNS}).astype({"label_suggested": "str"})
    frame = pd.concat([empty, *(part.frame for part in parts)]).reindex(rows.index)
    labelled = rows["class_id"].notna()
    other = labelled & frame["label_suggested"].notna() & (frame["label_suggested"] != rows["class_id"])
    to_review = frame["label_doubt"].where(other).rank(method="first", ascending=False)
    frame["al_rank"] = frame["al_rank"].fillna(to_review)
    doubted = other & (frame["p_suggested"] - frame["p_given"] > params.cl_margin)
    scored = frame["p_given"].notna()
    accuracy = float(1 - other[scored].mean()) if scored.any() else float("nan")
    n_wrong = sum(part.noise_rate * part.n_scored for part in parts if part.n_scored)
    return Opinion(frame.assign(doubted=doubted), accuracy, n_wrong / scored.sum() if scored.any() else float("nan"))


def folds_of(groups: pd.Series, labels: Codes, *, n_folds: int, salt: str) -> tuple[Codes, NDArray[np.float64]]:
    """The fold (0..n_folds-1) of each row and its draw (0..1): groups stay together, classes are spread evenly.

    Within a class, groups are dealt to the folds in the order of a hash; a group counts for the class of its first row.
    """
    draw = hash_01(groups, salt)
    cards = pd.DataFrame({"group": groups.to_numpy(dtype=object), "label": labels, "draw": draw})
    first = cards.drop_duplicates("group").sort_values(["label", "draw", "group"])
    fold = first.assign(fold=first.groupby("label").cumcount() % n_folds).set_index("group")["fold"]
    return cards["group"].map(fold).to_numpy(dtype=np.int64), draw


def _enough(part: pd.DataFrame, params: CurateParams) -> bool:
    """Enough rows, and two classes that every fold can learn."""
    sizes = part.groupby("class_id")["fold_group"].nunique()
    return len(part) >= FEWEST_ROWS and int((sizes >= 2).sum()) >= 2 and len(part) >= 2 * params.cl_folds


@dataclass(frozen=True)
class _Judged:
    """frame: COLUMNS by image_id, for the pictures of one kind; n_scored: how many labels were judged."""

    frame: pd.DataFrame
    n_scored: int
    noise_rate: float


def _judge(part: pd.DataFrame, params: CurateParams) -> _Judged:
    """One kind of features: its labels out of fold, its pictures without a class by the first fold's predictors."""
    import sklearn.ensemble  # noqa: F401  # before the limit: it holds for libraries that are loaded
    from threadpoolctl import threadpool_limits

    vectors_ND = _unit_scale(np.stack(part["vector"].to_list()).astype(np.float32))
    frame = pd.DataFrame(dict.fromkeys(COLUMNS, np.nan), index=part.index).astype({"label_suggested": "str"})
    has_class = part["class_id"].notna().to_numpy()
    labelled, asked = np.flatnonzero(has_class), np.flatnonzero(~has_class)
    uncertainty, noise_rate, n_scored = np.ones(len(asked)), float("nan"), 0
    with threadpool_limits(1), warnings.catch_warnings():  # one thread: the same bits on every machine size
        warnings.filterwarnings("ignore", module="sklearn")  # not yet converged is good enough here
        if _enough(part.iloc[labelled], params):
            judged = _out_of_fold(part.iloc[labelled], vectors_ND[labelled], vectors_ND[asked], params)
            n_scored, noise_rate, uncertainty = len(labelled), judged.noise_rate, judged.uncertainty
            frame.loc[part.index[labelled], list(judged.labels)] = judged.labels
            frame.loc[part.index[asked], list(judged.guesses)] = judged.guesses.set_index(part.index[asked])
        first = rank_to_label(uncertainty, vectors_ND[asked], vectors_ND[labelled], n=params.label_next)
    frame.loc[part.index[asked[first]], "al_rank"] = np.arange(1.0, len(first) + 1)
    return _Judged(frame, n_scored, noise_rate)


@dataclass(frozen=True)
class _OutOfFold:
    """labels, by image_id: what is thought of each label; guesses: of each picture without one, with uncertainty."""

    labels: pd.DataFrame
    noise_rate: float
    guesses: pd.DataFrame
    uncertainty: NDArray[np.float64]


def _out_of_fold(part: pd.DataFrame, vectors_ND: Floats, asked_AD: Floats, params: CurateParams) -> _OutOfFold:
    classes = np.unique(part["class_id"].to_numpy(dtype=object))
    codes = np.searchsorted(classes, part["class_id"].to_numpy(dtype=object)).astype(np.int64)
    fold, draw = folds_of(part["fold_group"], codes, n_folds=params.cl_folds, salt=params.split_salt)
    scores = np.zeros((len(part), 3), np.float64)  # p of the given class, best class, its p
    asked = np.zeros((len(asked_AD), 3), np.float64)  # p of the second best class, best class, its p
    p_NK = _matrix(len(part), len(classes))
    for k in range(params.cl_folds):
        learn = _sample(np.flatnonzero(fold != k), draw, params.cl_train_rows)
        models = _fit(vectors_ND[learn], codes[learn], n_classes=len(classes), seed=params.seed)
        for block in _blocks(np.flatnonzero(fold == k)):
            p_BK = _consensus(models, vectors_ND[block], len(classes))
            scores[block], p_NK[block] = _score(p_BK, codes[block]), p_BK
        if k == 0:
            for block in _blocks(np.arange(len(asked_AD))):
                p_BK = _consensus(models, asked_AD[block], len(classes))
                asked[block] = _score(p_BK, np.argsort(p_BK, axis=1)[:, -2])
    joint = confident_joint(p_NK, codes)
    labels = pd.DataFrame({"p_given": scores[:, 0], "label_doubt": label_doubt(p_NK, codes, joint.thresholds)})
    labels = pd.concat([labels, _suggested(scores, classes)], axis=1).set_index(part.index)
    return _OutOfFold(labels, joint.noise_rate, _suggested(asked, classes), 1 - (asked[:, 2] - asked[:, 0]))


def _suggested(scores: NDArray[np.float64], classes: NDArray[Any]) -> pd.DataFrame:
    columns = {"label_suggested": classes[scores[:, 1].astype(int)], "p_suggested": scores[:, 2]}
    return pd.DataFrame(columns).astype({"label_suggested": "str"})


def _matrix(n_rows: int, n_classes: int) -> NDArray[np.float16]:
    """Room for all probabilities, in a nameless temporary file where they are many."""
    if n_rows * n_classes * 2 <= MOST_IN_MEMORY:
        return np.zeros((n_rows, n_classes), np.float16)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=(n_rows, n_classes))


def _unit_scale(vectors_ND: Floats) -> Floats:
    """Centre, and scale all features by one number so that a vector's mean square length is 10."""
    centred = vectors_ND - vectors_ND.mean(axis=0)
    length = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=1).mean())
    return np.asarray(centred * np.float32(np.sqrt(10) / max(length, 1e-12)))


def _sample(rows: Codes, draw: NDArray[np.float64], most: int) -> Codes:
    return rows if len(rows) <= most else np.sort(rows[np.argsort(draw[rows], kind="stable")[:most]])


def _fit(vectors_ND: Floats, codes: Codes, *, n_classes: int, seed: int) -> list[Any]:
    from sklearn.ensemble import ExtraTreesClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    models: list[Any] = [
        LogisticRegression(C=1.0, max_iter=60, tol=1e-3),
        KNeighborsClassifier(min(NEIGHBOURS, len(codes)), weights="distance", algorithm="brute"),
    ]
    if n_classes <= MOST_CLASSES_FOR_TREES:
        models.append(ExtraTreesClassifier(TREES, min_samples_leaf=2, random_state=seed, n_jobs=1))
    return [model.fit(vectors_ND, codes) for model in models]


def _consensus(models: list[Any], vectors_ND: Floats, n_classes: int) -> NDArray[np.float64]:
    """The normalised geometric mean of the models' probabilities [N, K]."""
    total_NK = np.zeros((len(vectors_ND), n_classes))
    for model in models:
        p_NK = np.zeros_like(total_NK)
        p_NK[:, model.classes_] = model.predict_proba(vectors_ND)
        total_NK += np.log(np.maximum(p_NK, FLOOR))
    mean_NK = np.exp(total_NK / len(models))
    return np.asarray(mean_NK / mean_NK.sum(axis=1, keepdims=True))


def _score(p_NK: NDArray[np.float64], codes: Codes) -> NDArray[np.float64]:
    best = p_NK.argmax(axis=1)
    numbers = np.arange(len(codes))
    return np.stack([p_NK[numbers, codes], best.astype(np.float64), p_NK[numbers, best]], axis=1)


def _blocks(rows: Codes) -> Iterator[Codes]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]
