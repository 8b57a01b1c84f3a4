"""The arithmetic of the scorecard, on lines that are perfect, useless or wrong in one known way."""

from __future__ import annotations

from typing import Any

import pytest

from demo import grades
from demo.plant_list import DAMAGE, FOREIGN, Plant, PlantList

TRUTH = {
    "0/a.jpg": "0",
    "1/b.jpg": "0",
    "1/c.jpg": "1",
    "1/d.jpg": "1",
    "0/e.jpg": "1",
    "1/f.jpg": "1",
    "0/g.jpg": "0",
}
PLANTS = PlantList(
    seed=0,
    planter_version=1,
    true_labels=TRUTH,
    plants=(
        Plant("flip_uniform", "1/b.jpg"),
        Plant("duplicate_bytes", "1/d.jpg", of="1/c.jpg"),
        Plant("duplicate_conflict", "0/e.jpg", of="1/f.jpg"),
        Plant("html", "0/h.jpg", code="not_image"),
        Plant("png_named_jpg", "0/g.jpg", code="ext_mismatch"),
    ),
    needles_hex=(),
    forget="",
)


def row(member: str, **changes: Any) -> dict[str, Any]:
    received = member.partition("/")[0]
    sound: dict[str, Any] = {
        "image_id": grades.image_id(member),
        "label_received": received,
        "class_id": received,
        "label_source": "received",
        "label_issue": "none",
        "dup_group": None,
        "split": "train",
        "decision": "keep",
        "reason": None,
        "flags": [],
    }
    return {**sound, **changes}


def manifest(**changes: dict[str, Any]) -> grades.Rows:
    """Rows of all members as received; `changes` by the letter of the member's name."""
    members = [*TRUTH, "0/h.jpg"]
    return {grades.image_id(name): row(name, **changes.get(name[2], {})) for name in members}


def values(*graded: grades.Grade) -> dict[str, float]:
    return {grade.key: grade.value for grade in graded}


def test_a_line_that_believes_every_label_finds_no_label_error() -> None:
    graded = grades.grade_label_errors(manifest(), PLANTS, variant="with_votes")

    assert values(*graded) == {
        "label_errors_with_votes_recall": 0,
        "label_errors_with_votes_precision": 0,
    }


def test_a_label_changed_by_votes_is_found_and_a_changed_right_label_costs_precision() -> None:
    changed = manifest(
        b={"label_source": "votes", "class_id": "0"}, c={"label_source": "votes", "class_id": "0"}
    )

    graded = grades.grade_label_errors(changed, PLANTS, variant="with_votes")

    assert values(*graded) == {
        "label_errors_with_votes_recall": 1,
        "label_errors_with_votes_precision": 0.5,
    }
    assert graded[0].words == "1/1 found (precision 0.50)"


@pytest.mark.parametrize(
    "flag", [{"label_issue": "auto"}, {"label_issue": "review"}, {"reason": "votes_undecided"}]
)
def test_a_flagged_label_counts_as_found(flag: dict[str, str]) -> None:
    graded = grades.grade_label_errors(manifest(b=flag), PLANTS, variant="without_votes")

    assert values(*graded) == {
        "label_errors_without_votes_recall": 1,
        "label_errors_without_votes_precision": 1,
    }


def test_votes_that_confirm_a_label_do_not_make_it_suspected() -> None:
    confirmed = manifest(b={"label_source": "votes", "class_id": "1"})

    assert grades.grade_label_errors(confirmed, PLANTS, variant="with_votes")[0].value == 0


def test_wrong_classes_left_are_counted_among_kept_images_only() -> None:
    one_removed = manifest(b={"decision": "remove"})

    grade = grades.grade_labels_kept(one_removed, PLANTS)

    assert grade.words == "1 of 6 kept images (2 arrived so)"


