"""The report of 1,000 classes and 50,000 test images: figures, pages, images; CPU seconds and sizes.

    python -m benchmarks.whole.report_scale [--folder build/report_scale]

The evaluation is made up: top-1 is 77 %, four mistakes in five go to one of ten neighbours of the class, curation doubts
one label in fifty, a champion differs on 6 % of the images. The images are real photographs (benchmarks/support/
photographs.py), each used under several names, as a thumbnail is made for each name anew. `figures` are those of
`evaluate` on the test split; beside them stand the same figures by sorting all classes of each image, as releases up to
0.2 did. Writes benchmarks/results/report_scale.json, and leaves the report to look at.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.support.photographs import FOLDER, make_photographs
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.evaluate.calibration import reliability
from pipeline_lib.evaluate.predictions import log_softmax, predictions
from pipeline_lib.evaluate.ranking import operating_points
from pipeline_lib.evaluate.selective import selective_curve
from pipeline_lib.evaluate.summary import summarise
from pipeline_lib.lineage import Lineage
from pipeline_lib.networks.model_file import ModelFile
from pipeline_lib.pixels import PixelRules
from pipeline_lib.registry import Comparison, Rule, Verdict
from pipeline_lib.report import Before, Run, gather, write_report
from pipeline_lib.tables.explanations import EXPLANATIONS
from pipeline_lib.tables.figures import UNCALIBRATED
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.review import REVIEW
from pipeline_lib.tables.table import Table

N, K, NEIGHBOURS, PHOTOGRAPHS = 50_000, 1_000, 10, 1_000
ROOT = Path(__file__).parents[2]
SYLLABLES = ("bar", "cro", "del", "fin", "gus", "hol", "jen", "kil", "lom", "mar")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.whole.report_scale", description=__doc__
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build/report_scale")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    logits_NK, labels_N = made_logits()
    rows = figures(logits_NK, labels_N)
    files = write_line(options.folder / "line", logits_NK, labels_N)
    rows += report(options.folder, files)
    for one in rows:
        print(f"{one.case}, {one.metric}: {one.median:.3g} {one.unit}")
    print(f"wrote {write_results('report_scale', rows, also=('jinja2',))}")


def made_logits() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """logits [N, K] and labels [N]."""
    random = np.random.default_rng(0)
    labels_N = np.arange(N) % K
    said_N = labels_N.copy()
    wrong = random.random(N) < 0.24
    near = (labels_N + random.integers(1, NEIGHBOURS + 1, N)) % K
    anywhere = random.integers(0, K, N)
    said_N[wrong] = np.where(random.random(N) < 0.8, near, anywhere)[wrong]
    logits_NK = random.normal(0, 1, (N, K))
    logits_NK[np.arange(N), labels_N] += 5
    logits_NK[np.arange(N), said_N] += random.uniform(6, 11, N)
    return logits_NK, labels_N


def figures(logits_NK: np.ndarray[Any, Any], labels_N: np.ndarray[Any, Any]) -> list[Row]:
    """What `evaluate` computes of a split, and the same by sorting all classes."""
    ids = [f"s/{i}" for i in range(N)]

    def now() -> None:
        log_p_NK = log_softmax(logits_NK)
        predictions(ids, "test", log_p_NK=log_p_NK, labels_N=labels_N)
        summarise(np.exp(log_p_NK, out=log_p_NK), labels_N, rounds=1000, seed=0)

    def by_sorting() -> None:
        shifted_NK = logits_NK - logits_NK.max(axis=1, keepdims=True)
        log_p_NK = shifted_NK - np.log(np.exp(shifted_NK).sum(axis=1, keepdims=True))
        summarise(np.exp(log_p_NK), labels_N, rounds=1000, seed=0)
        p_NK = np.exp(log_p_NK)
        for values_NK in (p_NK, log_p_NK):  # for top-5, and for the table of predictions
            np.argsort(-values_NK, axis=1, kind="stable")

    both: list[tuple[str, Callable[[], None]]] = [
        ("figures", now),
        ("figures, classes of each image sorted", by_sorting),
    ]
    return [
        row(case, "CPU", "s", [cpu_seconds(work) for _ in range(3 if work is now else 1)])
        for case, work in both
    ]


def cpu_seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process, all threads."""
    start = time.process_time()
    work()
    return time.process_time() - start


