from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import assign_splits, hash_01, split_keys
from tests.unit.curate.made_tables import MadeImage, make_rows

PARAMS = CurateParams()


def splits_of(images: Sequence[MadeImage], params: CurateParams = PARAMS) -> pd.Series:
    rows = make_rows(images)
    return assign_splits(split_keys(rows), rows, params)


def splits_of_keys(numbers: Iterable[int]) -> pd.Series:
    index = [f"s/{n}" for n in numbers]
    rows = pd.DataFrame(
        {"source": "s", "split_received": pd.Series(np.nan, index=index, dtype="str")}
    )
    return assign_splits(pd.Series([f"pixels:{n}" for n in numbers], index=index), rows, PARAMS)


def test_fractions_hold_in_expectation() -> None:
    splits = splits_of([MadeImage(f"s/{n}") for n in range(4000)])

    shares = splits.value_counts(normalize=True)

    assert abs(shares["test"] - 0.2) < 0.03
    assert abs(shares["val"] - 0.1) < 0.02


def test_adding_images_moves_no_image() -> None:
    everything = splits_of_keys(range(1000))

    for part in (range(1), range(0, 1000, 7), range(500, 1000)):
        before = splits_of_keys(part)
        pd.testing.assert_series_equal(everything[before.index], before)


def test_exact_copies_fall_into_the_same_split_whatever_their_names() -> None:
    images = [MadeImage(f"s/{n}-{copy}", looks=f"looks {n}") for n in range(200) for copy in "ab"]

    splits = splits_of(images)

    assert (splits[0::2].to_numpy() == splits[1::2].to_numpy()).all()


def test_all_images_of_a_subject_fall_into_the_same_split() -> None:
    splits = splits_of([MadeImage(f"s/{n}", subject=f"person {n % 20}") for n in range(400)])

    person = np.array([int(name.split("/")[1]) % 20 for name in splits.index])

    assert splits.groupby(person).nunique().max() == 1
    assert set(splits) == {"train", "val", "test"}


def test_published_splits_are_respected_and_the_missing_one_is_cut_out_of_train() -> None:
    images = [MadeImage(f"s/{n}", split="test" if n % 4 == 0 else "train") for n in range(400)]

    splits = splits_of(images)

    published = pd.Series({image.image_id: image.split for image in images}).reindex(splits.index)
    assert (splits[published == "test"] == "test").all()
    assert set(splits[published == "train"]) == {"train", "val"}


def test_a_source_declared_as_train_stays_train_beside_one_that_leaves_its_splits_to_us() -> None:
    images = [MadeImage(f"a/{n}", split="train", source="a") for n in range(100)]
    images += [MadeImage(f"b/{n}", source="b") for n in range(100)]

    splits = splits_of(images)

    assert set(splits[splits.index.str.startswith("a/")]) == {"train"}
    assert set(splits[splits.index.str.startswith("b/")]) == {"train", "val", "test"}


def test_another_salt_is_another_draw() -> None:
    keys = [f"key {n}" for n in range(1000)]

    same, other = hash_01(keys, "v1"), hash_01(keys, "v2")

    assert np.corrcoef(same, other)[0, 1] < 0.1
    assert (same == hash_01(keys, "v1")).all()
