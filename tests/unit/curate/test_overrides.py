import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.overrides import (
    CLASS_ACTIONS,
    IMAGE_ACTIONS,
    class_changes,
    parse_overrides,
)
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.errors import BadData, ConfigError
from tests.unit.curate.made_tables import HEADER, OVERRIDES, MadeImage, digest, make_found

IMAGES = [
    MadeImage(f"s/{label}{n}", label=label) for label in ("cat", "dog", "hen") for n in range(16)
]


def manifest_with(
    overrides: str = "",
    *,
    votes: Sequence[tuple[str, str, str]] = (),
    images: Sequence[MadeImage] = IMAGES,
) -> pd.DataFrame:
    found = make_found(images, overrides=overrides, votes=votes)
    return curate(found, CurateParams(max_label_issue_rate=1)).manifest.set_index(
        "image_id"
    )  # all vectors are alike


def line(
    key_type: str,
    key: str,
    action: str,
    value: str = "",
    expected_old: str = "",
    day: str = "2026-11-21",
) -> str:
    return f"{key_type},{key},{action},{value},{expected_old},why,me,{day}\n"


DECISIONS = [
    "class_id",
    "label_source",
    "dup_group",
    "group_id",
    "split",
    "weight",
    "decision",
    "reason",
    "decided_by",
]


def rows_that_differ(before: pd.DataFrame, after: pd.DataFrame) -> set[str]:
    """Out-of-sample opinions aside: one label more or less moves every prediction a little."""
    before, after = before[DECISIONS], after[DECISIONS]
    same = before.eq(after) | (before.isna() & after.isna())
    return set(before.index[~same.all(axis=1)])


def test_an_override_changes_exactly_its_rows() -> None:
    before = manifest_with()

    after = manifest_with(line("image_id", "s/cat1", "relabel", "dog", "cat"))

    assert rows_that_differ(before, after) == {"s/cat1"}
    row = after.loc["s/cat1"]
    assert (row["class_id"], row["label_source"], row["decided_by"]) == (
        "dog",
        "override",
        "override",
    )
    assert "relabelled_by_override" in row["flags"]


def test_an_image_is_removed_by_its_bytes_under_any_name() -> None:
    row = manifest_with(line("sha256", digest("s/cat1", 32), "remove")).loc["s/cat1"]

    assert (row["decision"], row["reason"], row["decided_by"]) == (
        "remove",
        "override_removed",
        "override",
    )


def test_an_image_is_put_into_the_split_a_person_names() -> None:
    before = manifest_with()
    chosen = before.index[before["split"] == "train"][0]

    after = manifest_with(line("image_id", chosen, "split", "test", "train"))

    assert after.loc[chosen, "split"] == "test"
    assert rows_that_differ(before, after) == {chosen}


def test_keep_saves_a_copy_that_would_go() -> None:
    images = [
        *IMAGES,
        MadeImage("s/a", "cat", "train", looks="x"),
        MadeImage("s/b", "cat", "train", looks="x"),
    ]

    assert manifest_with(images=images).loc["s/b", "reason"] == "duplicate"
    assert (
        manifest_with(line("image_id", "s/b", "keep"), images=images).loc["s/b", "decision"]
        == "keep"
    )


def test_keep_does_not_keep_a_training_copy_of_a_test_image() -> None:
    images = [
        *IMAGES,
        MadeImage("s/a", "cat", "test", looks="x"),
        MadeImage("s/b", "cat", "train", looks="x"),
    ]
    found = make_found(images, overrides=line("image_id", "s/b", "keep"))

    curated = curate(found, CurateParams())

    assert curated.manifest.set_index("image_id").loc["s/b", "reason"] == "leak_train_eval"
    assert curated.statistics["overrides"]["overruled"] == 1


def test_a_merged_class_goes_into_the_other_with_its_votes() -> None:
    votes = [(f"s/dog{n}", who, "cat") for n in range(5) for who in ("ana", "ben", "cleo")]

    after = manifest_with(line("class_id", "cat", "merge_class", "hen"), votes=votes)

    assert set(after["class_id"]) == {"hen", "dog"}
    assert after.loc["s/cat1", "class_id"] == "hen"
    assert (after.loc[[f"s/dog{n}" for n in range(5)], "class_id"] == "hen").all()


def test_a_renamed_class_has_its_new_name_everywhere() -> None:
    curated = curate(
        make_found(IMAGES, overrides=line("class_id", "cat", "rename_class", "tomcat")),
        CurateParams(),
    )

    assert curated.classes["class_id"].to_list() == ["dog", "hen", "tomcat"]
    assert "tomcat" in set(curated.selection["train"]["class_id"])