def report(folder: Path, files: dict[str, Path]) -> list[Row]:
    """Gather and write the report twice: alone, and beside one whose images it shares."""
    said = champion_says(PREDICTIONS.read(files["predictions"], ["image_id", "label", "predicted"]))
    comparison = Comparison(1, N, 1500, 1500, 0.76, 0.76, 0.0, -0.004, 0.004, 0.01)
    rule = Rule("as good as the champion", True, "made up")
    run = Run(
        "thousand",
        2,
        "f" * 64,
        Verdict("promote", "Promoted to champion: made up.", (rule,), comparison),
        Lineage("2", "thousand version 2", ()),
        {},
        champion=Before(1, said, frozenset(map(class_id, range(K)))),
    )
    rows = []
    content = None
    seconds = []
    for _ in range(3):
        start = time.process_time()
        content = gather(run, files)
        seconds.append(time.process_time() - start)
    rows.append(row("report", "CPU to gather", "s", seconds))
    assert content is not None
    reports = folder / "reports"
    for case, name in (("report", "one"), ("report beside the one before", "two")):
        target = reports / name
        target.mkdir(parents=True)
        seconds = [
            cpu_seconds(
                lambda target=target: write_report(
                    content, target, files=files, reports=reports, workers=1
                )
            )
        ]
        rows.append(row(case, "CPU to write", "s", seconds))
        rows += sizes(case, target)
    return rows


def champion_says(test: pd.DataFrame) -> pd.Series:
    """image_id -> class id: this model's answer, but the truth for 1,500 of its mistakes and a mistake for 1,500 others."""
    label = test["label"].to_numpy(int)
    said = test["predicted"].to_numpy(int)
    wrong = np.flatnonzero(label != said)[:1500]
    right = np.flatnonzero(label == said)[:1500]
    said[wrong] = label[wrong]
    said[right] = (label[right] + 1) % K
    return pd.Series([class_id(int(k)) for k in said], index=test["image_id"].to_numpy(object))


def sizes(case: str, folder: Path) -> list[Row]:
    """Bytes of a report's parts; `own`: those that no other report has."""
    of_file = {one: one.stat() for one in folder.rglob("*") if one.is_file()}
    images = [one.st_size for file, one in of_file.items() if file.suffix == ".webp"]
    pages = [one.st_size for file, one in of_file.items() if file.parent.name == "pages"]
    everything = sum(one.st_size for one in of_file.values())
    own = sum(one.st_size for one in of_file.values() if one.st_nlink == 1)
    return [
        row(case, "first page", "kB", [(folder / "report.html").stat().st_size / 1e3]),
        row(case, "pages", "files", [len(pages)]),
        row(case, "pages, all", "MB", [sum(pages) / 1e6]),
        row(case, "largest page", "kB", [max(pages) / 1e3]),
        row(case, "images", "files", [len(images)]),
        row(case, "images, all", "MB", [sum(images) / 1e6]),
        row(case, "all", "MB", [everything / 1e6]),
        row(case, "not shared", "MB", [own / 1e6]),
    ]


def class_id(label: int) -> str:
    """As a wnid, which nobody reads."""
    return f"n{label:08d}"


def class_name(label: int) -> str:
    """A word per class."""
    return "".join(SYLLABLES[(label // 10**place) % 10] for place in (2, 1, 0))


def write_line(
    folder: Path, logits_NK: np.ndarray[Any, Any], labels_N: np.ndarray[Any, Any]
) -> dict[str, Path]:
    """The artifacts that a report is made from: role -> path."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    ids = [f"s/val/{class_id(label)}/{i:08d}.JPEG" for i, label in enumerate(labels_N.tolist())]
    table = predictions(ids, "test", log_p_NK=log_softmax(logits_NK), labels_N=labels_N)
    PREDICTIONS.write(table, files_of(folder)["predictions"])
    doubted = random.random(N) < 0.02
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
        "flags": [[]] * N,
    }
    photographs = [
        path.read_bytes() for path in make_photographs(FOLDER, count=PHOTOGRAPHS, images=None)
    ]
    starts = np.cumsum([0, *map(len, photographs)])
    which = random.integers(0, len(photographs), N)
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
    seen = {"image_id": ids, "shard": "a", "row_in_shard": np.arange(N)}
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
    write_small_files(files, logits_NK, labels_N)
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
    parquet = ("predictions", "explanations", "manifest", "review", "members", "images")
    text = {"classes": "csv", "per_class": "csv", "curves": "csv", "annotators": "csv"}
    text |= {"balance": "csv", "metrics": "json", "validation": "json", "profile": "json"}
    text |= {"curation": "json", "operating_points": "csv", "selective": "csv"}
    text |= {"reliability": "csv", "reliability_uncalibrated": "csv"}
    return {
        **{role: folder / f"{role}.parquet" for role in parquet},
        **{role: folder / f"{role}.{ending}" for role, ending in text.items()},
        **{role: folder / role for role in ("shards", "betons", "export")},
    }


def write_small_files(
    files: dict[str, Path], logits_NK: np.ndarray[Any, Any], labels_N: np.ndarray[Any, Any]
) -> None:
    """Classes, metrics and the like."""
    ids = [class_id(k) for k in range(K)]
    names = [class_name(k) for k in range(K)]
    classes = pd.DataFrame({"label": range(K), "class_id": ids, "name": names})
    classes.assign(n_train=1000, n_val=0, n_test=N // K).to_csv(files["classes"], index=False)
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


if __name__ == "__main__":
    main()
