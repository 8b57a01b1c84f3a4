"""Grade the tables of a finished line against the plant list. Pure functions over rows.

`manifest` and `predictions` are rows by image_id (`digits/<member>`), with None for an empty cell. Every grade is a
share (0..1) or a count, with the sentence a person reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from demo.plant_list import DAMAGE, FOREIGN, ODDITIES, PlantList, received_label
from pipeline_lib.reasons import Reason, Remark

Rows = Mapping[str, Mapping[str, Any]]
SOURCE = "digits"


@dataclass(frozen=True)
class Grade:
    """One figure: its key in score.json, its value, and its line on the scorecard (name "": it has none of its own)."""

    key: str
    value: float
    name: str = ""
    words: str = ""


def grade_label_errors(manifest: Rows, plants: PlantList, *, variant: str) -> list[Grade]:
    """Recall over the flipped labels, precision over all rows that votes changed or that were flagged.

    variant: "with_votes" or "without_votes".
    """
    flips = {image_id(plant.member) for plant in plants.of_kind("flip_uniform", "flip_pair")}
    wrong = {
        image_id(member)
        for member, label in plants.true_labels.items()
        if label != received_label(member)
    }
    found = {
        image_id(member) for member in plants.true_labels if _suspected(manifest[image_id(member)])
    }
    recall, precision = (
        _share(len(found & flips), len(flips)),
        _share(len(found & wrong), len(found)),
    )
    words = f"{len(found & flips)}/{len(flips)} found (precision {precision:.2f})"
    key = f"label_errors_{variant}"
    return [
        Grade(f"{key}_recall", recall, f"label errors {variant.replace('_', ' ')}", words),
        Grade(f"{key}_precision", precision),
    ]


def grade_labels_kept(manifest: Rows, plants: PlantList) -> Grade:
    """Share of kept images that stand in the wrong class, beside those that arrived so."""
    truths = {image_id(member): label for member, label in plants.true_labels.items()}
    kept = [image for image in _kept(manifest) if image in truths]
    left = sum(manifest[image]["class_id"] != truths[image] for image in kept)
    arrived = sum(received_label(member) != label for member, label in plants.true_labels.items())
    words = f"{left} of {len(kept)} kept images ({arrived} arrived so)"
    return Grade("wrong_classes_kept", _share(left, len(kept)), "wrong classes left", words)


def grade_duplicates(manifest: Rows, plants: PlantList) -> list[Grade]:
    """Pairs whose members were put into one group of duplicates."""

    def grade(key: str, name: str, *kinds: str) -> Grade:
        pairs = [
            (manifest[image_id(plant.member)], manifest[image_id(plant.of)])
            for plant in plants.of_kind(*kinds)
        ]
        same = sum(
            a["dup_group"] is not None and a["dup_group"] == b["dup_group"] for a, b in pairs
        )
        return Grade(key, _share(same, len(pairs)), name, f"{same}/{len(pairs)} found")

    exact = ("duplicate_bytes", "duplicate_pixels", "duplicate_conflict")
    return [
        grade("exact_duplicates_recall", "exact duplicates", *exact),
        grade("near_duplicates_recall", "near duplicates", "duplicate_near"),
    ]


def grade_conflicts(manifest: Rows, plants: PlantList) -> Grade:
    """Images that arrived twice, in two classes: settled when no copy is kept in the wrong one."""
    pairs = plants.of_kind("duplicate_conflict")
    settled = sum(_rightly_placed(manifest, plants, pair.member, pair.of) for pair in pairs)
    return Grade(
        "conflicts_settled",
        _share(settled, len(pairs)),
        "conflicting copies",
        f"{settled}/{len(pairs)} settled",
    )


def grade_leaks(
    manifest: Rows, plants: PlantList, *, subjects: Mapping[str, str], alone: Mapping[str, str]
) -> list[Grade]:
    """Pairs (copies, or images of one person) kept in two different splits: none is the only good number.

    subjects: person by member. alone: the split each image would have if nothing were known of the others.
    """
    kept = _kept(manifest)
    pairs = [
        (image_id(plant.member), image_id(plant.of)) for plant in plants.plants if plant.of
    ] + _same_person(subjects)
    planted = sum(alone[a] != alone[b] for a, b in pairs)
    leaks = sum(a in kept and b in kept and kept[a]["split"] != kept[b]["split"] for a, b in pairs)
    words = (
        f"{leaks} left; {planted} of {len(pairs)} pairs would cross if each image were drawn alone"
    )
    return [Grade("leaks", leaks, "leaks across splits", words), Grade("leaks_planted", planted)]


def grade_unplanted(manifest: Rows, plants: PlantList) -> Grade:
    """Share of the images without any planted fault that were not kept."""
    planted = plants.involved()
    sound = [image_id(member) for member in plants.true_labels if member not in planted]
    lost = len(set(sound) - _kept(manifest).keys())
    share = _share(lost, len(sound))
    return Grade(
        "unplanted_removed", share, "sound images lost", f"{lost} of {len(sound)} ({share:.2%})"
    )


def grade_damage(manifest: Rows, plants: PlantList) -> list[Grade]:
    """Damaged and foreign files that were refused with exactly the expected reason."""
    grades = []
    for kind in (*DAMAGE, *FOREIGN):
        files = plants.of_kind(kind)
        right = sum(manifest[image_id(plant.member)]["reason"] == plant.code for plant in files)
        words = f"{right}/{len(files)} refused as {files[0].code}"
        grades.append(
            Grade(f"refused_{kind}", _share(right, len(files)), kind.replace("_", " "), words)
        )
    return grades


def grade_oddities(manifest: Rows, plants: PlantList) -> list[Grade]:
    """Odd but sound images: kept, and remarked upon where there is a remark for it."""
    kept = _kept(manifest)

    def grade(key: str, name: str, *kinds: str) -> Grade:
        files = plants.of_kind(*kinds)
        rows = [(kept.get(image_id(plant.member)), plant.code) for plant in files]
        right = sum(row is not None and (not code or code in row["flags"]) for row, code in rows)
        return Grade(
            key, _share(right, len(files)), name, f"{right}/{len(files)} kept and remarked"
        )

    others = [kind for kind in ODDITIES if kind != "png_named_jpg"]
    return [
        grade(f"{Remark.EXT_MISMATCH}_kept", "PNG named .jpg", "png_named_jpg"),
        grade("oddities_kept", "EXIF, CMYK, 16 bit, GIF", *others),
    ]


def grade_accuracy(predictions: Rows, plants: PlantList, classes: Mapping[int, str]) -> list[Grade]:
    """Top-1 on the test split: against the truth, and against the labels as they arrived."""
    test = {
        image: classes[row["predicted"]]
        for image, row in predictions.items()
        if row["split"] == "test"
    }
    members = {image: image.removeprefix(f"{SOURCE}/") for image in test}
    on_true = _share(
        sum(plants.true_labels[members[image]] == test[image] for image in test), len(test)
    )
    on_received = _share(
        sum(received_label(members[image]) == test[image] for image in test), len(test)
    )
    words = (
        f"{on_true:.2%} on true labels, {on_received:.2%} on labels as received (n = {len(test)})"
    )
    return [
        Grade("top1_true", on_true, "top-1 on test", words),
        Grade("top1_received", on_received),
        Grade("n_test", len(test)),
    ]


def image_id(member: str) -> str:
    """The key of a member in every table."""
    return f"{SOURCE}/{member}"


def _suspected(row: Mapping[str, Any]) -> bool:
    """The line says that the received label is wrong, or that it cannot tell: by votes, or out of sample."""
    changed = row["label_source"] == "votes" and row["class_id"] != row["label_received"]
    flagged = row["label_issue"] != "none" or row["reason"] in (
        Reason.LABEL_ISSUE,
        Reason.VOTES_UNDECIDED,
    )
    return bool(changed or flagged)


def _kept(manifest: Rows) -> dict[str, Mapping[str, Any]]:
    return {image: row for image, row in manifest.items() if row["decision"] == "keep"}


def _rightly_placed(manifest: Rows, plants: PlantList, *members: str) -> bool:
    kept = [member for member in members if manifest[image_id(member)]["decision"] == "keep"]
    return all(
        manifest[image_id(member)]["class_id"] == plants.true_labels[member] for member in kept
    )


def _same_person(subjects: Mapping[str, str]) -> list[tuple[str, str]]:
    people: dict[str, list[str]] = {}
    for member, person in subjects.items():
        people.setdefault(person, []).append(image_id(member))
    return [pair for images in people.values() for pair in combinations(images, 2)]


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