def test_what_every_received_class_became_is_on_record() -> None:
    orders = line("class_id", "cat", "rename_class", "tomcat") + line(
        "class_id", "hen", "merge_class", "dog"
    )

    renamed = curate(make_found(IMAGES, overrides=orders), CurateParams())
    excluded = curate(
        make_found(IMAGES, overrides=line("class_id", "hen", "exclude_class")), CurateParams()
    )

    assert renamed.profile["became"] == {"cat": "tomcat", "dog": "dog", "hen": "dog"}
    assert excluded.profile["became"] == {"cat": "cat", "dog": "dog", "hen": None}


def test_an_excluded_class_is_removed() -> None:
    after = manifest_with(line("class_id", "hen", "exclude_class"))

    hens = after[after["label_received"] == "hen"]
    assert set(hens["reason"]) == {"class_excluded"}
    assert set(hens["decision"]) == {"remove"}


def test_comments_and_blank_lines_are_skipped() -> None:
    text = HEADER + "\n# asked by the vet\n" + line("image_id", "x", "keep")

    assert [(o.line, o.key) for o in parse_overrides(text, OVERRIDES)] == [(4, "x")]


def test_wrong_columns_are_refused() -> None:
    with pytest.raises(
        ConfigError,
        match=r"overrides.csv:1: the columns are wrong \(found: key,value\). Remedy: make",
    ):
        parse_overrides("key,value\n", OVERRIDES)


MALFORMED = {
    "image_id,x,keep\n": "line 2: 3 cells instead of 8",
    line("image_id", "x", "delete"): "line 2: no such action 'delete', one of relabel, keep,",
    line(
        "class_id", "x", "keep"
    ): "line 2: key_type of keep must be image_id or sha256, not 'class_id'",
    line(
        "image_id", "x", "merge_class", "y"
    ): "line 2: key_type of merge_class must be class_id, not 'image_id'",
    line("image_id", "", "keep"): "line 2: the key is empty",
    line("image_id", "x", "relabel"): "line 2: relabel needs a value",
    line("image_id", "x", "keep", "yes"): "line 2: keep takes no value",
    line(
        "image_id", "x", "split", "training"
    ): "line 2: no such split 'training', one of train, val, test",
    line(
        "image_id", "x", "keep", day="21.11.26"
    ): "line 2: the date '21.11.26' is not like 2026-11-21",
    'image_id,"x,keep\n': "line 2: unexpected end of data",
}


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_line_is_refused_with_its_number(text: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(MALFORMED[text])):
        parse_overrides(HEADER + text, OVERRIDES)


def test_all_malformed_lines_are_listed_at_once() -> None:
    text = (
        HEADER
        + line("image_id", "", "keep")
        + line("image_id", "x", "keep")
        + line("image_id", "x", "drop")
    )

    with pytest.raises(
        ConfigError, match="2 wrong lines .*line 2: the key is empty; line 4: no such action 'drop'"
    ):
        parse_overrides(text, OVERRIDES)


WRONG_FOR_THE_DATA = {
    line("image_id", "s/nobody", "keep"): "line 2: no image has image_id 's/nobody'",
    line("sha256", "00ff", "remove"): "line 2: no image has sha256 '00ff'",
    line("image_id", "s/cat1", "relabel", "cow"): "line 2: there is no class 'cow'",
    line("image_id", "s/cat1", "relabel", "dog", "hen"): "line 2: s/cat1 is now cat, not hen",
    line("image_id", "s/none", "keep", "", "hen"): "line 2: s/none is now unlabelled, not hen",
    line("image_id", "s/bad", "keep"): "line 2: s/bad cannot be used (decode_corrupt)",
    line("image_id", "s/cat1", "keep")
    + line("image_id", "s/cat1", "remove"): "line 3: contradicts line 2 on s/cat1",
    line("image_id", "s/cat1", "relabel", "dog")
    + line(
        "sha256", digest("s/cat1", 32), "relabel", "hen"
    ): "line 3: contradicts line 2 on s/cat1",
    line(
        "image_id", "s/twin", "not_duplicate"
    ): "line 2: s/twin has the very pixels of another image",
    line("class_id", "cow", "exclude_class"): "line 2: no class 'cow' was received",
    line(
        "class_id", "cat", "merge_class", "cow"
    ): "line 2: no class 'cow' to merge into; rename_class makes a new one",
    line("class_id", "cat", "rename_class", "dog"): "line 2: class 'dog' exists; use merge_class",
    line("class_id", "cat", "merge_class", "dog")
    + line(
        "class_id", "cat", "merge_class", "hen"
    ): "line 3: contradicts line 2: class 'cat' becomes two classes",
    line("class_id", "cat", "merge_class", "dog")
    + line(
        "class_id", "cat", "exclude_class"
    ): "line 2: contradicts line 3: class 'cat' is excluded",
    line("class_id", "cat", "merge_class", "dog")
    + line(
        "class_id", "dog", "exclude_class"
    ): "line 2: class 'dog' is itself merged, renamed or excluded by line 3",
}


