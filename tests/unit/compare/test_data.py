"""What differs between two manifests, on a few hand-made rows."""

from __future__ import annotations

from typing import Any

import pandas as pd

from pipeline_lib.compare.data import COLUMNS, DataChanges, data_changes

KEPT = {"source": "s", "label_source": "received", "split": "train", "decision": "keep"}


def manifest(**rows: dict[str, Any]) -> pd.DataFrame:
    """Rows by a short name: `a` is s/a with the bytes a, received as a cat."""
    made = [
        {
            "image_id": f"s/{name}",
            "sha256": name,
            "label_received": "cat",
            "class_id": "cat",
            "reason": "",
            **KEPT,
            **row,
        }
        for name, row in rows.items()
    ]
    return pd.DataFrame(made, columns=COLUMNS)


def labels(found: DataChanges) -> list[tuple[str, str, str, str]]:
    columns = ["image_id", "before", "now", "by"]
    return [tuple(row) for row in found.labels[columns].to_numpy().tolist()]


def test_images_are_added_withdrawn_and_replaced() -> None:
    found = data_changes(manifest(a={}, b={}, c={}), manifest(b={}, c={"sha256": "other"}, d={}))

    assert list(found.added["image_id"]) == ["s/d"]
    assert list(found.withdrawn["image_id"]) == ["s/a"]
    assert list(found.replaced["image_id"]) == ["s/c"]
    assert (found.n_kept_before, found.n_kept_now) == (3, 3)


def test_the_same_bytes_under_another_path_are_the_same_image() -> None:
    moved = {"image_id": "s/dogs/a", "label_received": "dog", "class_id": "dog"}

    found = data_changes(manifest(a={}), manifest(a=moved))

    assert found.added.empty and found.withdrawn.empty
    assert found.moved.to_numpy().tolist() == [["s/a", "s/dogs/a"]]
    assert labels(found) == [("s/dogs/a", "cat", "dog", "source")]


def test_of_two_copies_one_that_goes_is_withdrawn_and_not_moved() -> None:
    copies = {"x": {"sha256": "same"}, "y": {"sha256": "same"}}

    found = data_changes(manifest(**copies), manifest(x=copies["x"]))

    assert list(found.withdrawn["image_id"]) == ["s/y"] and found.moved.empty


def test_a_changed_label_says_by_what_it_changed() -> None:
    override = {"class_id": "dog", "label_source": "override"}
    votes = {"class_id": "dog", "label_source": "votes"}

    found = data_changes(
        manifest(a={}, b={}, c=override, d=votes, e={"class_id": "", "label_received": ""}),
        manifest(a=override, b=votes, c={}, d={}, e={}),
    )

    assert labels(found) == [
        ("s/a", "cat", "dog", "override"),
        ("s/b", "cat", "dog", "votes"),
        ("s/c", "dog", "cat", "override taken back"),
        ("s/d", "dog", "cat", "votes taken back"),
        ("s/e", "", "cat", "source"),
    ]


def test_a_renamed_class_changes_no_label() -> None:
    found = data_changes(manifest(a={}), manifest(a={"class_id": "tomcat"}), {"cat": "tomcat"})

    assert found.labels.empty


def test_what_is_no_longer_kept_says_why() -> None:
    out = {"decision": "remove", "reason": "duplicate", "split": ""}

    found = data_changes(manifest(a={}, b=out), manifest(a=out, b={}))

    assert found.left.to_numpy().tolist() == [["s/a", "cat", "duplicate"]]
    assert found.joined.to_numpy().tolist() == [["s/b", "cat", "duplicate"]]
