"""Extra test sets: classes in the words of training, what is kept of them, and that nothing else changes by them."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import pandas as pd
import pytest

from pipeline_lib.backbones.imagenet import imagenet_classes
from pipeline_lib.curate.classes import ClassWords
from pipeline_lib.curate.decide import Curated, curate
from pipeline_lib.curate.extra_classes import Training, map_classes
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import BadData, DataCheckFailed
from pipeline_lib.sources.source import Source
from pipeline_lib.tables.extra_tests import EXTRA_TESTS
from tests.unit.curate.made_tables import MadeImage, make_found

IMAGES = [MadeImage(f"s/{label}{n}", label=label) for label in ("cat", "dog") for n in range(30)]
PLAIN = Source(name="s", uri="s")


def _test_set(name: str = "x", **keys: Any) -> Source:
    return Source(name=name, uri=f"sets/{name}", role="test", **keys)


def _of_set(member: str, label: str | None, source: str = "x", **facts: Any) -> MadeImage:
    return MadeImage(f"{source}/{member}", label=label, source=source, **facts)


def _curated(
    more: Sequence[MadeImage],
    *sets: Source,
    overrides: str = "",
    words: str = "",
    images: Sequence[MadeImage] = IMAGES,
    **params: Any,
) -> Curated:
    found = make_found([*images, *more], overrides=overrides, class_words=words)
    return curate(replace(found, sources=(PLAIN, *sets)), CurateParams(cl_folds=2, **params))


@cache
def _alone() -> Curated:
    return _curated([])


def _of_split(split: str) -> list[str]:
    manifest = _alone().manifest
    return list(manifest.loc[manifest["split"] == split, "image_id"])


def _manifest(curated: Curated) -> pd.DataFrame:
    return curated.manifest.set_index("image_id")


def _cells(rows: pd.DataFrame, image_id: str, columns: list[str]) -> list[object]:
    return [rows[column][image_id] for column in columns]


FIVE = [_of_set(f"{label}{n}", label) for label in ("cat", "dog") for n in range(5)]


def test_an_extra_test_set_is_in_its_table_alone_and_nothing_else_knows_of_it() -> None:
    curated = _curated(FIVE, _test_set())

    assert list(curated.extra["image_id"]) == [image.image_id for image in FIVE]
    assert [list(one) for one in curated.extra["labels"]] == [[0]] * 5 + [[1]] * 5
    assert not curated.extra["restricted"].any()
    alone = _alone()
    for split, rows in curated.selection.items():
        pd.testing.assert_frame_equal(rows, alone.selection[split])
    pd.testing.assert_frame_equal(curated.classes, alone.classes)
    pd.testing.assert_frame_equal(curated.review, alone.review)
    assert curated.profile == alone.profile
    others = curated.manifest[curated.manifest["source"] == "s"].reset_index(drop=True)
    pd.testing.assert_frame_equal(others, alone.manifest)


def test_every_file_of_a_set_is_in_the_manifest_and_in_the_balance_once() -> None:
    odd = [
        _of_set("broken", "cat", refusal="decode_corrupt"),
        _of_set("nameless", None),
        _of_set("again", "cat", looks="twin"),
        _of_set("twin", "cat", looks="twin"),
    ]

    curated = _curated([*FIVE, *odd], _test_set(), max_quarantine_rate=0.5)

    rows = _manifest(curated).loc[lambda rows: rows["source"] == "x"]
    assert dict(rows["decision"].value_counts()) == {"keep": 11, "quarantine": 2, "remove": 1}
    assert set(rows.loc[rows["decision"] == "keep", "split"]) == {"extra"}
    assert rows.loc["x/twin", "reason"] == "duplicate"
    assert curated.statistics["ledger"]["by_source"]["x"]["discovered"] == 14
    assert curated.balance["n"].sum() == len(IMAGES) + 14
    assert curated.statistics["extra_tests"]["x"] == {
        "kept": 11, "quarantined": 2, "removed": 1, "classes": 2, "taken_from_training": 0,
    }  # fmt: skip


def test_a_training_image_that_a_set_repeats_leaves_training_and_an_evaluation_image_stays() -> (
    None
):
    train, test = _of_split("train")[0], _of_split("test")[0]
    copies = [_of_set("of_train", "cat", looks=train), _of_set("of_test", "cat", looks=test)]

    curated = _curated([*FIVE, *copies], _test_set())

    rows = _manifest(curated)
    assert _cells(rows, train, ["decision", "reason"]) == ["remove", "leak_train_eval"]
    assert rows.loc[train, "dup_group"] == "s/" + train.removeprefix("s/")
    assert rows.loc[[test, "x/of_train", "x/of_test"], "split"].to_list() == [
        "test",
        "extra",
        "extra",
    ]
    assert curated.statistics["extra_tests"]["x"]["taken_from_training"] == 1
    assert curated.statistics["leakage"]["after"] == 0


def test_an_image_without_a_class_that_a_set_repeats_is_not_learnt_from() -> None:
    nameless = [
        MadeImage(f"t/{n}", label=None, split="train", source="t", looks=f"looks{n}")
        for n in range(2)
    ]
    found = make_found([*IMAGES, *FIVE, *nameless, _of_set("copy", "cat", looks="looks0")])

    curated = curate(
        replace(found, sources=(PLAIN, _test_set())),
        CurateParams(cl_folds=2, learn_unlabelled=True),
    )

    assert list(curated.unlabelled["image_id"]) == ["t/1"]


def test_the_same_images_as_a_plain_source_and_as_an_extra_test_set_are_refused() -> None:
    again = [
        replace(
            image, image_id=image.image_id.replace("s/", "x/"), source="x", looks=image.image_id
        )
        for image in IMAGES
    ]

    with pytest.raises(
        DataCheckFailed,
        match=r"extra test sets repeat (\d+) of \1 training images, \d+ are allowed.*\(found: x: \d+, such as s/cat",
    ) as error:
        _curated(again, _test_set())

    assert "take the extra test set" in error.value.remedy


def test_the_same_file_in_two_sets_is_scored_in_both() -> None:
    both = [_of_set("one", "cat", looks="same"), _of_set("one", "cat", "y", looks="same")]

    curated = _curated([*FIVE, *both], _test_set(), _test_set("y"))

    assert {"x/one", "y/one"} <= set(curated.extra["image_id"])


def test_a_set_of_which_nothing_is_left_is_refused_by_name() -> None:
    with pytest.raises(
        DataCheckFailed, match=r"no image of the extra test set x is left.*label_unknown: 5"
    ):
        _curated([_of_set(f"{n}", "cow") for n in range(5)], _test_set(other_classes="leave_out"))


def test_a_set_of_which_too_much_is_quarantined_is_refused_by_name() -> None:
    broken = [_of_set(f"b{n}", "cat", refusal="decode_corrupt") for n in range(5)]

    with pytest.raises(
        DataCheckFailed, match="5 of 15 images of the extra test set x are quarantined"
    ):
        _curated([*FIVE, *broken], _test_set())


def test_a_class_all_of_whose_images_are_quarantined_is_not_among_those_of_the_set() -> None:
    dogs = [replace(image, refusal="decode_corrupt") for image in FIVE if image.label == "dog"]
    cats = [image for image in FIVE if image.label == "cat"]

    curated = _curated(
        [*cats, *dogs], _test_set(restrict_to_its_classes=True), max_quarantine_rate=0.6
    )

    assert set(map(tuple, curated.extra["class_ids"])) == {("cat",)}
    assert curated.extra["restricted"].all()


def test_names_follow_the_renames_and_words_of_training_and_the_class_map() -> None:
    sets = [_of_set("a", "cat"), _of_set("b", "hound"), _of_set("c", "Mieze"), _of_set("d", "cow")]
    overrides = "class_id,cat,rename_class,feline,,,,\n"

    curated = _curated(
        sets,
        _test_set(class_map={"Mieze": "cat", "cow": None}),
        overrides=overrides,
        words="dog,hound,,\n",
    )

    assert list(map(tuple, curated.extra["class_ids"])) == [("feline",), ("dog",), ("feline",)]
    assert _cells(_manifest(curated), "x/d", ["decision", "reason"]) == [
        "remove",
        "label_unknown",
    ]


def test_names_that_are_no_classes_of_training_are_refused_with_the_nearest_and_the_remedy() -> (
    None
):
    strange = [_of_set(f"{n}", f"Cat {n}") for n in range(12)]

    with pytest.raises(BadData) as error:
        _curated([*FIVE, *strange], _test_set())

    said = str(error.value)
    assert "12 of 14 classes of the extra test set x are no classes of training" in said
    assert "Cat 0 (nearest: cat), Cat 1 (nearest: cat)" in said and "Cat 9" in said
    assert "and 2 more" in said and "Cat 10 (" not in said
    assert "class_map" in error.value.remedy and "other_classes: leave_out" in error.value.remedy


def test_a_class_map_that_names_no_class_of_training_is_refused() -> None:
    with pytest.raises(
        BadData,
        match=r"the class map of the extra test set x names 1 classes.*dgo \(nearest: dog\)",
    ):
        _curated(FIVE, _test_set(class_map={"cat": "dgo"}))


def test_an_image_with_several_right_classes_has_them_all_and_one_without_any_is_left_out() -> None:
    several = [
        _of_set("two", "dog|cat"),
        _of_set("one", "cat"),
        _of_set("half", "cat|cow"),
        _of_set("none", "cow"),
    ]
    labels = {"file": "labels.csv", "several": "combined"}

    curated = _curated(several, _test_set(labels=labels, other_classes="leave_out"))

    right = dict(
        zip(curated.extra["image_id"], map(tuple, curated.extra["class_ids"]), strict=True)
    )
    assert right == {"x/half": ("cat",), "x/one": ("cat",), "x/two": ("dog", "cat")}
    assert _manifest(curated).loc["x/two", "class_id"] == "dog"


def test_people_may_remove_and_relabel_an_extra_test_image_and_nothing_else() -> None:
    curated = _curated(
        FIVE,
        _test_set(),
        overrides="image_id,x/cat0,relabel,dog,cat,,,\nimage_id,x/cat1,remove,,,,,\n",
    )

    rows = _manifest(curated)
    assert _cells(rows, "x/cat0", ["class_id", "label_source", "decided_by"]) == [
        "dog",
        "override",
        "override",
    ]
    assert rows.loc["x/cat1", "reason"] == "override_removed"
    with pytest.raises(
        BadData, match="x/cat2 is of an extra test set, which takes relabel and remove only"
    ):
        _curated(FIVE, _test_set(), overrides="image_id,x/cat2,split,train,,,,\n")
    with pytest.raises(BadData, match="x/cat2 is now cat, not dog"):
        _curated(FIVE, _test_set(), overrides="image_id,x/cat2,remove,,dog,,,\n")


def test_images_of_a_class_that_training_lost_are_left_out() -> None:
    few = [MadeImage("s/cow", label="cow", split="train")]

    curated = _curated([*few, *FIVE, _of_set("cow", "cow")], _test_set())

    assert _manifest(curated).loc["x/cow", "reason"] == "label_unknown"
    assert "x/cow" not in set(curated.extra["image_id"])


WNIDS = [wnid for wnid, _ in imagenet_classes()]


def _mapped(names: Sequence[str], classes: Sequence[str], **keys: Any) -> dict[str, str | None]:
    return map_classes(names, _test_set(**keys), Training({name: name for name in classes}, {}))


def test_the_numbers_of_imagenet_v2_are_classes_in_the_order_of_numbers_not_of_texts() -> None:
    numbers = sorted(map(str, range(1000)))

    found = _mapped(numbers, WNIDS)

    assert [found[str(n)] for n in (0, 2, 10, 999)] == [WNIDS[0], WNIDS[2], WNIDS[10], WNIDS[999]]


def test_some_numbers_alone_may_mean_anything_and_are_refused() -> None:
    with pytest.raises(
        BadData, match="10 of 10 classes of the extra test set x are no classes of training"
    ):
        _mapped([str(n) for n in range(10)], WNIDS[:10])


def test_numbers_that_are_classes_of_training_stay_what_they_are() -> None:
    digits = [str(n) for n in range(10)]

    assert _mapped(digits, digits) == {digit: digit for digit in digits}


def test_wnids_find_classes_by_imagenets_names_and_names_find_wnids() -> None:
    assert _mapped(["n01440764", "n02504458"], ["tench", "African_elephant"]) == {
        "n01440764": "tench",
        "n02504458": "African_elephant",
    }
    assert _mapped(["tench", "African elephant"], ["n01440764", "n02504458"]) == {
        "tench": "n01440764",
        "African elephant": "n02504458",
    }


def test_a_part_of_imagenet_v2_is_refused_until_a_person_leaves_the_others_out() -> None:
    numbers = [str(n) for n in range(1000)]
    with pytest.raises(BadData, match="998 of 1000 classes"):
        _mapped(numbers, WNIDS[:2])

    found = _mapped(numbers, WNIDS[:2], other_classes="leave_out")

    assert {name: to for name, to in found.items() if to} == {"0": WNIDS[0], "1": WNIDS[1]}


def test_words_with_two_meanings_name_no_class() -> None:
    words = {one: ClassWords(one, "crane", "", ()) for one in ("bird", "machine")}

    with pytest.raises(BadData):
        map_classes(["crane"], _test_set(), Training({"bird": "bird", "machine": "machine"}, words))


@pytest.mark.parametrize(
    ("name", "restricted"),
    [
        ("0.000116_digital%20clock%20_%20digital%20clock_0.865662.jpg", True),
        ("videogame_12.jpg", True),
        ("ILSVRC2012_val_00000001.JPEG", False),
        ("art_work.jpg", False),
    ],
)
def test_predictions_for_imagenet_a_and_r_are_restricted_to_their_classes_as_in_their_papers(
    name: str, restricted: bool
) -> None:
    wnids = WNIDS[:2]
    images = [MadeImage(f"s/{wnid}/{n}", label=wnid) for wnid in wnids for n in range(30)]
    more = [_of_set(f"{wnid}/{name}", wnid, looks=wnid) for wnid in wnids]

    default = _curated(more, _test_set(), images=images)
    stated = _curated(more, _test_set(restrict_to_its_classes=not restricted), images=images)

    assert default.extra["restricted"].to_list() == [restricted] * 2
    assert stated.extra["restricted"].to_list() == [not restricted] * 2


def test_the_table_is_empty_and_written_where_there_is_no_set() -> None:
    assert list(_alone().extra.columns) == [column.name for column in EXTRA_TESTS.columns]
    assert _alone().extra.empty
    assert "extra_tests" not in _alone().statistics
