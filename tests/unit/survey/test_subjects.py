"""What `perennial init` offers to tell subjects by: only where names suggest it."""

from __future__ import annotations

from hashlib import sha256
from itertools import product

import pandas as pd
import pytest

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.splits import assign_splits, split_keys
from pipeline_lib.errors import UsageError
from pipeline_lib.survey.subject_splits import split_subjects
from pipeline_lib.survey.subjects import find_subjects, names_subjects, subject_offers

HEX = "0123456789abcdef"


def names(form: str, *values: object) -> list[str]:
    """The form with each combination of values: a number n stands for range(n)."""
    ranges = [range(one) if isinstance(one, int) else one for one in values]
    return [form.format(*cells) for cells in product(*ranges)]  # type: ignore[call-overload]


OFFERED = {
    "{subject}_*": names("{}/person{:02}_{:03}.jpg", "ab", 10, 5),
    "{subject}-*": names("{0}/{0}{1:02}-{2:03}.png", ["rock", "paper"], 7, 5),
    "{subject}_*_*": names("{}/{:04}_c{}_0{}.jpg", "ab", 20, 2, 2),
    "{subject}/*": names("{}/{}/{}.jpg", "ab", ["alice", "bob", "eve"], 5),
    "{subject}/*/*": names("{}/{}/{}.jpg", ["alice", "bob", "eve"], "ab", 5),
    "{subject}.rf.*": names("{0}/IMG_{1}_jpg.rf.{2}{0}{1}.jpg", "ab", 9, HEX),
    "IMG_{subject}??": names("{}/IMG_202401{:02}_12000{}.jpg", "ab", range(10, 20), 4),
    "PXL_{subject}?????": names("{}/PXL_202401{:02}_12000{}123.jpg", "ab", range(10, 20), 4),
}
NOT_OFFERED = {
    "numbers of a class": names("{0}/{0}_{1}.jpg", ["n01440764", "n01443537", "n01484850"], 20),
    "numbers": names("{}/{:04}.png", "abc", 20),
    "numbers of a camera": names("{}/IMG_{}.jpg", "abc", range(1000, 1030)),
    "numbers of several cameras": names("{}/{}_{}.jpg", "ab", ["IMG", "DSC", "DSCN", "P"], 20),
    "hashes": [
        f"{c}/{sha256(f'{c}{n}'.encode()).hexdigest()[:20]}-{n}.jpg"
        for c in "ab"
        for n in range(40)
    ],
    "colours and things": names("{}/{}_{}.jpg", "ab", ["red", "blue", "green"], ["hat", "shoe"]),
    "parts of a data set": names("{}/fold{}/{}.jpg", "ab", 3, 5),
    "splits inside classes": names("{}/{}/{}.jpg", "ab", ["train", "val", "test"], 5),
    "a photograph a day": names("{}/IMG_202401{:02}_1{}0000.jpg", "a", range(10, 30), [2]),
}


def by_class(images: list[str]) -> dict[str, str | None]:
    """The class is the folder with a or b in it, else the first one."""
    return {
        name: next((part for part in name.split("/") if part in "ab"), name.partition("/")[0])
        for name in images
    }


@pytest.mark.parametrize("pattern", OFFERED)
def test_names_that_suggest_subjects_get_the_pattern_offered(pattern: str) -> None:
    offers = subject_offers(by_class(OFFERED[pattern]))

    assert pattern in [one.subject_from for one in offers]


@pytest.mark.parametrize("what", NOT_OFFERED)
def test_ordinary_names_suggest_nothing(what: str) -> None:
    assert subject_offers(by_class(NOT_OFFERED[what])) == ()


def test_an_offer_counts_what_it_would_give() -> None:
    (offer,) = subject_offers(by_class(OFFERED["{subject}_*"]))

    assert (offer.n_subjects, offer.n_images) == (10, 100)
    assert (offer.example, offer.n_example) == ("person09", 10)


@pytest.mark.parametrize("column", ["patient_id", "Person", "Lesion ID", "subject", "user-id"])
def test_columns_with_such_names_are_offered(column: str) -> None:
    assert names_subjects(column)
    assert not names_subjects("age") and not names_subjects("id")


def test_what_no_image_fits_is_refused_with_the_rules() -> None:
    images = by_class(["a/1.jpg"])

    with pytest.raises(
        UsageError, match=r"no image of photos has a subject by it, such as a/1.jpg"
    ):
        find_subjects("{subject}_*", images, {}, {}, uri="photos")
    with pytest.raises(UsageError, match=r"must stand in it once .*{subject} is the longest text"):
        find_subjects("{subject}{subject}", images, {}, {}, uri="photos")


def test_twelve_subjects_are_drawn_so_that_curate_has_every_class_in_each_split() -> None:
    """Oracle: the splits that `curate` draws, with the usual salt and with the one chosen."""
    pairs = {(label, f"pictures:person{n:02}") for label in ("hat", "shoes") for n in range(12)}

    chosen = split_subjects(pairs, {})

    rows = pd.DataFrame(
        [(label, subject.removeprefix("pictures:")) for label, subject in sorted(pairs)],
        columns=["label", "subject"],
        index=[str(n) for n in range(24)],
    )
    rows = rows.assign(source="pictures", split_received=None, pixel_hash="", sha256="")
    usual, drawn = (
        assign_splits(split_keys(rows), rows, CurateParams(split_salt=salt))
        for salt in (CurateParams().split_salt, chosen.salt)
    )
    assert set(usual) == {"train", "test"}  # this is why
    assert chosen.lacking == ()
    assert len(rows.groupby(["label", drawn]).size()) == 6
    assert drawn.groupby(rows["subject"]).nunique().max() == 1


def test_what_no_draw_can_fill_is_named() -> None:
    splits = split_subjects({("cat", "p:eve"), ("dog", "p:eve"), ("dog", "p:bob")}, {"test"})

    assert splits.lacking in (("train of cat",), ("val of cat",))


def test_many_subjects_keep_the_usual_draw() -> None:
    pairs = {("cat", str(n)) for n in range(1000)}

    assert split_subjects(pairs, {}).salt == CurateParams().split_salt
