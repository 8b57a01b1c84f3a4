"""The artifacts of a line of any size, made up: what a report is made from, without a training.

Top-1 is 77 %, four mistakes in five go to one of ten neighbours of the class, curation doubts one label in fifty, a champion
differs on 6 % of the images. The images are real photographs (benchmarks/support/photographs.py), each used under several
names, as a thumbnail is made for each name anew.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.support.photographs import FOLDER, make_photographs
from pipeline_lib.evaluate.calibration import reliability
from pipeline_lib.evaluate.predictions import log_softmax, predictions
from pipeline_lib.evaluate.ranking import operating_points
from pipeline_lib.evaluate.selective import selective_curve
from pipeline_lib.evaluate.shift_figures import shift_figures
from pipeline_lib.evaluate.summary import summarise
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.pixels import PixelRules
from pipeline_lib.shift.names import KINDS, STRENGTHS, corrupted_set
from pipeline_lib.tables.explanations import EXPLANATIONS
from pipeline_lib.tables.figures import UNCALIBRATED
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.shifted import SHIFTED
from pipeline_lib.tables.table import Table
from pipeline_lib.tables.votes import VOTES

NEIGHBOURS = 10
WRONG = 0.24  # share of the images whose most probable class is drawn anew
CHANGED = 0.03  # share of the images that the champion alone has right, and as many that it alone has wrong
SYLLABLES = ("bar", "cro", "del", "fin", "gus", "hol", "jen", "kil", "lom", "mar")
FloatsNK = np.ndarray[Any, Any]
IntsN = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Size:
    """images, classes: of the test split. photographs: different ones. corrupted: images shown again in each corruption."""

    images: int
    classes: int
    photographs: int
    corrupted: int


FULL = Size(images=50_000, classes=1_000, photographs=1_000, corrupted=1_000)


def made_logits(size: Size = FULL) -> tuple[FloatsNK, IntsN]:
    """logits [N, K] and labels [N]."""
    random, n, k = np.random.default_rng(0), size.images, size.classes
    labels_N = np.arange(n) % k
    said_N = labels_N.copy()
    wrong = random.random(n) < WRONG
    near = (labels_N + random.integers(1, NEIGHBOURS + 1, n)) % k
    anywhere = random.integers(0, k, n)
    said_N[wrong] = np.where(random.random(n) < 0.8, near, anywhere)[wrong]
    logits_NK = random.normal(0, 1, (n, k))
    logits_NK[np.arange(n), labels_N] += 5
    logits_NK[np.arange(n), said_N] += random.uniform(6, 11, n)
    return logits_NK, labels_N


def champion_says(test: pd.DataFrame, size: Size = FULL) -> pd.Series:
    """image_id -> class id: this model's answer, but right for some of its mistakes, and wrong for as many others."""
    changed = round(CHANGED * size.images)
    label = test["label"].to_numpy(int)
    said = test["predicted"].to_numpy(int)
    wrong = np.flatnonzero(label != said)[:changed]
    right = np.flatnonzero(label == said)[:changed]
    said[wrong] = label[wrong]
    said[right] = (label[right] + 1) % size.classes
    return pd.Series([class_id(int(k)) for k in said], index=test["image_id"].to_numpy(object))


def class_id(label: int) -> str:
    """As a wnid, which nobody reads."""
    return f"n{label:08d}"


