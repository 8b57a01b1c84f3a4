"""Votes of real people on CIFAR-10: aggregation, soft labels, and when to stop asking.

    python -m benchmarks.curation.cifar10_votes FOLDER [--seeds 5]

FOLDER holds train_votes.csv.gz (CIFAR-10N, Wei et al. 2022: three people on each training image, without their
names) and test_vote_counts.csv.gz (CIFAR-10H, Peterson et al. 2019: some fifty people on each test image); their
licences forbid commerce, so they are no part of this repository. The published labels count as the truth. Soft labels:
three or five of the fifty votes are drawn and aggregated; what they say is compared with the shares of all the others.
Stopping: a thousand images keep all their votes and teach the rule; every other image is asked for one vote after
another, in random order, until its class's table is sure enough. Writes benchmarks/results/cifar10_votes.json.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.curation.votes import one_coin
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.curate.active_learning import StoppingRule, learn_stopping
from pipeline_lib.curate.votes import aggregate, krippendorff_alpha, majority

MOST_ASKED, N_CALIBRATION = 10, 1000
LEAST = 1e-3  # a class nobody named still has this much, for the cross entropy


def train_rows(folder: Path) -> list[Row]:
    """Three anonymous votes on 50,000 images: majority against ours, and agreement."""
    table = pd.read_csv(folder / "train_votes.csv.gz", dtype=str)
    votes = table.drop(columns="label").melt(
        "member", [f"vote_{n}" for n in (1, 2, 3)], "annotator", "label"
    )
    votes = votes.rename(columns={"member": "image_id"})
    truth = table.set_index("member")["label"]
    labels = aggregate(votes, 10).labels
    sure = labels["posterior"] >= 0.9
    right = labels["label"] == truth.reindex(labels.index)
    case = "CIFAR-10N, 3 votes on each of 50,000"
    return [
        row(
            case,
            "single votes right",
            "share",
            [float((votes["label"] == votes["image_id"].map(truth)).mean())],
        ),
        row(
            case,
            "published aggregate right",
            "share",
            [float((table["aggregate"] == table["label"]).mean())],
        ),
        row(
            case, "majority right", "share", [float((majority(votes) == truth.sort_index()).mean())]
        ),
        row(
            case,
            "one-coin right",
            "share",
            [float((one_coin(votes, 10) == truth.reindex(labels.index)).mean())],
        ),
        row(case, "ours right", "share", [float(right.mean())]),
        row(case, "right where the posterior is .9 or more", "share", [float(right[sure].mean())]),
        row(case, "posterior .9 or more", "share of images", [float(sure.mean())]),
        row(case, "Krippendorff's alpha", "alpha", [krippendorff_alpha(votes)]),
    ]


class Fifty:
    """All votes on the test images: order_NV, their classes in a random order, -1 where there are no more."""

    def __init__(self, folder: Path, seed: int) -> None:
        table = pd.read_csv(folder / "test_vote_counts.csv.gz")
        self.classes = np.array(table.columns[3:])
        self.names = table["member"].to_numpy(dtype=str)
        self.truth_N = np.searchsorted(self.classes, table["label"].to_numpy(dtype=str))
        self.counts_NK = table[list(self.classes)].to_numpy()
        rng = np.random.default_rng(seed)
        self.order_NV = np.full((len(table), self.counts_NK.sum(axis=1).max()), -1)
        for n, counts in enumerate(self.counts_NK):
            self.order_NV[n, : counts.sum()] = rng.permutation(
                np.repeat(np.arange(len(counts)), counts)
            )

    def votes(self, images: NDArray[np.int64], most: int) -> pd.DataFrame:
        """The first votes of some images, as the votes table has them; annotators are mere positions."""
        part = self.order_NV[images, :most]
        at, position = np.nonzero(part >= 0)
        columns = {"image_id": self.names[images[at]], "annotator": position.astype(str)}
        return pd.DataFrame({**columns, "label": self.classes[part[at, position]]}).astype("str")


def soft_rows(folder: Path, seeds: int) -> list[Row]:
    """How near the soft labels of a few votes are to the shares of all other people's."""
    rows = []
    for n_votes in (3, 5):
        found: dict[str, list[tuple[float, float]]] = {}
        for seed in range(seeds):
            crowd = Fifty(folder, seed)
            few = np.eye(10)[crowd.order_NV[:, :n_votes]].sum(axis=1)
            others = crowd.counts_NK - few
            target = others / others.sum(axis=1, keepdims=True)
            beliefs = {
                "soft labels": _soft(crowd, n_votes),
                "shares of the same votes": few / n_votes,
                "their majority": np.eye(10)[few.argmax(axis=1)],
                "the published label": np.eye(10)[crowd.truth_N],
            }
            for name, belief in beliefs.items():
                found.setdefault(name, []).append(_distances(target, belief))
        case = f"CIFAR-10H, {n_votes} votes against all others'"
        for name, pairs in found.items():
            rows.append(row(case, f"cross entropy, {name}", "nats", [pair[0] for pair in pairs]))
            rows.append(row(case, f"total variation, {name}", "0..1", [pair[1] for pair in pairs]))
    return rows


