"""The queue of questions for people: which images, in which order, and not again once they have answered."""

import pandas as pd
import pytest

from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.params import CurateParams
from tests.unit.curate.made_tables import Image, make_found

PLAIN = [Image(f"s/{label}{n}", label, split="train") for label in ("cat", "dog") for n in range(6)]
PLAIN += [Image(f"s/{label}-{split}", label, split=split) for label in ("cat", "dog") for split in ("val", "test")]
COPIES = [
    Image("s/a", split="train", details="u", image={"phash": 0}),
    Image("s/b", split="train", details="u", image={"phash": 1}),
]
LEAK = [
    Image("s/x", split="train", details="v", image={"phash": 255 << 56}),
    Image("s/y", split="test", details="v", image={"phash": 127 << 57}),
]
BROKEN = Image("s/broken", image={"refusal": "decode_truncated"})
SMALL = Image("s/cow", "cow", split="train")
SOFT = Image("s/soft", split="train", image={"blur_ratio": 0.9})


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
def test_what_a_person_has_decided_is_not_asked_again(image_id: str, action: str, value: str) -> None:
    before = set(queue()["image_id"])

    after = set(queue(f"image_id,{image_id},{action},{value},,why,me,2026-11-21\n")["image_id"])

    assert image_id in before
    assert after == before - {image_id}