def class_name(label: int) -> str:
    """A word per class."""
    return "".join(SYLLABLES[(label // 10**place) % 10] for place in (2, 1, 0))


def write_line(
    folder: Path, logits_NK: FloatsNK, labels_N: IntsN, size: Size = FULL
) -> dict[str, Path]:
    """The artifacts that a report is made from: role -> path."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    ids = [f"s/val/{class_id(label)}/{i:08d}.JPEG" for i, label in enumerate(labels_N.tolist())]
    table = predictions(ids, "test", log_p_NK=log_softmax(logits_NK), labels_N=labels_N)
    PREDICTIONS.write(table, files_of(folder)["predictions"])
    doubted = random.random(size.images) < 0.02
    given = [class_id(label) for label in labels_N.tolist()]
    said = [class_id(int(label)) for label in table["predicted"]]
    suggested = [a if doubt else b for a, b, doubt in zip(said, given, doubted, strict=True)]
    sha256 = [hashlib.sha256(image_id.encode()).hexdigest() for image_id in ids]
    common = {"image_id": ids, "source": "s", "sha256": sha256, "label_received": given}
    manifest = {
        **common,
        "class_id": given,
        "label_source": "received",
        "n_votes": 0,
        "label_issue": np.where(doubted, "review", "none"),
        "label_suggested": suggested,
        "p_suggested": 0.9,
        "group_id": ids,
        "split": "test",
        "decision": "keep",
        "decided_by": "rule",
        "flags": [[]] * size.images,
    }
    photographs = [
        path.read_bytes() for path in make_photographs(FOLDER, count=size.photographs, images=None)
    ]
    starts = np.cumsum([0, *map(len, photographs)])
    which = random.integers(0, len(photographs), size.images)
    files = files_of(folder)
    files["shards"].mkdir()
    (files["shards"] / "a.bin").write_bytes(b"".join(photographs))
    members = {
        **common,
        "container": "a.bin",
        "offset_bytes": starts[which],
        "size_bytes": np.diff(starts)[which],
    }
    MEMBERS.write(filled(MEMBERS, members), files["members"])
    MANIFEST.write(
        filled(MANIFEST, {**manifest, "size_bytes": np.diff(starts)[which]}), files["manifest"]
    )
    seen = {"image_id": ids, "shard": "a", "row_in_shard": np.arange(size.images)}
    VOTES.write(VOTES.empty(), files["votes"])
    IMAGES.write(filled(IMAGES, seen), files["images"])
    at = np.flatnonzero(doubted)
    review = {
        "kind": "label_issue",
        "rank": np.arange(1, len(at) + 1),
        "image_id": [ids[i] for i in at],
        "sha256": [sha256[i] for i in at],
        "given": [given[i] for i in at],
        "suggested": [suggested[i] for i in at],
        "score": 0.9,
        "note": "made up",
    }
    REVIEW.write(filled(REVIEW, review), files["review"])
    write_explanations(files, table, given=ids)
    write_shifted(files, table, size)
    write_small_files(files, logits_NK, labels_N, size)
    return files


def write_explanations(files: dict[str, Path], table: pd.DataFrame, *, given: list[str]) -> None:
    """Of the most confident mistakes, in 7 x 7 cells, as `evaluate` does by default."""
    wrong = table[~table["correct"]].sort_values("p_predicted").tail(24)
    maps = np.random.default_rng(2).dirichlet(np.ones(49), 2 * len(wrong)).astype(np.float32)
    columns = {
        "image_id": wrong["image_id"].to_list(),
        "place": range(len(wrong)),
        "layer": "bn2",
        "height": 7,
        "width": 7,
        "for_answer": list(maps[::2]),
        "for_label": list(maps[1::2]),
        "rank_correlation": 0.1,
        "nearest": [given[n : n + 5] for n in range(len(wrong))],
        "likeness": [[0.9] * 5] * len(wrong),
    }
    EXPLANATIONS.write(filled(EXPLANATIONS, columns), files["explanations"])
    files["export"].mkdir()
    about = ModelFile.model_validate(
        {"network": "made up", "classes": [], "names": [], "side_px": 224, "mean": [0, 0, 0]}
        | {"std": [1, 1, 1], "pixels": {}, "recipe": {}, "epoch": 1, "parent": None, "format": 1}
    )
    about.write(files["export"])


def files_of(folder: Path) -> dict[str, Path]:
    """role -> path."""
    tables = (PREDICTIONS, EXPLANATIONS, MANIFEST, REVIEW, MEMBERS, IMAGES, SHIFTED, VOTES)
    text = {"classes": "csv", "per_class": "csv", "curves": "csv", "annotators": "csv"}
    text |= {"balance": "csv", "metrics": "json", "validation": "json", "profile": "json"}
    text |= {"curation": "json", "operating_points": "csv", "selective": "csv"}
    text |= {"reliability": "csv", "reliability_uncalibrated": "csv", "shift": "csv"}
    return {
        **{table.name: folder / f"{table.name}.parquet" for table in tables},
        **{role: folder / f"{role}.{ending}" for role, ending in text.items()},
        **{role: folder / role for role in ("shards", "betons", "export")},
    }


def write_shifted(files: dict[str, Path], table: pd.DataFrame, size: Size) -> None:
    """Some images in each corruption, of which more and more are wrong."""
    random = np.random.default_rng(3)
    some = table.iloc[: size.corrupted]
    every = []
    for kind in KINDS:
        for strength in STRENGTHS:
            lost = random.random(len(some)) < 0.1 * strength
            answers = some[["image_id", "label", "predicted", "p_predicted"]].assign(
                test_set=corrupted_set(kind, strength), correct=some["correct"] & ~lost
            )
            other = (answers["label"] + 1) % size.classes
            answers["predicted"] = answers["predicted"].mask(some["correct"] & lost, other)
            every.append(answers)
    shifted = pd.concat(every, ignore_index=True)
    SHIFTED.write(shifted, files["shifted"])
    shift_figures(shifted, table, {}).to_csv(files["shift"], index=False)


def write_small_files(
    files: dict[str, Path], logits_NK: FloatsNK, labels_N: IntsN, size: Size
) -> None:
    """Classes, metrics and the like."""
    ids = [class_id(k) for k in range(size.classes)]
    names = [class_name(k) for k in range(size.classes)]
    classes = pd.DataFrame({"label": range(size.classes), "class_id": ids, "name": names})
    classes.assign(n_train=1000, n_val=0, n_test=size.images // size.classes).to_csv(
        files["classes"], index=False
    )
    p_NK = np.exp(log_softmax(logits_NK))
    found = summarise(p_NK, labels_N, rounds=10, seed=0)
    found.per_class.assign(**{"class": ids}).to_csv(files["per_class"], index=False)
    before = {name + UNCALIBRATED: value for name, value in found.figures.items()}
    metrics = {"test": {**found.figures, **before}, "temperature": 1.0}
    files["metrics"].write_text(json.dumps(metrics), encoding="utf-8")
    points = operating_points(found.curves, p_NK, labels_N, class_ids=ids)
    points.to_csv(files["operating_points"], index=False)
    for role in ("reliability", "reliability_uncalibrated"):
        reliability(found.certainty).to_csv(files[role], index=False)
    selective_curve(found.certainty).to_csv(files["selective"], index=False)
    files["validation"].write_text("{}", encoding="utf-8")
    files["profile"].write_text("{}", encoding="utf-8")
    files["curation"].write_text("{}", encoding="utf-8")
    files["curves"].write_text(
        "epoch,train_loss,val_loss,val_top1\n1,5,4,0.3\n2,3,2,0.7\n", encoding="utf-8"
    )
    files["annotators"].write_text("annotator,n_votes,accuracy\n", encoding="utf-8")
    files["balance"].write_text("class_id,split,decision,reason,n\n", encoding="utf-8")
    files["betons"].mkdir()
    rules = PixelRules().model_dump(mode="json")
    (files["betons"] / "pixels.json").write_text(
        json.dumps({"pixel_rules": rules}), encoding="utf-8"
    )


def filled(table: Table, columns: dict[str, Any]) -> pd.DataFrame:
    """A frame of the table, with empty cells in the columns that are not given."""
    frame = pd.DataFrame(columns)
    absent = {one.name: None for one in table.columns if one.name not in frame}
    return frame.assign(**absent)