def _soft(crowd: Fifty, n_votes: int) -> NDArray[np.float64]:
    """The posteriors as a matrix; the classes nobody named share the rest."""
    soft = aggregate(crowd.votes(np.arange(len(crowd.names)), n_votes), 10).soft
    table = soft.pivot_table("probability", "image_id", "class_id")
    named = table.reindex(index=crowd.names, columns=crowd.classes).to_numpy()
    rest = 1 - np.nansum(named, axis=1)
    each = rest / np.maximum(np.isnan(named).sum(axis=1), 1)
    return np.where(np.isnan(named), each[:, None], named)


def _distances(target: NDArray[np.float64], belief: NDArray[np.float64]) -> tuple[float, float]:
    floored = np.maximum(belief, LEAST)
    floored = floored / floored.sum(axis=1, keepdims=True)
    cross_entropy = -(target * np.log(floored)).sum(axis=1).mean()
    return float(cross_entropy), float(0.5 * np.abs(target - belief).sum(axis=1).mean())


def stopping_rows(folder: Path, seeds: int) -> list[Row]:
    """Votes spent and labels right: the learnt rule at some thresholds, against a fixed number for every image."""
    found: dict[str, list[tuple[float, float]]] = {}
    for seed in range(seeds):
        crowd = Fifty(folder, seed)
        order = np.random.default_rng(seed).permutation(len(crowd.names))
        teaching, asked = order[:N_CALIBRATION], order[N_CALIBRATION:]
        votes = crowd.votes(teaching, crowd.order_NV.shape[1])
        rule = learn_stopping(
            votes, aggregate(votes, 10).labels["label"], calibration_votes=MOST_ASKED
        )
        for n in (1, 2, 3, 5, MOST_ASKED):
            leading = np.eye(10)[crowd.order_NV[asked, :n]].sum(axis=1).argmax(axis=1)
            found.setdefault(f"{n} votes each", []).append(
                (n, (leading == crowd.truth_N[asked]).mean())
            )
        for threshold in (0.9, 0.95, 0.98):
            spent, label = _ask(crowd, asked, rule, threshold)
            right = float((label == crowd.truth_N[asked]).mean())
            found.setdefault(f"until {threshold}", []).append((float(spent.mean()), right))
    rows = []
    for name, pairs in found.items():
        rows.append(
            row(
                f"CIFAR-10H, stopping: {name}",
                "votes per image",
                "votes",
                [pair[0] for pair in pairs],
            )
        )
        rows.append(
            row(
                f"CIFAR-10H, stopping: {name}", "labels right", "share", [pair[1] for pair in pairs]
            )
        )
    return rows


def _ask(
    crowd: Fifty, asked: NDArray[np.int64], rule: StoppingRule, threshold: float
) -> tuple[NDArray[np.int64], ...]:
    """Ask until the rule is satisfied, MOST_ASKED times at most: votes spent and label of each image."""
    spent, label = np.full(len(asked), MOST_ASKED), np.zeros(len(asked), np.int64)
    running = np.ones(len(asked), dtype=bool)
    for n in range(1, MOST_ASKED + 1):
        tally = np.eye(10)[crowd.order_NV[asked, :n]].sum(axis=1)
        leading = tally.argmax(axis=1)
        columns = {
            "label": crowd.classes[leading],
            "n_for": tally.max(axis=1).astype(int),
            "n_votes": n,
        }
        sure = (rule.confidence(pd.DataFrame(columns)) >= threshold).to_numpy()
        label[running] = leading[running]
        stops = running & sure
        spent[stops], running = n, running & ~sure
    return spent, label


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.curation.cifar10_votes", description=__doc__
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    options = parser.parse_args()
    if not (options.folder / "train_votes.csv.gz").is_file():
        sys.exit(
            f"{options.folder}: holds no train_votes.csv.gz. Remedy: name the folder of CIFAR-10N's and -10H's votes"
        )
    rows = [*train_rows(options.folder), *soft_rows(options.folder, options.seeds)]
    rows += stopping_rows(options.folder, options.seeds)
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:.4f} {one.unit}", flush=True)
    print(f"wrote {write_results('cifar10_votes', rows)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
