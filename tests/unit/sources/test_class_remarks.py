"""Names of classes that a person should look at, and ordinary ones, of which nothing is said."""

from __future__ import annotations

import pytest

from pipeline_lib.sources.class_remarks import class_remarks


@pytest.mark.parametrize(
    ("classes", "same"),
    [
        ("cat,Cat,dog", "Cat, cat"),
        ("cat,cat ,dog", "cat, cat "),
        ("big cat,big_cat,dog", "big cat, big_cat"),
        ("cat,cats,dog", "cat, cats"),
        ("cat,Copy of cat,dog", "Copy of cat, cat"),
        ("cat,cat (2),cat - Copy,dog", "cat, cat (2), cat - Copy"),
        ("Katze,Kopie von Katze", "Katze, Kopie von Katze"),
        ("cat,cat_old,dog", "cat, cat_old"),
    ],
)
def test_classes_whose_names_differ_by_a_copy_or_a_spelling_may_be_the_same(
    classes: str, same: str
) -> None:
    (remark,) = class_remarks(classes.split(","))

    assert remark.startswith(f"classes may be the same: {same}: merge them by `merge_class`")


def test_classes_named_like_no_value_are_remarked_unless_all_are() -> None:
    assert class_remarks(["cat", "NA", "unknown"]) == (
        "classes are named like no value: NA, unknown: leave their images without a class if they have none",
    )
    assert class_remarks(["none", "unknown"]) == ()


@pytest.mark.parametrize(
    "classes",
    [
        "cat,dog", "gas,ga", "bus,bu", "C,C++,C#", "0,1,2", "old,new", "glass,gloss", "type 1,type 2", "v1,v2", "+,-",
        "model (2015),model (2016)", "n01440764,n01443537",
    ],
)  # fmt: skip
def test_ordinary_classes_are_not_remarked(classes: str) -> None:
    assert class_remarks(classes.split(",")) == ()
