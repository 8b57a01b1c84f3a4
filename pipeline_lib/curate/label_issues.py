"""Labels that the image itself contradicts, found out of sample.

k-fold predictions of two cheap predictors over the feature vectors (logistic regression, nearest neighbours), joined by
their geometric mean. label_noise.py turns them into the probability that a label is wrong; a label is doubted from
`cl_doubt` on. Features that know too little (estimated accuracy under `cl_min_accuracy`) doubt nothing: such predictors
take their own mistakes for mistakes in labels. Measured in benchmarks/curation: label_issues.py (digits),
photograph_labels.py, cifar10_labels.py (people's mistakes).

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
from pipeline_lib.curate.confident_learning import confident_joint
from pipeline_lib.curate.label_noise import LabelNoise, estimate_noise, judge
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01

FEWEST_ROWS = 50  # below, an out-of-sample opinion is worth nothing
REGULARISATION = 0.1  # inverse strength; 1 learns wrong labels by heart: average precision .87 for .92 on photographs
NEIGHBOURS = 20
EVEN_NEIGHBOURS = 5.0  # further ones, spread over all classes: 20 that agree do not prove that no other class is possible
FLOOR = 1e-4  # a predictor that never saw a class does not veto it
BLOCK_ROWS = 16_384
MOST_IN_MEMORY = 256_000_000
COLUMNS = ("p_given", "label_suggested", "p_suggested", "label_doubt", "al_rank")

Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class LabelIssues:
    """What the predictors think.

    frame, by image_id: p_given, label_suggested, p_suggested, label_doubt (probability 0..1 that the label is wrong; NaN:
    not scored), doubted, al_rank (1: label it first, or look at its label first; NaN: neither). accuracy: share of scored
    images whose most probable class is the one given; true_accuracy: the same against the right labels, estimated;
    noise_rate: estimated share of wrong labels; all NaN when none was scored. unjudged: one line on features that know
    too little to doubt labels, else "".
    """

    frame: pd.DataFrame
    accuracy: float
    true_accuracy: float
    noise_rate: float
    unjudged: str


def find_label_issues(
    rows: pd.DataFrame, features: pd.DataFrame, params: CurateParams
) -> LabelIssues:
    """Doubt labels out of sample, and say which images without a class to label next.

    rows: class_id (NaN: none) and fold_group by image_id. features: kind and vector by image_id. Vectors of different
    kinds (gradients, embeddings) cannot be compared; each kind is scored among its own.
    """
    joined = rows.join(features[["kind", "vector"]], how="inner").sort_index()
    parts = [_score_kind(str(kind), part, params) for kind, part in joined.groupby("kind")]
    empty = pd.DataFrame({name: [] for name in COLUMNS}).astype({"label_suggested": "str"})
    frame = pd.concat([empty, *(part.frame for part in parts)]).reindex(rows.index)

    # A label is in question where another class is suggested, and doubted where it is probably wrong.
    scored = frame["p_given"].notna()
    is_other = frame["label_suggested"].notna() & (frame["label_suggested"] != rows["class_id"])
    questioned = rows["class_id"].notna() & is_other
    weak = [part for part in parts if part.n_scored and part.accuracy < params.cl_min_accuracy]
    by_weak = frame.index.isin([name for part in weak for name in part.frame.index])
    doubted = questioned & ~by_weak & (frame["label_doubt"] >= params.cl_doubt)

    # Those without a class have their rank already; the others are looked at by their doubt.
    to_review = frame["label_doubt"].where(questioned).rank(method="first", ascending=False)
    frame["al_rank"] = frame["al_rank"].fillna(to_review)
    frame = frame.assign(doubted=doubted)
    return LabelIssues(
        frame,
        accuracy=float(1 - questioned[scored].mean()),
        true_accuracy=_mean(parts, [part.accuracy for part in parts]),
        noise_rate=_mean(parts, [part.noise_rate for part in parts]),
        unjudged="; ".join(_too_little(part, params) for part in weak),
    )


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
    """frame: COLUMNS by image_id, for the images of one kind; n_scored: how many labels were scored.

    accuracy: of the predictors against the right labels, estimated; noise_rate: share of wrong labels, estimated.
    """

    kind: str
    frame: pd.DataFrame
    n_scored: int
    accuracy: float
    noise_rate: float


def _too_little(part: _ScoredKind, params: CurateParams) -> str:
    """Why labels are not doubted by this kind of features, and what would help."""
    by_network = part.kind.startswith("embedding")
    what = "the network's features" if by_network else "gradients"
    which = "a stronger network" if by_network else "builtin:efficientnet_lite0 or another network"
    return (
        f"out-of-fold accuracy {part.accuracy:.2f}, {params.cl_min_accuracy:.2f} needed: {what} of {part.n_scored} "
        f"images know too little to doubt labels; name {which} in inspect.embedding_weights, or lower "
        "curate.cl_min_accuracy"
    )


def _mean(parts: list[_ScoredKind], values: list[float]) -> float:
    """The mean over all scored labels of a figure of each kind; NaN where none was scored."""
    scored = [(part.n_scored, value) for part, value in zip(parts, values, strict=True)]
    n_scored = sum(n for n, _ in scored)
    return sum(n * value for n, value in scored if n) / n_scored if n_scored else float("nan")


def _score_kind(kind: str, part: pd.DataFrame, params: CurateParams) -> _ScoredKind:
    """One kind of features: its labels out of fold, its images without a class by one fold's predictors."""
    import sklearn.linear_model
    import sklearn.neighbors  # noqa: F401  # before the limit: it holds for libraries that are loaded
    from threadpoolctl import threadpool_limits

    vectors = unit_scale(np.stack(part["vector"].to_list()).astype(np.float32))
    has_class = part["class_id"].notna().to_numpy()
    labelled = part[has_class]
    asked = part[~has_class]
    labelled_ND, asked_AD = vectors[has_class], vectors[~has_class]

    frame = pd.DataFrame(dict.fromkeys(COLUMNS, np.nan), index=part.index).astype(
        {"label_suggested": "str"}
    )
    uncertainty_A = np.ones(len(asked))  # of predictors that could not learn
    accuracy, noise_rate, n_scored = float("nan"), float("nan"), 0
    with (
        threadpool_limits(1),
        warnings.catch_warnings(),
    ):  # one thread: the same bits on every machine size
        warnings.filterwarnings("ignore", module="sklearn")  # not yet converged is good enough here
        if _enough(labelled, params):
            found = _out_of_fold(labelled, labelled_ND, asked_AD, params)
            accuracy, noise_rate, n_scored = found.accuracy, found.noise_rate, len(labelled)
            uncertainty_A = found.uncertainty_A
            frame.loc[labelled.index, list(found.labels)] = found.labels
            frame.loc[asked.index, list(found.guesses)] = found.guesses.set_index(asked.index)
        first = rank_to_label(uncertainty_A, asked_AD, labelled_ND, n=params.label_next)
    frame.loc[asked.index[first], "al_rank"] = np.arange(1.0, len(first) + 1)
    return _ScoredKind(kind, frame, n_scored, accuracy, noise_rate)


