"""CIFAR-10 trained on one core, and what curation wins where people labelled it badly.

    python -m benchmarks.training.cifar10_training FOLDER [--only cifar_speed quick curation] [--line LINE] [--seeds 3]

FOLDER holds cifar10.tar and train_votes.csv.gz (CIFAR-10N, Wei et al. 2022: the votes of three people on each training
image; its licence forbids commerce, so it is no part of this repository). The stages up to `convert` make betons of
it in a throw-away checkout; --line names one that did already. Every training is the real stage on one thread, and is
tested on all 10,000 test images with their published labels.

cifar_speed, quick: trained on what `curate` selects of the training images, some ten minutes of one core each.
curation: LeNet on N_IMAGES training images whose label received is CIFAR-10N's `worst`, wrong where one of
three people was wrong (40 %); validation has such labels too. Ways: as given (by default `curate` leaves no doubted
label out here, its predictors know too little); without what it doubts, the guards (UNGUARDED) taken off;
and with the posterior of the three people's votes in place of `worst`, which is one of them. A seed is another draw of
images and another seed of training; all ways have the same, and as many steps. Copies are left out everywhere. Writes
benchmarks/results/cifar10_training.json; `--only` keeps the rows of the other cases.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the stage harness does

import pandas as pd

from benchmarks.support.beton_line import BetonLine
from benchmarks.support.results_file import Row, kept_rows, row, write_results
from benchmarks.training.cifar10 import STAGES, run_stage
from pipeline_lib.curate.decide import curate
from pipeline_lib.curate.inputs import Inputs, read_inputs
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.selection import SELECTION
from pipeline_lib.tables.votes import VOTES
from testing.checkout import throw_away_checkout

RECIPES: dict[str, dict[str, Any]] = {
    "cifar_speed": {"recipe": "cifar_speed", "epochs": 1, "batch_size": 250},
    "quick": {"recipe": "quick", "flip": True, "epochs": 8},
}
CASES = (*RECIPES, "curation")
N_IMAGES = 10_000
NO_LIMITS = {
    "max_quarantine_rate": 1.0,
    "max_label_issue_rate": 1.0,
}  # what would stop a line that people watch
UNGUARDED = {"cl_auto_min_accuracy": 0.0, "cl_min_accuracy": 0.0}
STUDENT = {"network": "lenet", "flip": True, "batch_size": 64}
EPOCHS = 8  # of the labels as given; fewer images are seen more often, in as many steps
GIVEN = "labels as given"
DOUBTED = {
    "doubted labels left out, cl_doubt 0.5": 0.5,
    "doubted labels left out, cl_doubt 0.3": 0.3,
}
VOTES_LEARNT = "three people's votes learnt"
WAYS = (GIVEN, *DOUBTED, VOTES_LEARNT)
TOP1 = "top-1 on test"
AGREE = "predictors out of fold agree with the label"
UNITS = {
    TOP1: "%",
    "training labels right": "%",
    "training images": "images",
    "training CPU": "min",
    AGREE: "%",
}


@dataclass(frozen=True)
class Cifar:
    """line: trains on the betons. folder: of the checkout. votes: the table of CIFAR-10N. test: all test images."""

    line: BetonLine
    folder: Path
    votes: pd.DataFrame
    test: pd.DataFrame


def open_cifar(source: Path, checkout: Path, scratch: Path) -> Cifar:
    """The line's betons, made where they are not there yet."""
    if not (checkout / "line/convert/betons").is_dir():
        made = throw_away_checkout(checkout)
        made.python("flows.cli", "init", str((source / "cifar10.tar").resolve()))
        for stage in STAGES:
            run_stage(made, stage)
    members = MEMBERS.read(checkout / "line/download/members.parquet")
    test = members[members["split_received"] == "test"].rename(
        columns={"label_received": "class_id"}
    )
    votes = pd.read_csv(source / "train_votes.csv.gz", dtype=str)
    votes["image_id"] = "pictures/" + votes["member"]  # the name that `init` gives a source
    line = BetonLine(scratch, checkout / "line/convert/betons")
    return Cifar(line, checkout, votes, test[["image_id", "class_id"]])


