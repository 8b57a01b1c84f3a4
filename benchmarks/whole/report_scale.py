"""The report of 1,000 classes and 50,000 test images: figures, pages, images; CPU seconds and sizes.

    python -m benchmarks.whole.report_scale [--folder build/report_scale]

The evaluation is made up (benchmarks/support/made_line.py), with 1,000 images in each corruption, groups by what params.yaml
groups by, and a champion. `figures` are those of `evaluate` on the test split; beside them stand the same figures by sorting
all classes of each image, as releases up to 0.2 did. Writes benchmarks/results/report_scale.json, and leaves the report to
look at.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.support.made_line import (
    CHANGED,
    FULL,
    FloatsNK,
    IntsN,
    Size,
    champion_says,
    class_id,
    made_logits,
    write_line,
)
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.evaluate.predictions import log_softmax, predictions
from pipeline_lib.evaluate.summary import summarise
from pipeline_lib.lineage import Lineage
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Comparison, Rule, Verdict
from pipeline_lib.report import Before, Run, gather, write_report
from pipeline_lib.slices.columns import Wanted
from pipeline_lib.tables.predictions import PREDICTIONS

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.whole.report_scale", description=__doc__
    )
    parser.add_argument("--folder", type=Path, default=ROOT / "build/report_scale")
    options = parser.parse_args()
    shutil.rmtree(options.folder, ignore_errors=True)
    rows = measure(options.folder, FULL)
    for one in rows:
        print(f"{one.case}, {one.metric}: {one.median:.3g} {one.unit}")
    print(f"wrote {write_results('report_scale', rows, also=('jinja2',))}")


def measure(folder: Path, size: Size) -> list[Row]:
    """Make the line, its figures and its report."""
    logits_NK, labels_N = made_logits(size)
    rows = figures(logits_NK, labels_N)
    files = write_line(folder / "line", logits_NK, labels_N, size)
    return rows + report(folder, files, size)


def figures(logits_NK: FloatsNK, labels_N: IntsN) -> list[Row]:
    """What `evaluate` computes of a split, and the same by sorting all classes."""
    ids = [f"s/{i}" for i in range(len(labels_N))]

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


def report(folder: Path, files: dict[str, Path], size: Size) -> list[Row]:
    """Gather and write the report twice: alone, and beside one whose images it shares."""
    test = PREDICTIONS.read(files["predictions"], ["image_id", "label", "predicted"])
    said = champion_says(test, size)
    changed = round(CHANGED * size.images)
    comparison = Comparison(1, size.images, changed, changed, 0.76, 0.76, 0.0, -0.004, 0.004, 0.01)
    rule = Rule("as good as the champion", True, "made up")
    run = Run(
        "thousand",
        2,
        "f" * 64,
        Verdict("promote", "Promoted to champion: made up.", (rule,), comparison),
        Lineage("2", "thousand version 2", ()),
        {},
        champion=Before(1, said, frozenset(map(class_id, range(size.classes)))),
        slices=Wanted(RegisterParams().slices, folder),
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
        write = partial(write_report, content, target, files=files, reports=reports, workers=1)
        rows.append(row(case, "CPU to write", "s", [cpu_seconds(write)]))
        rows += sizes(case, target)
    return rows


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


if __name__ == "__main__":
    main()
