"""The queue of questions for people: which images, in which order, and not again once they have answered."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.small_view import small_view
from tests.unit.curate.made_tables import MadeImage, make_found

PLAIN = [
    MadeImage(f"s/{label}{n}", label, split="train") for label in ("cat", "dog") for n in range(6)
]
PLAIN += [
    MadeImage(f"s/{label}-{split}", label, split=split)
    for label in ("cat", "dog")
    for split in ("val", "test")
]
COPIES = [
    MadeImage("s/a", split="train", details="u", image={"phash": 0}),
    MadeImage("s/b", split="train", details="u", image={"phash": 1}),
]
LEAK = [
    MadeImage("s/x", split="train", details="v", image={"phash": 255 << 56}),
    MadeImage("s/y", split="test", details="v", image={"phash": 127 << 57}),
]
BROKEN = MadeImage("s/broken", image={"refusal": "decode_truncated"})
SMALL = MadeImage("s/cow", "cow", split="train")
SOFT = MadeImage("s/soft", split="train", image={"blur_ratio": 0.9})


def queue(overrides: str = "") -> pd.DataFrame:
    found = make_found([*PLAIN, *COPIES, *LEAK, BROKEN, SMALL, SOFT], overrides=overrides)
    return curate(found, CurateParams()).review


def test_near_copies_that_were_left_out_are_asked_about_leaks_first() -> None:
    asked = queue().query("kind == 'near_duplicate'")

    assert asked["image_id"].to_list() == ["s/x", "s/b"]


def test_what_is_quarantined_and_asked_about_nowhere_else_is_shown_readable_images_first() -> None:
    asked = queue().query("kind == 'quarantined'")

    assert asked["image_id"].to_list() == ["s/cow", "s/broken"]
    assert asked["note"].to_list() == ["left out: class too small", "left out: decode truncated"]


@pytest.mark.parametrize(
    ("image_id", "action", "value"),
    [
        ("s/soft", "keep", ""),
        ("s/soft", "relabel", "dog"),
        ("s/b", "remove", ""),
        ("s/x", "not_duplicate", ""),
        ("s/broken", "remove", ""),
    ],
)
def test_what_a_person_has_decided_is_not_asked_again(
    image_id: str, action: str, value: str
) -> None:
    before = set(queue()["image_id"])

    after = set(queue(f"image_id,{image_id},{action},{value},,why,me,2026-11-21\n")["image_id"])

    assert image_id in before
    assert after == before - {image_id}


def test_at_most_dup_questions_possible_copies_are_asked_about_the_likeliest_first() -> None:
    """Pairs that differ by eight bits and look the same: each is a question, noise of more levels a less likely one."""
    rng = np.random.default_rng(0)
    images: list[MadeImage] = []
    shown: dict[str, Any] = {}
    for number, noise in enumerate((40, 5, 20)):
        levels = rng.integers(0, 256, (24, 24, 3)).repeat(5, axis=0).repeat(5, axis=1)
        noisy = (levels + rng.integers(-noise, noise + 1, levels.shape)).clip(0, 255)
        phash = int(rng.integers(2**62))
        for name, bits, pixels in (
            (f"s/p{number}", phash, levels),
            (f"s/q{number}", phash ^ 0xFF, noisy),
        ):
            images.append(MadeImage(name, split="train", image={"phash": bits}))
            shown[name] = small_view(pixels.astype(np.uint8))
    found = make_found([*PLAIN, *images])
    views = found.views
    found = replace(
        found,
        views=lambda ids: {**views(ids), **{name: shown[name] for name in ids if name in shown}},
    )

    asked = [
        curate(found, CurateParams(dup_questions=most))
        .review.query("kind == 'near_review'")["image_id"]
        .to_list()
        for most in (48, 2, 0)
    ]

    assert asked == [["s/q1", "s/q2", "s/q0"], ["s/q1", "s/q2"], []]


def test_labels_are_asked_about_that_are_probably_wrong_the_likeliest_first_up_to_a_limit() -> None:
    rng = np.random.default_rng(0)
    images = []
    for number in range(120):
        label = ("cat", "dog")[number % 2]
        given = {"cat": "dog", "dog": "cat"}[label] if number < 5 else label
        vector = rng.normal(0, 0.5, 2) + ((0.0, 1.0) if label == "cat" else (1.0, 0.0))
        images.append(
            MadeImage(f"s/{number:03}", given, split="train", vector=tuple(vector.tolist()))
        )
    found = make_found(images)

    curated = curate(found, CurateParams(cl_auto_min_accuracy=1))
    two = curate(found, CurateParams(cl_auto_min_accuracy=1, label_questions=2)).review

    asked = curated.review.query("kind == 'label_issue'")
    manifest = curated.manifest.set_index("image_id")
    suspected = manifest["label_suggested"] != manifest["class_id"]
    assert set(asked["image_id"]) >= {f"s/{number:03}" for number in range(5)}
    assert len(asked) < suspected.sum()  # weak suspicions stand in the manifest only
    assert asked["score"].is_monotonic_decreasing and asked["score"].min() >= 0.5
    assert (
        asked["note"].str.match(r"wrong with probability [01].\d\d; looks like (cat|dog) out").all()
    )
    assert (
        two.query("kind == 'label_issue'")["image_id"].to_list() == asked["image_id"][:2].to_list()
    )