@pytest.mark.parametrize("text", WRONG_FOR_THE_DATA)
def test_a_line_that_does_not_fit_the_data_is_refused_with_its_number(text: str) -> None:
    images = [
        *IMAGES,
        MadeImage("s/bad", image={"refusal": "decode_corrupt"}),
        MadeImage("s/none", label=None),
    ]
    images.append(MadeImage("s/twin", looks="s/cat1"))

    with pytest.raises(BadData, match=re.escape(WRONG_FOR_THE_DATA[text])):
        manifest_with(text, images=images)


def test_all_lines_that_do_not_fit_the_data_are_one_error_in_the_order_of_the_file() -> None:
    text = (
        line("image_id", "s/cat1", "relabel", "dog", "hen")
        + line("class_id", "cow", "exclude_class")
        + line("image_id", "s/nobody", "keep")
        + line("image_id", "s/cat2", "split", "val", "none")
    )

    with pytest.raises(
        BadData,
        match=r"overrides.csv: 4 wrong lines .*line 2: .*; line 3: .*; line 4: .*; line 5: ",
    ):
        manifest_with(text)


def test_an_image_called_no_duplicate_is_no_near_copy_of_anything() -> None:
    hashes = {"phash": 2**40 - 1}
    images = [
        *IMAGES,
        *(MadeImage(f"s/{name}", "cat", "train", details="u", image=hashes) for name in "abc"),
    ]
    images += [MadeImage("s/v", split="val"), MadeImage("s/t", split="test")]

    before = manifest_with(images=images)
    after = manifest_with(line("image_id", "s/b", "not_duplicate"), images=images)

    assert before.loc[["s/b", "s/c"], "reason"].to_list() == ["duplicate", "duplicate"]
    assert after.loc[["s/b", "s/c"], "decision"].to_list() == ["keep", "remove"]
    assert after["dup_group"].dropna().to_dict() == {"s/a": "s/a", "s/c": "s/a"}


def test_a_split_may_not_be_expected_to_be_another() -> None:
    with pytest.raises(BadData, match=r"line 2: s/cat1 is now (train|val|test), not none"):
        manifest_with(line("image_id", "s/cat1", "split", "val", "none"))


def test_an_expected_class_is_the_one_without_the_override() -> None:
    votes = [("s/cat1", who, "dog") for who in ("ana", "ben", "cleo")] + [
        (f"s/{label}{n}", who, label)
        for label in ("cat", "dog")
        for n in range(5, 16)
        for who in ("ana", "ben", "cleo")
    ]

    after = manifest_with(line("image_id", "s/cat1", "relabel", "hen", "dog"), votes=votes)

    assert after.loc["s/cat1", "class_id"] == "hen"


def test_classes_that_were_only_voted_for_can_be_merged() -> None:
    changes = class_changes(
        parse_overrides(HEADER + line("class_id", "Cat", "merge_class", "cat"), OVERRIDES),
        {"cat", "Cat"},
    )

    assert changes.new_name == {"Cat": "cat"}


def test_the_examples_in_the_documentation_can_be_read() -> None:
    text = (
        (Path(__file__).parents[3] / "docs/overrides.md")
        .read_text()
        .split("```csv\n")[1]
        .split("```")[0]
    )

    overrides = parse_overrides(text, OVERRIDES)

    assert {o.action for o in overrides} == {*IMAGE_ACTIONS, *CLASS_ACTIONS}


def test_classes_are_named_as_people_write_them_whatever_their_spelling_in_unicode() -> None:
    text = HEADER + "class_id,cafe\u0301,rename_class,50% C#,,,,\n"

    (found,) = parse_overrides(text, Path("overrides.csv"))

    assert (found.key, found.value) == ("caf\u00e9", "50% C#")
    assert CurateParams(classes=("cafe\u0301",)).classes == ("caf\u00e9",)