def _enough(labelled: pd.DataFrame, params: CurateParams) -> bool:
    """Enough rows, and two classes that every fold can learn."""
    n_groups = labelled.groupby("class_id")["fold_group"].nunique()
    learnable = int((n_groups >= 2).sum())
    return len(labelled) >= max(FEWEST_ROWS, 2 * params.cl_folds) and learnable >= 2


@dataclass(frozen=True)
class _OutOfFold:
    """labels, by image_id: what is thought of each label; guesses: of each image without one, with uncertainty."""

    labels: pd.DataFrame
    accuracy: float
    noise_rate: float
    guesses: pd.DataFrame
    uncertainty_A: Reals


def _out_of_fold(
    labelled: pd.DataFrame, vectors_ND: Floats, asked_AD: Floats, params: CurateParams
) -> _OutOfFold:
    names = labelled["class_id"].to_numpy(dtype=object)
    classes = np.unique(names)
    codes = np.searchsorted(classes, names).astype(np.int64)
    fold, draw = folds_of(
        labelled["fold_group"], codes, n_folds=params.cl_folds, salt=params.split_salt
    )

    p_NK = _matrix(len(labelled), len(classes))
    models: list[Any] = []
    for k in range(params.cl_folds):
        learn = _sample(np.flatnonzero(fold != k), draw, params.cl_train_rows)
        models = _fit(vectors_ND[learn], codes[learn])
        for block in _blocks(np.flatnonzero(fold == k)):
            p_NK[block] = _consensus(models, vectors_ND[block], len(classes))

    noise = estimate_noise(p_NK, codes, confident_joint(p_NK, codes), draw)
    judged = judge(p_NK, codes, noise)
    labels = {
        "p_given": judged.p_given,
        "label_doubt": judged.wrong,
        "label_suggested": classes[judged.best],
        "p_suggested": judged.p_best,
    }
    # Images without a class were learnt from by nobody: the predictors of one fold are enough for them.
    guesses, uncertainty_A = _guesses(models, asked_AD, classes, noise)
    return _OutOfFold(
        labels=pd.DataFrame(labels, index=labelled.index).astype({"label_suggested": "str"}),
        accuracy=float(judged.p_best.mean()),
        noise_rate=noise.rate,
        guesses=guesses,
        uncertainty_A=uncertainty_A,
    )