def arguments(module: str, about: str | None) -> argparse.ArgumentParser:
    """The command line of a benchmark on this line."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.training.{module}", description=about
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--line", type=Path, help="a checkout that ran up to convert; made where it is absent"
    )
    return parser


@contextmanager
def opened(options: argparse.Namespace) -> Iterator[Cifar]:
    """What `arguments` names, for as long as the block lasts. Raises SystemExit where CIFAR-10 is not."""
    if not (options.folder / "cifar10.tar").is_file():
        sys.exit(
            f"{options.folder}: holds no cifar10.tar. Remedy: name the folder of CIFAR-10 and its votes"
        )
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as temporary:
        checkout = options.line or Path(temporary) / "checkout"
        yield open_cifar(options.folder, checkout, Path(tempfile.mkdtemp(dir=temporary)))


def recipe_rows(cifar: Cifar, case: str) -> list[Row]:
    """Accuracy and time of one recipe on all that the line selects."""
    train, val = (
        SELECTION.read(cifar.folder / f"line/curate/selection/{split}.parquet").astype(
            {"class_id": "str"}
        )
        for split in ("train", "val")
    )
    cpu = time.process_time()
    weights = cifar.line.train(train, val, seed=0, **RECIPES[case])
    cpu_s = time.process_time() - cpu
    return [
        row(
            case, "top-1 on test", "%", [100 * float(cifar.line.right(weights, cifar.test).mean())]
        ),
        row(case, "epochs", "epochs", [RECIPES[case]["epochs"]]),
        row(case, "training images", "images", [len(train)]),
        row(case, "test images", "images", [len(cifar.test)]),
        row(case, "training CPU", "min", [cpu_s / 60]),
    ]


def curation_rows(cifar: Cifar, seeds: int) -> list[Row]:
    """Accuracy of every way, and what it wins over the labels as given."""
    found = _found(cifar)
    return rows_of([_curation(cifar, found, seed) for seed in range(seeds)])


def rows_of(runs: Sequence[dict[str, dict[str, float]]]) -> list[Row]:
    """Each figure of every way over the draws, and the paired gain."""
    rows = []
    for way in WAYS:
        figures = {metric: [run[way][metric] for run in runs] for metric in runs[0][way]}
        rows += [row(_case(way), metric, unit, figures[metric]) for metric, unit in UNITS.items()]
        if way != GIVEN:
            won = [run[way][TOP1] - run[GIVEN][TOP1] for run in runs]
            rows.append(row(_case(way), "won over the labels as given", "points", won))
    return rows


def _case(way: str) -> str:
    return f"CIFAR-10N worst, {way}"


def _curation(cifar: Cifar, found: Inputs, seed: int) -> dict[str, dict[str, float]]:
    """One draw, all ways."""
    drawn = cifar.votes.sample(N_IMAGES, random_state=seed).set_index("image_id")
    alone = _of(found, drawn["worst"], VOTES.empty())
    asked = _of(found, pd.Series(pd.NA, index=drawn.index, dtype="str"), _as_table(drawn))
    curated = {
        GIVEN: curate(alone, CurateParams(**NO_LIMITS)),
        **{
            way: curate(alone, CurateParams(cl_doubt=doubt, **UNGUARDED, **NO_LIMITS))
            for way, doubt in DOUBTED.items()
        },
        VOTES_LEARNT: curate(asked, CurateParams(learn_votes=True, **NO_LIMITS)),
    }
    measured = {}
    for way, chosen in curated.items():
        train, val = chosen.selection["train"], chosen.selection["val"]
        epochs = round(EPOCHS * len(curated[GIVEN].selection["train"]) / len(train))
        cpu = time.process_time()
        weights = cifar.line.train(
            train, val, soft=chosen.targets, seed=seed, epochs=epochs, **STUDENT
        )
        cpu_min = (time.process_time() - cpu) / 60
        is_right = drawn["label"][train["image_id"]].to_numpy() == train["class_id"].to_numpy()
        top1 = float(cifar.line.right(weights, cifar.test).mean())
        agree = 100 * float(chosen.statistics["label_issues"]["out_of_fold_accuracy"])
        figures = (100 * top1, 100 * float(is_right.mean()), len(train), cpu_min, agree)
        measured[way] = dict(zip(UNITS, figures, strict=True))
        shown = ", ".join(f"{name} {value:.1f}" for name, value in measured[way].items())
        print(f"seed {seed}, {way}: {shown}", flush=True)
    return measured


def _found(cifar: Cifar) -> Inputs:
    """What `curate` reads on this line."""
    line = cifar.folder / "line"
    reads = {
        name: line / f"{stage}/{name}.parquet"
        for name, stage in (("members", "download"), ("images", "inspect"))
    }
    reads |= {"votes": line / "download/votes.parquet", "features": line / "inspect/features"}
    writes = {"manifest": cifar.folder / "line/curate/manifest.parquet"}
    return read_inputs(StageRun(cifar.folder, reads, writes, CurateParams(), cifar.line.settings))


def _of(found: Inputs, received: pd.Series, votes: pd.DataFrame) -> Inputs:
    """A tenth of the test images, and some training images with other labels received: class by image_id."""
    test = found.members["image_id"][found.members["split_received"] == "test"].iloc[::10]
    members = found.members[found.members["image_id"].isin([*test, *received.index])]
    drawn, label = members["image_id"].isin(received.index), members["label_received"]
    label = label.mask(drawn, members["image_id"].map(received))
    tables = {
        name: table[table["image_id"].isin(members["image_id"])].reset_index(drop=True)
        for name, table in (("images", found.images), ("features", found.features))
    }
    return replace(
        found,
        members=members.assign(label_received=label).reset_index(drop=True),
        votes=votes,
        **tables,
    )


def _as_table(drawn: pd.DataFrame) -> pd.DataFrame:
    """The three people's votes, as a source's votes file gives them."""
    columns = [f"vote_{n}" for n in (1, 2, 3)]
    long = drawn.drop(columns="label").reset_index().melt("image_id", columns, "annotator", "label")
    return long.astype("str")


def main() -> int:
    """Command line."""
    parser = arguments("cifar10_training", __doc__)
    parser.add_argument(
        "--only", nargs="+", choices=CASES, default=list(CASES), help="cases (default all)"
    )
    parser.add_argument("--seeds", type=int, default=3, help="of the case curation (default 3)")
    options = parser.parse_args()
    rows: list[Row] = []
    with opened(options) as cifar:
        for case in options.only:
            rows += (
                curation_rows(cifar, options.seeds)
                if case == "curation"
                else recipe_rows(cifar, case)
            )
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:.2f} {one.unit}", flush=True)
    measured = {one.case for one in rows}
    rows += kept_rows("cifar10_training", but=measured)
    order = [*RECIPES, *map(_case, WAYS)]
    print(
        f"wrote {write_results('cifar10_training', sorted(rows, key=lambda one: order.index(one.case)))}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
