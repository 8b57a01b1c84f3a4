"""Labels that the image itself contradicts, found out of sample.

k-fold predictions of three cheap predictors over the feature vectors (logistic regression, nearest neighbours,
extremely randomised trees), joined by their geometric mean: all three must believe in a class. A label is doubted
when another class is more probable by `cl_margin`. The idea is confident learning (C. Northcutt, L. Jiang, I. Chuang,
JAIR 70, 2021). Measured without votes on the demo's planted digits (66 flips among 1,885 images, half of them
lookalikes, 5 seeds): recall of the flips .985 to 1.00, precision .97 to 1.00.

How many labels are wrong is estimated by confident learning proper (confident_learning.py) from the same predictions.
Above `cl_train_rows` each fold learns from a random sample of that size; predictions are made in blocks and kept as
float16, from MOST_IN_MEMORY bytes in a temporary file, so memory does not grow with images x classes.

Legend: N labelled images, A images without a class, D features, K classes, B images of one block.
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
MOST_CLASSES_FOR_TREES = (
    200  # a tree keeps K numbers per leaf: 20,000 leaves x 1,000 classes would be 160 MB each
)
TREES = 25  # 50 or 100: the same recall and precision, twice and four times the time
NEIGHBOURS = 10
FLOOR = 1e-3  # a predictor that never saw a class does not veto it
BLOCK_ROWS = 16_384
MOST_IN_MEMORY = 256_000_000
COLUMNS = ("p_given", "label_suggested", "p_suggested", "label_doubt", "al_rank")

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class LabelIssues:
    """What the predictors think.

    frame, by image_id: p_given, label_suggested, p_suggested, label_doubt (0..1, most doubtful highest; NaN: not
    scored), doubted, al_rank (1: label it first, or look at its label first; NaN: neither). accuracy: share of scored
    images whose most probable class is the one given; noise_rate: estimated share of wrong labels; both NaN when none
    was scored.
    """

    frame: pd.DataFrame
    accuracy: float
    noise_rate: float


def find_label_issues(
    rows: pd.DataFrame, features: pd.DataFrame, params: CurateParams
) -> LabelIssues:
    """Doubt labels out of sample, and say which images without a class to label next.

    rows: class_id (NaN: none) and fold_group by image_id. features: kind and vector by image_id. Vectors of different
    kinds (pixels, embeddings) cannot be compared; each kind is scored among its own.
    """
    joined = rows.join(features[["kind", "vector"]], how="inner").sort_index()
    parts = [_score_kind(part, params) for _, part in joined.groupby("kind", sort=True)]
    empty = pd.DataFrame({name: [] for name in COLUMNS}).astype({"label_suggested": "str"})
    frame = pd.concat([empty, *(part.frame for part in parts)]).reindex(rows.index)

    # A label is in question where another class is suggested, and doubted where that class is much more probable.
    scored = frame["p_given"].notna()
    is_other = frame["label_suggested"].notna() & (frame["label_suggested"] != rows["class_id"])
    questioned = rows["class_id"].notna() & is_other
    doubted = questioned & (frame["p_suggested"] - frame["p_given"] > params.cl_margin)

    # Those without a class have their rank already; the others are looked at by their doubt.
    to_review = frame["label_doubt"].where(questioned).rank(method="first", ascending=False)
    frame["al_rank"] = frame["al_rank"].fillna(to_review)
    frame = frame.assign(doubted=doubted)

    if not scored.any():
        return LabelIssues(frame, accuracy=float("nan"), noise_rate=float("nan"))
    n_wrong = sum(part.noise_rate * part.n_scored for part in parts if part.n_scored)
    accuracy = float(1 - questioned[scored].mean())
    return LabelIssues(frame, accuracy=accuracy, noise_rate=n_wrong / scored.sum())


def folds_of(groups: pd.Series, labels: Codes, *, n_folds: int, salt: str) -> tuple[Codes, Reals]:
    """The fold (0..n_folds-1) of each row and its draw (0..1): groups stay together, classes are spread evenly.

    Within a class, groups are dealt to the folds in the order of a hash; a group counts for the class of its first row.
    """
    draw = hash_01(groups, salt)
    cards = pd.DataFrame({"group": groups.to_numpy(dtype=object), "label": labels, "draw": draw})
    first = cards.drop_duplicates("group").sort_values(["label", "draw", "group"])
    dealt = first.groupby("label").cumcount() % n_folds
    fold_of_group = first.assign(fold=dealt).set_index("group")["fold"]
    fold = cards["group"].map(fold_of_group).to_numpy(dtype=np.int64)
    return fold, draw


@dataclass(frozen=True)
class _ScoredKind:
    """frame: COLUMNS by image_id, for the images of one kind; n_scored: how many labels were scored."""

    frame: pd.DataFrame
    n_scored: int
    noise_rate: float


def _score_kind(part: pd.DataFrame, params: CurateParams) -> _ScoredKind:
    """One kind of features: its labels out of fold, its images without a class by the first fold's predictors."""
    import sklearn.ensemble  # noqa: F401  # before the limit: it holds for libraries that are loaded
    from threadpoolctl import threadpool_limits

    vectors = _unit_scale(np.stack(part["vector"].to_list()).astype(np.float32))
    has_class = part["class_id"].notna().to_numpy()
    labelled = part[has_class]
    asked = part[~has_class]
    labelled_ND, asked_AD = vectors[has_class], vectors[~has_class]

    frame = pd.DataFrame(dict.fromkeys(COLUMNS, np.nan), index=part.index).astype(
        {"label_suggested": "str"}
    )
    uncertainty_A = np.ones(len(asked))  # of predictors that could not learn
    noise_rate, n_scored = float("nan"), 0
    with (
        threadpool_limits(1),
        warnings.catch_warnings(),
    ):  # one thread: the same bits on every machine size
        warnings.filterwarnings("ignore", module="sklearn")  # not yet converged is good enough here
        if _enough(labelled, params):
            found = _out_of_fold(labelled, labelled_ND, asked_AD, params)
            noise_rate, n_scored = found.noise_rate, len(labelled)
            uncertainty_A = found.uncertainty_A
            frame.loc[labelled.index, list(found.labels)] = found.labels
            frame.loc[asked.index, list(found.guesses)] = found.guesses.set_index(asked.index)
        first = rank_to_label(uncertainty_A, asked_AD, labelled_ND, n=params.label_next)
    frame.loc[asked.index[first], "al_rank"] = np.arange(1.0, len(first) + 1)
    return _ScoredKind(frame, n_scored, noise_rate)


