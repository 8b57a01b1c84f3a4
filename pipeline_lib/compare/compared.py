"""Two models beside each other: on the test images of both, in their data, labels, parameters and code. Facts, no causes.

Right and wrong go by the labels of B, and classes by the names they have in B, as the gate compares a champion with
today's. An image counts where both models were tested on the same bytes of it, and both know its class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from pipeline_lib.compare.classes import renames
from pipeline_lib.compare.data import DataChanges, data_changes, read_manifest
from pipeline_lib.compare.recipe import Difference, code_changed, libraries_changed, params_changed
from pipeline_lib.compare.sides import Side, files_of
from pipeline_lib.register import sentences
from pipeline_lib.register.class_losses import class_changes
from pipeline_lib.register.paired import compare
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import ClassChange, Comparison, Registry
from pipeline_lib.report.answers import read_answers
from pipeline_lib.tables.classes import read_classes
from pipeline_lib.tables.manifest import EXTRA
from pipeline_lib.tables.predictions import PREDICTIONS

ROLES = ("predictions", "manifest", "review", "classes", "profile")
LOST, WON = "right to wrong", "wrong to right"
GONE = "(no class any more)"


@dataclass(frozen=True)
class TestImages:
    """How many images each side was tested on, and why some are not compared.

    replaced: other bytes now. unknown_class: A does not know the class. relabelled: of the compared ones, those whose
    label differs.
    """

    a: int
    b: int
    compared: int
    only_a: int
    only_b: int
    replaced: int
    unknown_class: int
    relabelled: int


@dataclass(frozen=True)
class Compared:
    """A beside B. answers: of B, in the columns of `read_answers`, and said_a, p_a, right_a, compared.

    paired: None where no image was tested by both. flips: right to wrong first. by_class: counts of data per class.
    libraries: None where they are not on record. names: class id -> name.
    """

    a: Side
    b: Side
    test: TestImages
    paired: Comparison | None
    sentence: str
    classes: tuple[ClassChange, ...]
    flips: pd.DataFrame
    answers: pd.DataFrame
    data: DataChanges
    by_class: pd.DataFrame
    renamed: Mapping[str, str]
    params: tuple[Difference, ...]
    code: tuple[Difference, ...]
    libraries: tuple[Difference, ...] | None
    names: Mapping[str, str]


def compare_sides(a: Side, b: Side, registry: Registry, rules: RegisterParams) -> Compared:
    """rules: of the gate, for its margin and its test of classes. Raises SourceMissing when the cache lost a table."""
    files_a = files_of(a, ROLES, registry)
    files_b = files_of(b, ROLES, registry)
    classes_a, classes_b = read_classes(files_a["classes"]), read_classes(files_b["classes"])
    names = dict(zip(classes_b["class_id"], classes_b["name"], strict=True))
    today = renames(list(classes_a["class_id"]), files_a["profile"], files_b["profile"])
    before, now = read_manifest(files_a["manifest"]), read_manifest(files_b["manifest"])
    said = _said(files_a["predictions"], list(classes_a["class_id"]), today)
    answers = _with_a(read_answers(files_b), said, before, set(today.values()), names)
    beside = answers[answers["compared"]]
    data = data_changes(before, now, today)

    # The gate's own test and sentence.
    paired = None
    sentence = "No image was tested by both."
    changes: tuple[ClassChange, ...] = ()
    if len(beside):
        right_a = beside["right_a"].to_numpy(bool)
        right_b = beside["correct"].to_numpy(bool)
        paired = compare(
            right_a, right_b, champion_version=0, smallest_margin=rules.smallest_margin
        )
        words = sentences.compared(paired).replace("version 0 on", f"{a.name} on")
        paired = replace(paired, champion_version=a.version or 0)
        sentence = f"{b.name[0].upper()}{b.name[1:]} is {words}."
        changes = class_changes(
            beside["true_class"].tolist(),
            right_a,
            right_b,
            significance=rules.class_significance,
            hold_significance=rules.class_hold_significance,
            class_loss=rules.class_loss,
        )
    relabelled = set(data.labels["image_id"])
    shared_ids = set(said.index) & set(answers["image_id"])
    test = TestImages(
        a=len(said),
        b=len(answers),
        compared=len(beside),
        only_a=len(said) - len(shared_ids),
        only_b=len(answers) - len(shared_ids),
        replaced=int((answers["both"] & ~answers["same_bytes"]).sum()),
        unknown_class=int((answers["both"] & answers["same_bytes"] & ~answers["known"]).sum()),
        relabelled=int(beside["image_id"].isin(relabelled).sum()),
    )
    return Compared(
        a=a,
        b=b,
        test=test,
        paired=paired,
        sentence=sentence,
        classes=changes,
        flips=_flips(beside),
        answers=answers,
        data=data,
        by_class=_by_class(data, before, now, today),
        renamed={old: new for old, new in today.items() if old != new},
        params=params_changed(a, b),
        code=code_changed(a, b),
        libraries=libraries_changed(a, b),
        names=names,
    )


def _said(predictions: Path, class_ids: list[str], today: Mapping[str, str]) -> pd.DataFrame:
    """What A said of its test images, by image_id: said_a (a class of B where it still exists), p_a."""
    table = PREDICTIONS.read(predictions, ["image_id", "split", "predicted", "p_predicted"])
    test = table[table["split"] == "test"]
    words = [today.get(one, f"{one} {GONE}") for one in class_ids]
    return pd.DataFrame(
        {
            "said_a": [words[number] for number in test["predicted"]],
            "p_a": test["p_predicted"].to_numpy(float).round(6),
        },
        index=test["image_id"].to_numpy(),
    )


def _with_a(
    answers: pd.DataFrame,
    said: pd.DataFrame,
    before: pd.DataFrame,
    known: set[str],
    names: Mapping[str, str],
) -> pd.DataFrame:
    """B's answers with A's beside them, and whether an image is compared."""
    then = before.set_index("image_id")["sha256"]
    both = answers["image_id"].isin(said.index)
    class_a = answers["image_id"].map(said["said_a"]).astype(object)
    class_a = class_a.where(class_a.notna(), "").astype("str")
    same_bytes = answers["image_id"].map(then) == answers["sha256"]
    is_known = answers["true_class"].isin(known)
    return answers.assign(
        both=both,
        same_bytes=same_bytes,
        known=is_known,
        compared=both & same_bytes & is_known,
        class_a=class_a,
        said_a=class_a.map(lambda one: names.get(one, one)),
        p_a=answers["image_id"].map(said["p_a"]),
        right_a=class_a == answers["true_class"],
    )


def _flips(beside: pd.DataFrame) -> pd.DataFrame:
    """The images on which one is right and the other wrong, right to wrong first, the surest mistakes first."""
    rows = beside[beside["right_a"] != beside["correct"]]
    direction = pd.Series(WON, index=rows.index).mask(rows["right_a"], LOST)
    found = pd.DataFrame(
        {
            "flip": direction,
            "image_id": rows["image_id"],
            "sha256": rows["sha256"],
            "source": rows["source"],
            "path": rows["path"],
            "true_class": rows["true_class"],
            "true_name": rows["true_name"],
            "a_class": rows["class_a"],
            "a_name": rows["said_a"],
            "p_a": rows["p_a"],
            "b_class": rows["predicted_class"],
            "b_name": rows["predicted_name"],
            "p_b": rows["p_predicted"],
            "label": rows["label_state"],
        }
    )
    return found.sort_values(
        ["flip", "p_b", "image_id"], ascending=[True, False, True], ignore_index=True
    )


def _kept_classes(manifest: pd.DataFrame) -> pd.Series:
    """The classes of kept images; an extra test set is not part of the data."""
    kept = (manifest["decision"] == "keep") & (manifest["split"] != EXTRA)
    return manifest.loc[kept, "class_id"]


def _by_class(
    data: DataChanges, before: pd.DataFrame, now: pd.DataFrame, today: Mapping[str, str]
) -> pd.DataFrame:
    """class_id, kept_a, kept_b, added, withdrawn, replaced, labels_from, labels_to: classes with any change."""
    kept_a = _kept_classes(before).map(lambda c: today.get(c, c))
    kept_b = _kept_classes(now)
    columns = {
        "kept_a": kept_a,
        "kept_b": kept_b,
        "added": data.added["class_id"],
        "withdrawn": data.withdrawn["class_id"],
        "replaced": data.replaced["class_id"],
        "labels_from": data.labels["before"],
        "labels_to": data.labels["now"],
    }
    counts = pd.DataFrame({name: found.value_counts() for name, found in columns.items()})
    counts = counts.fillna(0).astype(int)
    changed = (counts["kept_a"] != counts["kept_b"]) | (counts.iloc[:, 2:] > 0).any(axis=1)
    return counts[changed].rename_axis("class_id").reset_index()


def as_records(table: pd.DataFrame) -> list[dict[str, object]]:
    """Rows as dicts of plain values."""
    found: list[dict[str, object]] = json.loads(table.to_json(orient="records"))
    return found