def test_duplicates_are_found_when_they_share_a_group_and_not_when_both_have_none() -> None:
    alone, together = manifest(), manifest(c={"dup_group": "x"}, d={"dup_group": "x"})

    assert grades.grade_duplicates(alone, PLANTS)[0].words == "0/2 found"
    assert grades.grade_duplicates(together, PLANTS)[0].words == "1/2 found"


def test_a_conflict_is_settled_when_the_wrong_copy_goes_or_gets_the_right_class() -> None:
    gone, fixed, left = (
        manifest(e={"decision": "remove"}),
        manifest(e={"class_id": "1"}),
        manifest(),
    )

    assert [grades.grade_conflicts(rows, PLANTS).value for rows in (gone, fixed, left)] == [1, 1, 0]


ALONE = {grades.image_id(member): "test" if member.startswith("0") else "train" for member in TRUTH}


def leaks(rows: grades.Rows, subjects: dict[str, str]) -> dict[str, float]:
    return values(*grades.grade_leaks(rows, PLANTS, subjects=subjects, alone=ALONE))


def test_a_leak_needs_two_kept_copies_in_different_splits() -> None:
    leaking, removed = (
        manifest(d={"split": "test"}),
        manifest(d={"split": None, "decision": "remove"}),
    )

    assert leaks(leaking, {})["leaks"] == 1
    assert leaks(removed, {})["leaks"] == 0


def test_images_of_one_person_in_two_splits_are_a_leak() -> None:
    people = {"0/a.jpg": "ann", "1/b.jpg": "ann", "1/c.jpg": "bob"}

    assert (
        leaks(manifest(a={"split": "val"}, c={"split": "test"}), people)["leaks"] == 2
    )  # a-b, c-d


def test_planted_leaks_are_the_pairs_that_would_cross_if_drawn_alone() -> None:
    assert leaks(manifest(), {"0/a.jpg": "ann", "1/b.jpg": "ann"})["leaks_planted"] == 2  # a-b, e-f


def test_sound_images_are_those_that_no_plant_touches() -> None:
    lost = manifest(a={"decision": "quarantine"}, b={"decision": "quarantine"})

    grade = grades.grade_unplanted(lost, PLANTS)

    assert (grade.value, grade.words) == (1.0, "1 of 1 (100.00%)")


def test_a_damaged_file_refused_for_another_reason_is_not_counted() -> None:
    plants = PlantList(
        0, 1, TRUTH, tuple(Plant(kind, "0/h.jpg", code="not_image") for kind in DAMAGED), (), ""
    )

    right = grades.grade_damage(manifest(h={"reason": "not_image"}), plants)
    wrong = grades.grade_damage(manifest(h={"reason": "decode_corrupt"}), plants)

    assert {grade.value for grade in right} == {1}
    assert {grade.value for grade in wrong} == {0}


DAMAGED = (*DAMAGE, *FOREIGN)


def test_an_odd_image_must_be_kept_and_remarked_upon() -> None:
    remarked, silent = manifest(g={"flags": ["ext_mismatch"]}), manifest()
    lost = manifest(g={"flags": ["ext_mismatch"], "decision": "quarantine"})

    assert [grades.grade_oddities(rows, PLANTS)[0].value for rows in (remarked, silent, lost)] == [
        1,
        0,
        0,
    ]


def test_accuracy_is_joined_by_image_id_and_counts_the_test_split_only() -> None:
    predictions = {
        grades.image_id("1/b.jpg"): {"split": "test", "predicted": 0},
        grades.image_id("1/c.jpg"): {"split": "test", "predicted": 1},
        grades.image_id("0/a.jpg"): {"split": "val", "predicted": 1},
    }

    graded = grades.grade_accuracy(predictions, PLANTS, {0: "0", 1: "1"})

    assert values(*graded) == {"top1_true": 1.0, "top1_received": 0.5, "n_test": 2}
    assert graded[0].words == "100.00% on true labels, 50.00% on labels as received (n = 2)"