def _enough(labelled: pd.DataFrame, params: CurateParams) -> bool:
    """Enough rows, and two classes that every fold can learn."""
    n_groups = labelled.groupby("class_id")["fold_group"].nunique()
    learnable = int((n_groups >= 2).sum())
    return len(labelled) >= max(FEWEST_ROWS, 2 * params.cl_folds) and learnable >= 2


@dataclass(frozen=True)
class _OutOfFold:
    """labels, by image_id: what is thought of each label; guesses: of each image without one, with uncertainty."""

    labels: pd.DataFrame
    noise_rate: float
    guesses: pd.DataFrame
    uncertainty_A: Reals


@dataclass
class _Believed:
    """The best class of each row and its probability, and that of a class compared with it; filled block by block."""

    best: Codes
    p_best: Reals
    p_compared: Reals

    @classmethod
    def of(cls, n_rows: int) -> _Believed:
        """Room for so many rows."""
        return cls(np.zeros(n_rows, np.int64), np.zeros(n_rows), np.zeros(n_rows))

    def fill(self, rows: Codes, p_BK: Reals, compared: Codes) -> None:
        """Note the block's rows. compared: a class of each, the given or the second best one."""
        numbers = np.arange(len(rows))
        self.best[rows] = p_BK.argmax(axis=1)
        self.p_best[rows] = p_BK[numbers, self.best[rows]]
        self.p_compared[rows] = p_BK[numbers, compared]

    def suggested(self, classes: NDArray[Any]) -> pd.DataFrame:
        """The best class by its name, and its probability."""
        frame = pd.DataFrame({"label_suggested": classes[self.best], "p_suggested": self.p_best})
        return frame.astype({"label_suggested": "str"})


def _out_of_fold(
    labelled: pd.DataFrame, vectors_ND: Floats, asked_AD: Floats, params: CurateParams
) -> _OutOfFold:
    names = labelled["class_id"].to_numpy(dtype=object)
    classes = np.unique(names)
    codes = np.searchsorted(classes, names).astype(np.int64)
    fold, draw = folds_of(
        labelled["fold_group"], codes, n_folds=params.cl_folds, salt=params.split_salt
    )

    of_label = _Believed.of(len(labelled))
    of_asked = _Believed.of(len(asked_AD))
    p_NK = _matrix(len(labelled), len(classes))
    for k in range(params.cl_folds):
        learn = _sample(np.flatnonzero(fold != k), draw, params.cl_train_rows)
        models = _fit(vectors_ND[learn], codes[learn], n_classes=len(classes), seed=params.seed)
        for block in _blocks(np.flatnonzero(fold == k)):
            p_BK = _consensus(models, vectors_ND[block], len(classes))
            p_NK[block] = p_BK
            of_label.fill(block, p_BK, codes[block])
        if k > 0:
            continue
        # Images without a class were learnt from by nobody: the predictors of one fold are enough for them.
        for block in _blocks(np.arange(len(asked_AD))):
            p_BK = _consensus(models, asked_AD[block], len(classes))
            second = np.argsort(p_BK, axis=1)[:, -2]
            of_asked.fill(block, p_BK, second)

    joint = confident_joint(p_NK, codes)
    doubt = label_doubt(p_NK, codes, joint.thresholds)
    labels = pd.DataFrame({"p_given": of_label.p_compared, "label_doubt": doubt})
    labels = pd.concat([labels, of_label.suggested(classes)], axis=1).set_index(labelled.index)
    return _OutOfFold(
        labels=labels,
        noise_rate=joint.noise_rate,
        guesses=of_asked.suggested(classes),
        uncertainty_A=1 - (of_asked.p_best - of_asked.p_compared),
    )


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
    scale = np.float32(np.sqrt(10) / max(length, 1e-12))
    return np.asarray(centred * scale)


def _sample(rows: Codes, draw: Reals, most: int) -> Codes:
    """At most `most` of the rows, those with the lowest draws; ascending."""
    if len(rows) <= most:
        return rows
    lowest = np.argsort(draw[rows], kind="stable")[:most]
    return np.sort(rows[lowest])


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


def _consensus(models: list[Any], vectors_BD: Floats, n_classes: int) -> Reals:
    """The normalised geometric mean of the models' probabilities [B, K]."""
    total_BK = np.zeros((len(vectors_BD), n_classes))
    for model in models:
        p_BK = np.zeros_like(total_BK)
        p_BK[:, model.classes_] = model.predict_proba(vectors_BD)
        total_BK += np.log(np.maximum(p_BK, FLOOR))
    mean_BK = np.exp(total_BK / len(models))
    return np.asarray(mean_BK / mean_BK.sum(axis=1, keepdims=True))


def _blocks(rows: Codes) -> Iterator[Codes]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]
