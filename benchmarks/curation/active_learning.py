"""What labelling in the order of `al_rank` wins over labelling at random.

    python -m benchmarks.curation.active_learning [--seeds 10]

The handwritten digits of scikit-learn with `inspect`'s features: 500 are the test set, 60 are labelled, the rest has no
class. `curate`'s predictors rank the rest; the first n are given their true class, a logistic regression learns from
all labelled ones, and its accuracy on the test set stands beside the same with n drawn at random (mean of five draws),
and with the n most uncertain. Writes benchmarks/results/active_learning.json.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from benchmarks.curation.label_issues import Digits, read_digits
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.label_issues import find_label_issues
from pipeline_lib.curate.params import CurateParams

N_TEST, N_START, STEPS, DRAWS = 500, 60, (40, 80, 160, 320), 5


def accuracy(labelled: pd.Index, test: pd.Index, digits: Digits) -> float:
    """Share of the test set named rightly after learning from `labelled`, 0..1."""
    vectors = digits.features["vector"]
    model = LogisticRegression(max_iter=300).fit(
        np.stack(vectors[labelled]), digits.truth[labelled]
    )
    return float(model.score(np.stack(vectors[test]), digits.truth[test]))


def one_seed(digits: Digits, seed: int) -> dict[tuple[int, str], float]:
    """Accuracy after each number of new labels, by the way they were chosen."""
    rng = np.random.default_rng(seed)
    order = digits.truth.index[rng.permutation(len(digits.truth))]
    test, start, pool = order[:N_TEST], order[N_TEST : N_TEST + N_START], order[N_TEST + N_START :]
    known = digits.truth.where(digits.truth.index.isin(start))[order[N_TEST:]]
    rows = pd.DataFrame({"class_id": known, "fold_group": known.index}, index=known.index)
    frame = find_label_issues(rows, digits.features, CurateParams(label_next=max(STEPS))).frame
    ranked = frame.loc[pool, "al_rank"].dropna().sort_values().index
    unsure = frame.loc[pool, "p_suggested"].sort_values(kind="stable").index
    found = {(0, "nothing more"): accuracy(start, test, digits)}
    for n in STEPS:
        found[n, "by al_rank"] = accuracy(start.append(ranked[:n]), test, digits)
        found[n, "least probable first"] = accuracy(start.append(unsure[:n]), test, digits)
        draws = [
            accuracy(start.append(pool[rng.permutation(len(pool))[:n]]), test, digits)
            for _ in range(DRAWS)
        ]
        found[n, "at random"] = float(np.mean(draws))
        found[n, "al_rank minus random"] = found[n, "by al_rank"] - found[n, "at random"]
    return found


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.active_learning", description=__doc__
    )
    parser.add_argument("--seeds", type=int, default=10)
    digits = read_digits()
    runs = [one_seed(digits, seed) for seed in range(parser.parse_args().seeds)]
    rows: list[Row] = []
    for key in runs[0]:
        values = [run[key] for run in runs]
        print(key, round(float(np.mean(values)), 4), flush=True)
        rows.append(row(f"{N_START} labelled, {key[0]} more", key[1], "share", values))
    print(f"wrote {write_results('active_learning', rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
