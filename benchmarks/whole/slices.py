"""Groups of test images on made-up models: how often a worse group is found, and how often one is claimed in error.

    python -m benchmarks.whole.slices [--nights 1000]

Each night is 2,000 test images of 10 classes whose accuracy runs from 70 to 99 %. Planted: a quarter of the images form a
group on which the model is truly 10, or 5, points worse in every class, among 20 groups without a difference. None: 20 or
100 groups without a difference, drawn at random or `by class`: a group holds mostly images of a few classes, so that
its accuracy differs and the model does no worse on it. Beside the test of the report (within classes, Holm) Fisher's exact
test of group against rest, with Holm and without. Writes benchmarks/results/slices.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.support.results_file import Row, write_results
from pipeline_lib.register.class_losses import holm
from pipeline_lib.slices.columns import Column, Columns, groups_of
from pipeline_lib.slices.measure import SIGNIFICANCE, Finding, measure, share
from pipeline_lib.slices.stratified import exact_test, strata_of

IMAGES, CLASSES = 2_000, 10
ACCURACY_K = np.linspace(0.7, 0.99, CLASSES)
PER_COLUMN = 5  # groups of one column
SHARE = 0.25  # of the images in the planted group
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Night:
    """N answers, and the columns that put the images into groups."""

    label_N: npt.NDArray[np.int64]
    right_N: npt.NDArray[np.bool_]
    columns: dict[str, Texts]


def night(random: np.random.Generator, n_groups: int, *, loss: float, by_class: bool) -> Night:
    """loss: by how much the group `worse` of the column `planted` is truly worse, 0..1; 0: there is none."""
    label_N = random.integers(0, CLASSES, IMAGES)
    p_N = ACCURACY_K[label_N]
    columns = {}
    for number in range(n_groups // PER_COLUMN):
        drawn = random.integers(0, PER_COLUMN, IMAGES)
        of_class = label_N * PER_COLUMN // CLASSES
        group = np.where(random.random(IMAGES) < 0.8, of_class, drawn) if by_class else drawn
        columns[f"column {number}"] = group.astype(str)
    if loss:
        worse_N = random.random(IMAGES) < SHARE
        p_N = p_N - loss * worse_N
        columns["planted"] = np.where(worse_N, "worse", "others")
    return Night(label_N, random.random(IMAGES) < p_N, columns)


def claims_of(one: Night) -> tuple[set[str], set[str]]:
    """The columns with a group that the report calls worse, and those with any claim."""
    answers = pd.DataFrame({"label": one.label_N, "correct": one.right_N})
    columns = [Column(name, name, groups_of(cells.tolist())) for name, cells in one.columns.items()]
    found = measure(answers, Columns(tuple(columns))).standing_out
    worse = {column.name for column, group in found if group.finding == Finding.WORSE}
    return worse, {column.name for column, _ in found}


def claims_of_fisher(one: Night) -> tuple[bool, bool]:
    """Whether Fisher's test of a group against the rest claims any: with Holm, and without."""
    nowhere_N = np.zeros(IMAGES, np.int64)
    p = []
    for cells in one.columns.values():
        for value in np.unique(cells):
            p.append(exact_test(strata_of(nowhere_N, ~one.right_N, cells == value)).p)
    return bool((holm(np.array(p)) <= SIGNIFICANCE).any()), bool(
        (np.array(p) <= SIGNIFICANCE).any()
    )


def of_nights(case: str, metric: str, found: Sequence[bool]) -> Row:
    """Per cent of nights, with the limits of the 95 % interval as least and most."""
    part = share(sum(found), len(found))
    return Row(case, metric, "%", 100 * part.value, 100 * part.low, 100 * part.high, part.n)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whole.slices", description=__doc__)
    parser.add_argument("--nights", type=int, default=1_000, help="of each case (default 1000)")
    nights = parser.parse_args().nights
    random = np.random.default_rng(0)
    rows: list[Row] = []
    for loss in (0.10, 0.05):
        made = [night(random, 20, loss=loss, by_class=False) for _ in range(nights)]
        claims = [claims_of(one) for one in made]
        case = f"a group {100 * loss:.0f} points worse among 20 others"
        rows.append(of_nights(case, "found", ["planted" in worse for worse, _ in claims]))
        others = [bool(named - {"planted"}) for _, named in claims]
        rows.append(of_nights(case, "false claim", others))
    for n_groups in (20, 100):
        for by_class in (False, True):
            made = [night(random, n_groups, loss=0, by_class=by_class) for _ in range(nights)]
            how = "each mostly of a few classes" if by_class else "drawn at random"
            case = f"{n_groups} groups without difference, {how}"
            rows.append(of_nights(case, "false claim", [bool(claims_of(one)[1]) for one in made]))
            plain = [claims_of_fisher(one) for one in made]
            rows.append(of_nights(case, "Fisher with Holm", [corrected for corrected, _ in plain]))
            rows.append(of_nights(case, "Fisher alone", [alone for _, alone in plain]))
    print(f"wrote {write_results('slices', rows, also=['scipy'])}")
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:.1f} ({one.min:.1f} to {one.max:.1f}) %")


if __name__ == "__main__":
    main()
