from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image as Pillow
from sklearn.datasets import load_sample_images

from pipeline_lib.curate.duplicates import Groups, group_duplicates
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.small_view import small_view
from tests.unit.curate.made_tables import MadeImage, make_found, make_rows


def grouped(images: Sequence[MadeImage], **params: Any) -> Groups:
    found = make_found(images)
    features = found.features.set_index("image_id")
    return group_duplicates(make_rows(images), features, found.views, CurateParams(**params))


def groups_of(images: Sequence[MadeImage], **params: Any) -> pd.DataFrame:
    return grouped(images, **params).frame


def test_copies_are_grouped_under_the_smallest_name_with_the_closest_kind() -> None:
    images = [
        MadeImage("s/d", looks="x"),
        MadeImage("s/b", looks="x"),
        MadeImage("s/c", image={"pixel_hash": "p"}),
        MadeImage("s/a", details="u", image={"pixel_hash": "p", "phash": 0}),
        MadeImage("s/e", details="u", image={"phash": 0b111111}),
        MadeImage("s/f", details="u", image={"phash": 2**64 - 1}),
    ]

    groups = groups_of(images)

    assert groups["dup_group"].dropna().to_dict() == {
        "s/a": "s/a",
        "s/b": "s/b",
        "s/c": "s/a",
        "s/d": "s/b",
        "s/e": "s/a",
    }
    assert groups["dup_kind"].dropna().to_dict() == {
        "s/a": "pixels",
        "s/b": "bytes",
        "s/c": "pixels",
        "s/d": "bytes",
        "s/e": "near",
    }


def test_blank_images_are_no_near_copies_of_each_other() -> None:
    blank = {"phash": 0, "entropy_bit": 0.5, "subject_bit": 0.0}

    assert (
        groups_of([MadeImage(f"s/{name}", details="u", image=blank) for name in "ab"])["dup_group"]
        .isna()
        .all()
    )


def test_small_images_are_compared_by_pixels_and_not_by_their_hash() -> None:
    images = [
        MadeImage("s/a", side_px=32, image={"phash": 1}),
        MadeImage("s/b", side_px=32, image={"phash": 1}),
    ]

    assert groups_of(images)["dup_group"].isna().all()


ORIGINAL, ITS_CROPS = (
    0x9D2B_6E41_F078_35C3,
    [0xA157_1C9E_22F4_8D03, 0x5BE0_93D7_4471_0FAB, 1, 2, 3, 4],
)


def test_a_cropped_copy_is_found_by_the_hash_of_the_originals_centre() -> None:
    images = [
        MadeImage("s/a", details="u", image={"phash": ORIGINAL, "phash_variants": ITS_CROPS}),
        MadeImage("s/b", details="u", image={"phash": ITS_CROPS[1] ^ 0b111}),
    ]

    assert groups_of(images)["dup_group"].tolist() == ["s/a", "s/a"]
    assert groups_of(images, dup_variants=False)["dup_group"].isna().all()


def test_a_mirrored_copy_is_found_by_the_hash_of_the_mirrored_original() -> None:
    every_second_column = 0x5555_5555_5555_5555
    images = [
        MadeImage("s/a", details="u", image={"phash": ORIGINAL}),
        MadeImage("s/b", details="u", image={"phash": ORIGINAL ^ every_second_column ^ 0b11}),
    ]

    assert groups_of(images)["dup_kind"].tolist() == ["near", "near"]
    assert groups_of(images, dup_variants=False)["dup_group"].isna().all()


def test_images_that_differ_by_more_bits_are_a_question_and_no_group() -> None:
    images = [
        MadeImage("s/a", details="u", image={"phash": ORIGINAL}),
        MadeImage("s/b", details="u", image={"phash": ORIGINAL ^ 0b1111_1111}),
        MadeImage("s/c", details="u", image={"phash": ORIGINAL ^ (0xFFF << 40)}),
    ]

    groups = grouped(images)

    assert groups.frame["dup_group"].isna().all()
    assert groups.maybe[["image_id", "other"]].to_numpy().tolist() == [["s/b", "s/a"]]
    assert groups.maybe["score"].iloc[0] > 0.99
    assert grouped(images, dup_review_hamming=6).maybe.empty


def test_a_pair_joined_through_a_third_image_is_no_question() -> None:
    images = [
        MadeImage("s/a", details="u", image={"phash": ORIGINAL}),
        MadeImage("s/b", details="u", image={"phash": ORIGINAL ^ 0b1_1111}),
        MadeImage("s/c", details="u", image={"phash": ORIGINAL ^ 0b11_1111_1111}),
    ]

    groups = grouped(images)

    assert groups.frame["dup_group"].tolist() == ["s/a", "s/a", "s/a"]
    assert groups.maybe.empty


def test_a_pair_of_equal_hashes_and_unlike_details_is_neither_a_group_nor_a_question() -> None:
    groups = grouped(
        [MadeImage("s/a", image={"phash": ORIGINAL}), MadeImage("s/b", image={"phash": ORIGINAL})]
    )

    assert groups.frame["dup_group"].isna().all()
    assert groups.maybe.empty


def test_copies_are_found_although_a_different_image_of_the_same_hash_stands_between_them() -> None:
    images = [
        MadeImage("s/a", details="u", image={"phash": ORIGINAL}),
        MadeImage("s/b", details="w", image={"phash": ORIGINAL}),
        MadeImage("s/c", details="u", image={"phash": ORIGINAL}),
    ]

    groups = groups_of(images)

    assert groups["dup_group"].dropna().to_dict() == {"s/a": "s/a", "s/c": "s/a"}


def test_two_images_of_one_hash_that_are_each_like_a_third_are_not_all_one_group() -> None:
    """The grey one is a copy of the red or of the turquoise one, as far as can be seen; these two are no copies."""
    grey = np.asarray(Pillow.fromarray(load_sample_images().images[1]).convert("L"), np.float64)[
        ..., None
    ]
    tints = {"s/red": (1, 0.6, 0.5), "s/grey": (0.7, 0.7, 0.7), "s/turquoise": (0.5, 0.8, 0.9)}
    shown: dict[str, Any] = {
        name: small_view((grey * tint).astype(np.uint8)) for name, tint in tints.items()
    }
    images = [MadeImage(name, image={"phash": ORIGINAL}) for name in tints]
    found = make_found(images)

    groups = group_duplicates(
        make_rows(images),
        found.features.set_index("image_id"),
        lambda image_ids: {name: shown[name] for name in image_ids},
        CurateParams(),
    )

    together = set(groups.frame.index[groups.frame["dup_group"].notna()])
    assert "s/grey" in together
    assert len(together) == 2
    asked = {
        frozenset(pair) for pair in groups.maybe[["image_id", "other"]].itertuples(index=False)
    }
    assert asked == {frozenset(pair) for pair in combinations(tints, 2)} - {frozenset(together)}