def _guesses(
    models: list[Any], vectors_AD: Floats, classes: NDArray[Any], noise: LabelNoise
) -> tuple[pd.DataFrame, Reals]:
    """The most probable class of each image and its probability; and how near the second one comes, 0..1.

    The latter as the predictors say, not calibrated: they have learnt few labels where it matters, and calibration makes
    nearly all images equally sure, so that hardly any would be worth a label.
    """
    best = np.zeros(len(vectors_AD), np.int64)
    p_best, uncertainty_A = (np.zeros(len(vectors_AD)) for _ in range(2))
    for block in _blocks(np.arange(len(vectors_AD))):
        p_BK = _consensus(models, vectors_AD[block], len(classes))
        best[block] = p_BK.argmax(axis=1)
        p_best[block] = noise.calibrated(p_BK).max(axis=1)
        second, first = np.partition(p_BK, -2, axis=1)[:, -2:].T
        uncertainty_A[block] = 1 - (first - second)
    guesses = pd.DataFrame({"label_suggested": classes[best], "p_suggested": p_best})
    return guesses.astype({"label_suggested": "str"}), uncertainty_A


def _matrix(n_rows: int, n_classes: int) -> NDArray[np.float16]:
    """Room for all probabilities, in a nameless temporary file where they are many."""
    if n_rows * n_classes * 2 <= MOST_IN_MEMORY:
        return np.zeros((n_rows, n_classes), np.float16)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float16, "w+", shape=(n_rows, n_classes))


def unit_scale(vectors_ND: Floats) -> Floats:
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


def _fit(vectors_ND: Floats, codes: Codes) -> list[Any]:
    """The predictors; the last one is of neighbours."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    n_neighbours = min(NEIGHBOURS, len(codes))
    models: list[Any] = [
        LogisticRegression(C=REGULARISATION, max_iter=60, tol=1e-3),
        KNeighborsClassifier(n_neighbours, weights="distance", algorithm="brute"),
    ]
    return [model.fit(vectors_ND, codes) for model in models]


def _consensus(models: list[Any], vectors_BD: Floats, n_classes: int) -> Reals:
    """The normalised geometric mean of the models' probabilities [B, K]."""
    regression_BK, neighbours_BK = (
        _probabilities(model, vectors_BD, n_classes) for model in models
    )
    n_neighbours = models[1].n_neighbors
    shares_BK = n_neighbours * neighbours_BK + EVEN_NEIGHBOURS / n_classes
    shares_BK /= n_neighbours + EVEN_NEIGHBOURS
    mean_BK = np.sqrt(np.maximum(regression_BK, FLOOR) * shares_BK)
    return np.asarray(mean_BK / mean_BK.sum(axis=1, keepdims=True))


def _probabilities(model: Any, vectors_BD: Floats, n_classes: int) -> Reals:
    """Of all classes, also of those that the model never saw."""
    p_BK = np.zeros((len(vectors_BD), n_classes))
    p_BK[:, model.classes_] = model.predict_proba(vectors_BD)
    return p_BK


def _blocks(rows: Codes) -> Iterator[Codes]:
    for start in range(0, len(rows), BLOCK_ROWS):
        yield rows[start : start + BLOCK_ROWS]
