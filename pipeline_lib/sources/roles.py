"""What the images of a source are for, and which of its keys go together with that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

Role = Literal["unlabelled", "test"]
READS_CLASSES = ("labels", "splits", "depth", "class_from", "split_from")
OF_TEST_SETS = ("class_map", "other_classes", "restrict_to_its_classes")
# An extra test set is one split, and no person's votes or persons in common are looked up for it.
NOT_OF_TEST_SETS = ("split", "votes", "subjects", "subject_from")
ROLE: Final = (
    "unlabelled: the images have no class, whatever their folders are called; they wait in the review queue, training may "
    "learn from them (curate.learn_unlabelled), and they count for no limit on quarantine. test: an extra test set, scored "
    "apart from the test split and never trained on (docs/shift.md). null: labelled"
)


def with_role(content: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a source, those that its role implies included. Raises ValueError for keys that contradict it."""
    role = content.get("role")
    if role == "unlabelled":
        return _unlabelled(content)
    stated = [key for key in OF_TEST_SETS if content.get(key) is not None]
    if role != "test" and stated:
        raise ValueError(f"{' and '.join(stated)}: only of an extra test set, so add role: test")
    unfit = [key for key in NOT_OF_TEST_SETS if content.get(key)]
    if role == "test" and unfit:
        raise ValueError(
            f"role test: leave out {' and '.join(unfit)}, or leave out the role (split: test puts images into the plain "
            "test split)"
        )
    return dict(content)


def _unlabelled(content: Mapping[str, Any]) -> dict[str, Any]:
    """Read an unlabelled source without classes, and as training images: others would be of no use."""
    meant = {"layout": "flat", "split": "train"}
    stated = [key for key in (*READS_CLASSES, *OF_TEST_SETS) if content.get(key)]
    stated += [
        key for key, value in meant.items() if content.get(key, value) not in (value, "auto", None)
    ]
    if stated:
        raise ValueError(
            f"role unlabelled: leave out {' and '.join(stated)}, or leave out the role"
        )
    return {**content, **meant}
