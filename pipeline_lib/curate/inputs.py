"""What earlier stages and people hand over: members joined with images, features, votes, people's files.

All rooms of `curate` take the joined frame, or columns of it, indexed by image_id, and give Series with the same index;
they are joined by that index.

Embeddings are scaled to length 1: their direction says what is in an image, their length how much of it.
Feature vectors are cut to their strongest directions, so that those of a million images fit into memory: principal
components, found on a sample by a randomised SVD (Halko, Martinsson, Tropp, SIAM Review 53(2), 2011). On the planted
digits 128 of 1,764 directions find the same label issues as all of them, in half the time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline_lib.curate.classes import ClassWords, parse_class_words
from pipeline_lib.curate.curation_files import CLASS_WORDS, OVERRIDES, read_text
from pipeline_lib.curate.duplicates import Views
from pipeline_lib.curate.overrides import Override, parse_overrides
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import hash_01
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.sources.source import Source, read_sources
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES

FROM_IMAGES = (
    "refusal",
    "format",
    "width_px",
    "height_px",
    "exif_orientation",
    "has_gps",
    "n_frames",
    "ext_mismatch",
    "trailing_bytes",
    "on_black",
    "low_bits",
    "ends_grey",
    "pixel_hash",
    "phash",
    "phash_variants",
    "luminance_p1",
    "luminance_p50",
    "luminance_p99",
    "entropy_bit",
    "subject_bit",
    "blur_ratio",
    "least_sharpness",
    "clipped_share",
    "white_share",
)
TEXT = (
    "source",
    "shard",
    "sha256",
    "label_received",
    "split_received",
    "subject",
    "refusal",
    "format",
    "pixel_hash",
)
DESCRIBED = ["image_id", "kind", "thumbnail", "vector"]  # columns of features, without `view`
DIRECTIONS = 128  # 1.28 million images: 0.7 GB instead of 9 GB


@dataclass(frozen=True)
class Inputs:
    """What the earlier stages and people hand over. manifest_file and overrides_file are named in messages only.

    sources: with their roles. features: without `view`, which `views` reads for the images that it is asked for.
    """

    members: pd.DataFrame
    images: pd.DataFrame
    votes: pd.DataFrame
    features: pd.DataFrame
    views: Views
    overrides: tuple[Override, ...]
    class_words: Mapping[str, ClassWords]
    overrides_file: Path
    manifest_file: Path
    sources: tuple[Source, ...] = ()

    @property
    def unlabelled_sources(self) -> frozenset[str]:
        """The names of those whose images are meant to have no class: they count for no limit."""
        return frozenset(one.name for one in self.sources if one.role == "unlabelled")

    @property
    def extra_tests(self) -> tuple[Source, ...]:
        """The extra test sets."""
        return tuple(one for one in self.sources if one.role == "test")


def read_inputs(job: StageRun[CurateParams]) -> Inputs:
    """Read what the stage decides on. Raises ConfigError for a malformed file of people's."""
    overrides_file = job.checkout / OVERRIDES
    words_file = job.checkout / CLASS_WORDS
    features = job.reads["features"]
    sources = read_sources(job.reads["sources"])
    tests = [one.name for one in sources if one.role == "test"]
    return Inputs(
        members=MEMBERS.read(job.reads["members"]),
        images=IMAGES.read(job.reads["images"]),
        votes=VOTES.read(job.reads["votes"]),
        features=_short_features(features, job.params, tests),
        views=partial(_views, features),
        overrides=parse_overrides(read_text(overrides_file), overrides_file),
        class_words=parse_class_words(read_text(words_file), words_file),
        overrides_file=OVERRIDES,
        manifest_file=job.writes["manifest"].relative_to(job.checkout),
        sources=sources,
    )


def join_rows(members: pd.DataFrame, images: pd.DataFrame) -> pd.DataFrame:
    """One row per member, sorted by image_id, with decode metadata; text as str, an absent value as NaN.

    `refusal` is the download's reason, else the decoder's. White space around a received label is not part of it.
    """
    found = images.set_index("image_id")[list(FROM_IMAGES)]
    found = found.rename(columns={"refusal": "decode_refusal"})
    rows = members.set_index("image_id").sort_index().join(found)
    rows = rows.astype(dict.fromkeys((*TEXT, "decode_refusal"), "str"))

    # The first refusal counts; a member that was not refused must have been decoded.
    rows["refusal"] = rows["refusal"].fillna(rows["decode_refusal"])
    unseen = rows["refusal"].isna() & ~rows.index.isin(found.index)
    assert not unseen.any(), f"inspect says nothing of {rows.index[unseen][0]}"

    label = rows["label_received"].str.strip()
    rows["label_received"] = label.where(label != "")
    rows.index = rows.index.astype("str")
    return rows.drop(columns="decode_refusal")


@dataclass(frozen=True)
class Axes:
    """mean_D of the sample, and the directions axes_DR (R <= 128) to keep, strongest first."""

    mean_D: NDArray[np.float32]
    axes_DR: NDArray[np.float32]


