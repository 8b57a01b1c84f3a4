"""The arithmetic of a trial's scorecard, on lines that found everything, nothing, or one known thing."""

from __future__ import annotations

import re
from typing import Any

import pytest

from demo.grades import Grade, Rows
from demo.photographs import grades
from demo.photographs.card import Features, scorecard, weak_points
from demo.photographs.grades import Part, image_id
from demo.photographs.planting import Planted, PlantedFile


def file(number: int, received: str, truth: str, **more: str) -> PlantedFile:
    ending = more.pop("ending", ".jpg")
    return PlantedFile(f"{received}/{number}{ending}", f"own/{number}", received, truth, "", **more)


FLIP = file(1, "cat", "dog", kind="wrong label")
IMAGE = file(2, "cat", "cat")
COPY = file(3, "cat", "cat", kind="copy, mirrored", copy_of=IMAGE.member)
BROKEN = file(4, "dog", "", kind="cut off", code="decode_truncated")
ODD = file(5, "dog", "dog", kind="wrong ending", code="ext_mismatch", ending=".png")
PAGE = PlantedFile("dog/6.jpg", "", "dog", "", "", kind="page of text")
PLAIN = file(7, "dog", "dog")
PLANTED = Planted("key", "my images", 0, 900, 3, (FLIP, IMAGE, COPY, BROKEN, ODD, PAGE, PLAIN))


def manifest(**changes: dict[str, Any]) -> Rows:
    """Rows of a line that found nothing and kept everything; `changes` by number, as f1."""
    sound: dict[str, Any] = {
        "label_issue": "none",
        "dup_group": None,
        "split": "train",
        "decision": "keep",
        "reason": None,
        "flags": [],
    }
    return {
        image_id(one.member): {
            **sound,
            "class_id": one.received,
            "label_suggested": None,
            **changes.get(f"f{one.member[4]}", {}),
        }
        for one in PLANTED.files
    }


def question(kind: str, about: PlantedFile, note: str = "", rank: int = 1) -> dict[str, Any]:
    return {"kind": kind, "image_id": image_id(about.member), "note": note, "rank": rank}


def values(part: Part) -> dict[str, float]:
    return {grade.key: grade.value for grade in part.grades}


def words(part: Part) -> dict[str, str]:
    return {grade.name.strip(): grade.words for grade in part.grades if grade.name}


def test_a_doubted_wrong_label_is_found_and_a_doubted_right_one_costs_precision() -> None:
    doubted = manifest(f1={"label_issue": "review"}, f7={"label_issue": "auto"})

    part = grades.grade_labels(doubted, [], PLANTED)

    said = (
        "1 of 1 are among the 2 labels that it doubts, 0 among the first 0 of 0 questions on labels"
    )
    assert words(part) == {"wrong labels": said}
    assert (values(part)["labels_recall"], values(part)["labels_precision"]) == (1, 0.5)
    assert part.findings == ()


def test_a_wrong_label_that_is_not_doubted_is_named_with_its_class_and_its_place_in_the_queue() -> (
    None
):
    queue = [question("label_issue", PLAIN, rank=1), question("label_issue", FLIP, rank=2)]

    suspected = grades.grade_labels(manifest(), queue, PLANTED)
    missed = grades.grade_labels(manifest(), queue[:1], PLANTED)

    assert words(suspected)["wrong labels"].endswith("1 among the first 2 of 2 questions on labels")
    assert suspected.findings[0].words == "lies in cat, is dog; question 2 of 2"
    assert words(missed)["wrong labels"].endswith("0 among the first 1 of 1 questions on labels")
    assert missed.findings[0].words == "lies in cat, is dog; not asked about"


def test_a_copy_is_found_in_the_group_of_its_image_or_when_a_person_is_asked_about_the_two() -> (
    None
):
    group = {"dup_group": image_id(IMAGE.member)}
    note = f"may be a copy of {image_id(IMAGE.member)} (train); both are used"

    grouped = grades.grade_copies(manifest(f2=group, f3=group), [], PLANTED)
    asked = grades.grade_copies(manifest(), [question("near_review", COPY, note)], PLANTED)
    missed = grades.grade_copies(manifest(f3=group), [question("near_review", COPY, "")], PLANTED)

    assert words(grouped) == {"copies": "1 of 1 found: 1 grouped, 0 asked", "mirrored": "1 of 1"}
    assert words(asked)["mirrored"] == "1 of 1, 1 of them asked"
    assert values(missed)["copies_mirrored"] == 0
    assert missed.findings[0].words == f"copy of {IMAGE.member}"


def test_a_leak_is_a_copy_in_use_in_another_split_than_its_image() -> None:
    alone = dict.fromkeys(manifest(), "train") | {image_id(COPY.member): "test"}

    leaking = grades.grade_leaks(manifest(f3={"split": "test"}), PLANTED, alone)
    removed = grades.grade_leaks(manifest(f3={"split": None, "decision": "remove"}), PLANTED, alone)

    assert values(leaking) == {"leaks": 1, "leaks_planted": 1}
    assert values(removed) == {"leaks": 0, "leaks_planted": 1}


