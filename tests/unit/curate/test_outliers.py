"""Oracles: scikit-learn's neighbours, and planted strangers."""

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from pipeline_lib.curate import outliers
from pipeline_lib.curate.outliers import outlier_scores
from pipeline_lib.curate.params import CurateParams


def clouds(*, strangers: int = 3) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Two classes around two centres in 16 dimensions, class b ten times as wide; the first of each are far away."""
    rng = np.random.default_rng(0)
    ids = [f"{label}{n:03d}" for label in "ab" for n in range(200)]
    vectors = rng.standard_normal((400, 16)).astype(np.float32)
    vectors[200:] *= 10
    vectors[:strangers] += 5
    vectors[200 : 200 + strangers] += 50
    rows = pd.DataFrame({"class_id": [name[0] for name in ids]}, index=ids).astype("str")
    return rows, pd.DataFrame({"kind": "hog", "vector": list(vectors)}, index=ids)


def test_strangers_score_highest_however_wide_their_class_is() -> None:
    rows, features = clouds()

    scores = outlier_scores(rows, features, CurateParams())

    strangers = {f"{label}{n:03d}" for label in "ab" for n in range(3)}
    assert set(scores.nlargest(6).index) == strangers
    assert scores[list(strangers)].min() > CurateParams().ood_spreads


def test_sound_classes_have_few_questions() -> None:
    rows, features = clouds(strangers=0)

    scores = outlier_scores(rows, features, CurateParams())

    assert (scores > CurateParams().ood_spreads).mean() < 0.01
    assert scores.median() == pytest.approx(0)
    assert scores.quantile(0.16) == pytest.approx(-1)


def test_gradients_are_in_the_order_of_the_distance_to_the_tenth_neighbour(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outliers, "BLOCK_ROWS", 37)
    rows, features = clouds()
    vectors = np.stack(features["vector"][:200].to_list())

    scores = outlier_scores(rows[:200], features, CurateParams())

    oracle = NearestNeighbors(n_neighbors=10).fit(vectors).kneighbors()[0][:, -1]
    in_our_order = oracle[np.argsort(scores.to_numpy())]
    assert (
        np.diff(in_our_order).min() > -1e-5
    )  # of about 4: nearer ones may change places with the processor


def test_strangers_who_look_alike_cannot_vouch_for_each_other_among_embeddings() -> None:
    """A third of class a is one tight group elsewhere: more than ten neighbours for each of them."""
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((200, 16)).astype(np.float32) * 0.1
    vectors[:, 0] += 1
    vectors[:30] = 0.01 * rng.standard_normal((30, 16))
    vectors[:30, 1] += 1
    ids = [f"{n:03d}" for n in range(200)]
    rows = pd.DataFrame({"class_id": ["a"] * 90 + ["b"] * 110}, index=ids).astype("str")
    features = pd.DataFrame({"kind": "embedding:0", "vector": list(vectors)}, index=ids)

    scores = outlier_scores(rows, features, CurateParams())
    as_gradients = outlier_scores(rows, features.assign(kind="hog"), CurateParams())

    assert set(scores.nlargest(30).index) == set(ids[:30])
    assert scores[:30].min() > CurateParams().ood_spreads
    assert as_gradients[:30].max() < 0


def test_a_sample_of_a_large_class_finds_the_same_strangers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outliers, "SAMPLE", 60)
    rows, features = clouds()

    scores = outlier_scores(rows, features, CurateParams())

    assert set(scores[:200].nlargest(3).index) == {"a000", "a001", "a002"}


def test_an_embedded_class_of_five_is_judged_on_the_scale_of_all() -> None:
    rows, features = clouds(strangers=0)
    moved = np.where(np.arange(400) == 0, 50, 0).astype(np.float32)
    vectors = np.stack(features["vector"].to_list()) + moved[:, None]
    features = features.assign(kind="embedding:0", vector=list(vectors))
    small = [f"a{n:03d}" for n in range(5)]
    rows = rows[rows.index.isin(small) | (rows["class_id"] == "b")]

    scores = outlier_scores(rows, features, CurateParams())

    assert scores.notna().all()
    assert scores.idxmax() == "a000"
    assert outlier_scores(rows.drop("a004"), features, CurateParams())[small[:4]].isna().all()


def test_equal_images_have_no_scale() -> None:
    rows, features = clouds()
    features = features.assign(vector=list(np.zeros((400, 16), np.float32)))

    assert outlier_scores(rows, features, CurateParams()).isna().all()


def test_a_small_class_and_an_image_without_one_have_no_score() -> None:
    rows, features = clouds()
    rows.loc[rows.index[:160], "class_id"] = np.nan

    scores = outlier_scores(rows, features, CurateParams())

    assert scores[:200].isna().all()
    assert scores[200:].notna().all()