def axes_by_kind(sample: pd.DataFrame, *, seed: int) -> dict[str, Axes]:
    """The directions to keep for each kind of vector. sample: kind and vector, a few thousand rows of each kind."""
    parts = sample.groupby("kind", sort=True)
    return {str(kind): _axes(_stacked(part), seed) for kind, part in parts}


def cut(features: pd.DataFrame, axes: dict[str, Axes]) -> pd.DataFrame:
    """The same table with shorter vectors, row for row."""
    from threadpoolctl import threadpool_limits

    vectors = pd.Series(index=features.index, dtype=object)
    with threadpool_limits(1):  # the same bits on every machine size
        for kind, part in features.groupby("kind", sort=True):
            kept = axes[str(kind)]
            short_NR = _short(_stacked(part) - kept.mean_D, kept.axes_DR)
            vectors[part.index] = pd.Series(list(short_NR), index=part.index, dtype=object)
    return features.assign(vector=vectors)


def _short(vectors_ND: NDArray[np.float32], axes_DR: NDArray[np.float32]) -> NDArray[np.float32]:
    """The product, row by row: in a product of matrices BLAS rounds a row by its place among the others."""
    row_D = np.empty(vectors_ND.shape[1], np.float32)  # one place in memory for all
    short_NR = np.empty((len(vectors_ND), axes_DR.shape[1]), np.float32)
    for n, vector_D in enumerate(vectors_ND):
        row_D[:] = vector_D
        short_NR[n] = row_D @ axes_DR
    return short_NR


def _axes(vectors_ND: NDArray[np.float32], seed: int) -> Axes:
    from sklearn.utils.extmath import randomized_svd
    from threadpoolctl import threadpool_limits

    mean_D = vectors_ND.mean(axis=0)
    if min(vectors_ND.shape) <= DIRECTIONS:  # short already: all directions stay
        return Axes(mean_D, np.eye(vectors_ND.shape[1], dtype=np.float32))
    with threadpool_limits(1):  # the same bits on every machine size
        _, _, rows_RD = randomized_svd(vectors_ND - mean_D, DIRECTIONS, n_iter=2, random_state=seed)
    return Axes(mean_D, np.ascontiguousarray(rows_RD.T))


def is_embedding(kind: str) -> bool:
    """Whether vectors of this kind are a network's features, and not gradients."""
    return kind.startswith("embedding:")


def _stacked(part: pd.DataFrame) -> NDArray[np.float32]:
    """The vectors of one kind [N, D]; embeddings of unit length, so that distances between them are those of cosine."""
    vectors_ND = np.stack(part["vector"].to_list()).astype(np.float32)
    if not is_embedding(part["kind"].iloc[0]):
        return vectors_ND
    length_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.maximum(length_N1, np.float32(1e-12)))


def _short_features(
    folder: Path, params: CurateParams, extra_tests: Sequence[str] = ()
) -> pd.DataFrame:
    """The features of all images by image_id, with shortened vectors; one shard's full ones in memory at a time.

    How images are spread over shards changes no bit: the sample is drawn by image_id. extra_tests: sources of which nothing
    is learnt, unless only they have features of a kind.
    """
    paths = sorted(folder.glob("*.parquet"))
    names = [FEATURES.read(path, ["image_id", "kind"]) for path in paths]
    described = pd.concat([FEATURES.empty()[["image_id", "kind"]], *names])
    drawn = _sample(_to_learn_from(described, extra_tests), params)

    columns = ["image_id", "kind", "vector"]
    parts = (FEATURES.read(path, columns) for path in paths)
    sample = pd.concat(
        [FEATURES.empty()[columns], *(part[part["image_id"].isin(drawn)] for part in parts)]
    )
    axes = axes_by_kind(sample.sort_values("image_id", ignore_index=True), seed=params.seed)

    shortened = (cut(FEATURES.read(path, DESCRIBED), axes) for path in paths)
    table = pd.concat([FEATURES.empty()[DESCRIBED], *shortened])
    return table.sort_values("image_id", ignore_index=True)


def _to_learn_from(names: pd.DataFrame, extra_tests: Sequence[str]) -> pd.DataFrame:
    is_test = names["image_id"].str.partition("/")[0].isin(extra_tests)
    only_tests = is_test.groupby(names["kind"]).transform("all")
    return names[~is_test | only_tests]


def _sample(names: pd.DataFrame, params: CurateParams) -> pd.Index:
    """The images of each kind to learn directions from: as many as a fold learns from, by a hash of the image."""
    drawn = names.assign(draw=hash_01(names["image_id"], f"directions {params.split_salt}"))
    ordered = drawn.sort_values(["draw", "image_id"])
    image_ids: pd.Index = pd.Index(ordered.groupby("kind").head(params.cl_train_rows)["image_id"])
    return image_ids


def _views(folder: Path, image_ids: pd.Index) -> dict[str, bytes]:
    """The views of these images, one shard's in memory at a time; all of a million would be 5 GB."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.parquet")):
        # The names alone first: most shards hold none of the images asked for.
        names = FEATURES.read(path, ["image_id"])["image_id"]
        if not names.isin(image_ids).any():
            continue
        views = FEATURES.read(path, ["image_id", "view"])
        wanted = views[views["image_id"].isin(image_ids)]
        found |= dict(zip(wanted["image_id"], wanted["view"], strict=True))
    return found