def test_damage_counts_when_it_is_named_and_what_was_said_instead_is_told() -> None:
    named = manifest(f4={"decision": "quarantine", "reason": "decode_truncated"})
    other = manifest(f4={"decision": "quarantine", "reason": "decode_corrupt"})

    assert values(grades.grade_damage(named, PLANTED))["damage_cut_off"] == 1
    part = grades.grade_damage(other, PLANTED)
    assert values(part)["damage_cut_off"] == 0
    assert "not named decode_truncated, but decode_corrupt" in [one.words for one in part.findings]


def test_an_odd_ending_is_remarked_upon_and_the_image_kept() -> None:
    part = grades.grade_damage(manifest(f5={"flags": ["ext_mismatch"]}), PLANTED)

    assert words(part)["wrong ending"] == "1 of 1 remarked as ext_mismatch"


def test_a_page_of_text_is_found_as_unlike_its_class_or_as_wrongly_labelled() -> None:
    outlier = grades.grade_pages(manifest(), [question("outlier", PAGE)], PLANTED)
    doubted = grades.grade_pages(manifest(), [question("label_issue", PAGE)], PLANTED)

    assert (
        words(outlier)["pages of text"] == "1 of 1 are among the 1 images called unlike their class"
    )
    assert words(doubted)["pages of text"].endswith(", 1 more among doubted labels")
    assert len(grades.grade_pages(manifest(), [], PLANTED).findings) == 1


def test_of_an_image_and_its_planted_copy_one_is_enough_and_any_other_image_left_out_is_told() -> (
    None
):
    gone = {"decision": "remove", "reason": "duplicate", "dup_group": image_id(COPY.member)}

    one = grades.grade_untouched(manifest(f2=gone, f7=gone), PLANTED)
    both = grades.grade_untouched(manifest(f2=gone, f3=gone), PLANTED)

    assert words(one)["your other images"] == "1 of 2 left out: duplicate 1"
    assert one.findings[0].file == PLAIN
    assert one.findings[0].words == f"duplicate: in one group with {COPY.member}"
    assert [finding.file for finding in both.findings] == [IMAGE]


def test_accuracy_is_told_by_the_truth_and_by_the_labels_as_planted() -> None:
    predictions = {
        image_id(FLIP.member): {"split": "test", "predicted": 1},
        image_id(PLAIN.member): {"split": "test", "predicted": 1},
        image_id(PAGE.member): {"split": "test", "predicted": 0},
        image_id(IMAGE.member): {"split": "val", "predicted": 1},
    }

    part = grades.grade_accuracy(predictions, PLANTED, {0: "cat", 1: "dog"})

    assert values(part) == {"top1_true": 1, "top1_received": 0.5, "top1_floor": 1, "n_test": 2}


FINE = {
    "labels_planted": 80,
    "labels_found": 70,
    "labels_recall": 0.875,
    "copies_planted": 80,
    "copies_found": 79,
    "leaks": 0,
    "n_test": 250,
    "top1_true": 0.9,
    "top1_floor": 0.2,
}
KNOWING = Features(by_gradients=False, short_side_px=400, accuracy=0.85)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels_recall": 0.3, "labels_found": 24}, "56 of 80 were not doubted"),
        ({"copies_found": 40}, "docs/duplicates.md"),
        ({"leaks": 2}, "Leaks"),
        ({"n_test": 30}, "30 test images only"),
        ({"top1_true": 0.2}, "no better than always naming the commonest class"),
    ],
)
def test_each_weak_figure_is_told_with_what_helps(change: dict[str, float], said: str) -> None:
    assert list(weak_points(FINE, KNOWING, smallest_class=50)) == []
    (sentence,) = weak_points(FINE | change, KNOWING, smallest_class=50)
    assert said in sentence


@pytest.mark.parametrize(
    ("features", "said"),
    [
        (
            Features(True, 32, 0.541),
            "gradients; this tells the right class of 54.1 % .* of 32 px show little",
        ),
        (Features(True, 400, 0.3), "Set inspect.embedding_weights to builtin:efficientnet_lite0"),
        (
            Features(False, 400, None),
            "an embedding; too few images were judged. More images per class",
        ),
    ],
)
def test_where_features_know_too_little_the_card_says_what_knows_more(
    features: Features, said: str
) -> None:
    (sentence,) = weak_points(FINE | {"labels_recall": 0.3}, features, smallest_class=50)

    assert re.search(said, sentence)


def test_the_card_says_what_was_planted_and_lists_the_first_of_each_kind_missed(
    tmp_path: Any,
) -> None:
    part = grades.grade_labels(manifest(), [], PLANTED)

    lines = scorecard(
        PLANTED,
        [*part.grades, Grade("x", 1, "leaks", "0 left")],
        part.findings * 7,
        folder=tmp_path,
    )

    assert (
        lines[0]
        == "Scorecard: 5 faults planted in a copy of 5 of your 900 images, 2 of 3 classes, seed 0"
    )
    assert "    cat/1.jpg: lies in cat, is dog; not asked about (yours: own/1)" in lines
    assert lines[-1] == "    and 2 more in score.json"
