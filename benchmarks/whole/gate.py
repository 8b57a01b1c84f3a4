"""The gate on made-up models: how often it errs, before and after November 2026, with the library's own functions.

    python -m benchmarks.whole.gate [--nights 1000]

Each night is a champion and a new model on the same test images: a share of them is in dispute (exactly one of the two
is right, drawn per image), the champion is right on about 95 %. `before` is the gate as it was: Agresti and Min's
interval, classes under 20 images as one, class ids compared as they are spelled. Five parts: one class of ten renamed
between the two; every table of n images, for a model that is worse by exactly the margin; one class gone or half lost
among 10 x 34, 100 x 20 and 1,000 x 10 images, with disputes spread evenly or, `uneven`, by a gamma distribution of
shape 1/2 over the classes; the loss that the gate says these images can show; and what 60 nights of small losses add up
to, with and without the reference (pipeline_lib/register/reference.py). Writes benchmarks/results/gate.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import gammaln

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.paired_change import ONE_SIDED_95, score
from pipeline_lib.register.champion_answers import classes_today
from pipeline_lib.register.class_losses import class_changes, holm, mcnemar_loss
from pipeline_lib.register.gate import Champion, Evaluation, as_good, fight
from pipeline_lib.register.paired import compare, margin, visible_loss
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.reference import near_reference, supersedes
from pipeline_lib.registry import Comparison, Rule

PARAMS = RegisterParams()
RIGHT = 0.95  # the champion's top-1
SIZES = ((10, 34), (100, 20), (1_000, 10))  # classes, test images of each
DISPUTED = (0.02, 0.05, 0.10)
FORMER_SMALL, FORMER_LOSS, FORMER_LEVEL = 20, 0.02, 0.05
NIGHTS = 60
RULES = {
    "former": "before",
    "champion": "against the champion alone",
    "reference": "and the reference",
}
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Night:
    """Right answers of both models on N images, and the images' classes, 0 to K - 1."""

    champion_N: Flags
    challenger_N: Flags
    class_N: npt.NDArray[np.int64]


def night(
    random: np.random.Generator,
    n_classes: int,
    n_each: int,
    *,
    disputed: float,
    loss: float = 0.0,
    uneven: bool = False,
) -> Night:
    """Two models with a share of images in dispute; `loss`: by how much the new one is truly worse."""
    class_N = np.repeat(np.arange(n_classes), n_each)
    share_K = np.full(n_classes, disputed)
    if uneven:
        share_K = np.minimum(disputed * random.gamma(0.5, 2, n_classes), 0.8)
    share_N, drawn = share_K[class_N], random.random(len(class_N))
    lost_N = drawn < (share_N + loss) / 2
    won_N = ~lost_N & (drawn < share_N)
    both_N = random.random(len(class_N)) < RIGHT
    return Night(
        np.where(lost_N, True, np.where(won_N, False, both_N)),
        np.where(lost_N, False, won_N | both_N),
        class_N,
    )


def former_interval(
    b: npt.ArrayLike, c: npt.ArrayLike, n: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Agresti and Min's adjusted Wald interval (Statistics in Medicine 2005, doi 10.1002/sim.1781), one-sided 95 %."""
    b, c = np.asarray(b, float), np.asarray(c, float)
    change = (c - b) / (n + 2)
    error = np.sqrt((b + c + 1) - (c - b) ** 2 / (n + 2)) / (n + 2)
    return change - ONE_SIDED_95 * error, change + ONE_SIDED_95 * error


def former_promotes(one: Night) -> bool:
    """The gate as it was: R1 by the former interval, R2 with small classes together."""
    n = len(one.class_N)
    b, c = (one.champion_N & ~one.challenger_N).sum(), (one.challenger_N & ~one.champion_N).sum()
    low, _ = former_interval(b, c, n)
    return bool(low > -max(0.005, 3 * (0.02 / n) ** 0.5)) and not former_blocks(one)


def former_blocks(one: Night) -> bool:
    """Whether R2, as it was, refused the new model."""
    size_K = np.bincount(one.class_N)
    group_N = np.where(size_K[one.class_N] < FORMER_SMALL, len(size_K), one.class_N)
    size_G = np.bincount(group_N)
    lost_G = np.bincount(group_N, weights=one.champion_N & ~one.challenger_N)[size_G > 0]
    won_G = np.bincount(group_N, weights=one.challenger_N & ~one.champion_N)[size_G > 0]
    significant = holm(mcnemar_loss(lost_G, won_G)) <= FORMER_LEVEL
    return bool((significant & ((lost_G - won_G) / size_G[size_G > 0] >= FORMER_LOSS)).any())


def stops(rules: Sequence[Rule]) -> bool:
    """Whether a rule refuses or holds the new model."""
    return any(rule.passed is not True for rule in rules)


def share(case: str, metric: str, found: float, nights: int) -> Row:
    """How many of the nights, 0..1."""
    return Row(case, metric, "share", *3 * [float(found)], nights)


def renamed_class(nights: int) -> list[Row]:
    """338 images, 10 classes, 9 renamed nine: promoted nights, by what the new model truly loses."""
    rows = []
    for loss in (0.0, 0.05):
        random = np.random.default_rng(1)
        promoted = {"before": 0, "now": 0}
        for _ in range(nights):
            one = night(random, 10, 34, disputed=max(0.02, loss), loss=loss)
            spelled_N = one.class_N.astype(str)
            before = one.champion_N & (spelled_N != "9")
            promoted["before"] += former_promotes(Night(before, one.challenger_N, one.class_N))
            promoted["now"] += not stops(fight(*renamed_evaluation(one), PARAMS).rules)
        case = f"one class of ten renamed, {100 * loss:.0f} points worse"
        rows += [
            share(case, f"promoted {when}", count / nights, nights)
            for when, count in promoted.items()
        ]
    return rows


def renamed_evaluation(one: Night) -> tuple[Evaluation, Champion]:
    """The night as the gate sees it, when the champion still says 9 and today's class is nine."""
    was, now = (
        {str(k): str(k) for k in range(10)},
        {str(k): "nine" if k == 9 else str(k) for k in range(10)},
    )
    ids = [str(position) for position in range(len(one.class_N))]
    old_N = pd.Series(one.class_N.astype(str))
    test = pd.DataFrame({"image_id": ids, "class_id": old_N.map(now)})
    predictions = pd.DataFrame({"image_id": ids, "split": "test", "correct": one.challenger_N})
    said = old_N.where(
        pd.Series(one.champion_N), old_N.map(lambda name: str((int(name) + 1) % 10))
    ).set_axis(ids)
    return Evaluation(predictions, {"test": test}, {}), Champion(
        1, said, classes_today(was, was, now)
    )


def error_at_margin(n: int) -> list[Row]:
    """How often a model that is worse by the margin passes, for shares in dispute up to 40 %: every table of n."""
    allowed = margin(n, PARAMS.smallest_margin)
    b, c = (grid.ravel() for grid in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
    b, c = b[b + c <= n], c[b + c <= n]
    ways = gammaln(n + 1) - gammaln(b + 1) - gammaln(c + 1) - gammaln(n - b - c + 1)
    passes = {
        "before": former_interval(b, c, n)[0] > -allowed,
        "now": score(b, c, n, -allowed) > ONE_SIDED_95,
    }
    errors: dict[str, list[float]] = {"before": [], "now": []}
    for disputed in np.concatenate(
        [np.arange(allowed + 1e-9, 0.1, 0.002), np.arange(0.1, 0.4, 0.02)]
    ):
        p_b, p_c = (disputed + allowed) / 2, (disputed - allowed) / 2
        chance = np.exp(
            ways + b * np.log(p_b) + c * np.log(p_c) + (n - b - c) * np.log1p(-disputed)
        )
        for when, found in passes.items():
            errors[when].append(float(chance[found].sum()))
    return [
        row(f"worse by the margin, {n:,} images", f"promoted {when}", "share", errors[when])
        for when in errors
    ]


def lost_classes(nights: int) -> list[Row]:
    """How often a class stops a model: equal models, one class of K gone, half of one lost."""
    rows = []
    for n_classes, n_each in SIZES:
        n_nights = min(nights, 600_000 // n_classes)
        for disputed in DISPUTED:
            for uneven in (False, True):
                random = np.random.default_rng(2)
                drawn = [
                    night(random, n_classes, n_each, disputed=disputed, uneven=uneven)
                    for _ in range(n_nights)
                ]
                case = f"{n_classes:,} x {n_each}, {100 * disputed:.0f} % in dispute{', uneven' if uneven else ''}"
                for part, name in (
                    (0.0, "equal models"),
                    (1.0, "a class gone"),
                    (0.5, "half a class lost"),
                ):
                    seen = [with_loss(one, part, random) for one in drawn]
                    before = float(np.mean([former_blocks(one) for one in seen]))
                    now = float(np.mean([stopped_by_a_class(one) for one in seen]))
                    rows += [share(case, f"{name}, stopped before", before, n_nights)]
                    rows += [share(case, f"{name}, stopped now", now, n_nights)]
    return rows


def with_loss(one: Night, part: float, random: np.random.Generator) -> Night:
    """The new model loses this part of its right answers on class 0."""
    hit_N = (one.class_N == 0) & (random.random(len(one.class_N)) < part)
    return Night(one.champion_N, one.challenger_N & ~hit_N, one.class_N)


def stopped_by_a_class(one: Night) -> bool:
    """Whether a class refuses or holds the model; for a class with a loss, any class counts."""
    changes = class_changes(
        one.class_N.astype(str).tolist(),
        one.champion_N,
        one.challenger_N,
        significance=PARAMS.class_significance,
        hold_significance=PARAMS.class_hold_significance,
        class_loss=PARAMS.class_loss,
    )
    return any(one.blocks or one.falls for one in changes)


def shown_loss(nights: int) -> list[Row]:
    """The loss of top-1 that the gate says the images can show, and how often a model with it is not promoted."""
    rows = []
    for n, disputed in ((338, 0.04), (2_000, 0.03), (10_000, 0.04)):
        random = np.random.default_rng(3)
        half = np.arange(n) < round(n * disputed / 2)
        said = visible_loss(
            compare(~half, ~half[::-1], champion_version=1, smallest_margin=PARAMS.smallest_margin)
        )
        drawn = [night(random, 1, n, disputed=disputed, loss=said) for _ in range(nights)]
        noticed = [
            as_good(
                compare(
                    one.champion_N,
                    one.challenger_N,
                    champion_version=1,
                    smallest_margin=PARAMS.smallest_margin,
                )
            )
            for one in drawn
        ]
        case = f"{n:,} images, {100 * disputed:.0f} % in dispute"
        rows.append(row(case, "loss said to be shown", "points", [100 * said]))
        unpromoted = float(np.mean([stops([rule]) for rule in noticed]))
        rows.append(share(case, "not promoted with that loss", unpromoted, nights))
    return rows


def sixty_nights(histories: int) -> list[Row]:
    """What is lost after 60 nights, each with a model truly 0.5 points worse than the champion, or equal to it.

    Each night has test images of its own, as where data keep coming. A share of them is hard: a model gets them right
    by the toss of a coin. A model that is worse by L misses any image with the chance that brings its top-1 down by L.
    """
    rows = []
    for n, disputed in ((338, 0.02), (2_000, 0.03), (10_000, 0.04)):
        allowed = 200 * margin(n, PARAMS.smallest_margin)
        for step in (0.005, 0.0):
            for rule, words in RULES.items():
                found = [
                    history(np.random.default_rng(seed), n, disputed, step, rule)
                    for seed in range(histories)
                ]
                losses = sorted(100 * loss for loss, _ in found)
                case = f"{n:,} images, each night {100 * step:.1f} points worse, {words}"
                late = losses[min(int(0.95 * histories), histories - 1)]
                rows.append(row(case, "lost after 60 nights", "points", losses))
                rows.append(row(case, "lost, 95th of 100 histories", "points", [late]))
                rows.append(
                    share(
                        case,
                        "promoted",
                        sum(count for _, count in found) / NIGHTS / histories,
                        histories,
                    )
                )
                rows.append(
                    share(
                        case,
                        "over 2 m",
                        float(np.mean(np.array(losses) > allowed + 1e-9)),
                        histories,
                    )
                )
    return rows


def history(
    random: np.random.Generator, n: int, disputed: float, step: float, rule: str
) -> tuple[float, int]:
    """True loss of the last champion against the first, and how many nights promoted."""
    champion_loss, reference_loss, promoted = 0.0, 0.0, 0
    for _ in range(NIGHTS):
        hard_N = random.random(n) < 2 * disputed
        loss = champion_loss + step
        challenger_N, champion_N = model(random, hard_N, loss), model(random, hard_N, champion_loss)
        reference_N = model(random, hard_N, reference_loss)
        if takes_over(challenger_N, champion_N, reference_N, rule):
            champion_loss, promoted = loss, promoted + 1
            if supersedes(paired(reference_N, challenger_N)):
                reference_loss = loss
    return champion_loss, promoted


def takes_over(challenger_N: Flags, champion_N: Flags, reference_N: Flags, rule: str) -> bool:
    """Whether the new model is promoted: by the former interval, by today's, or with the reference too."""
    found = paired(champion_N, challenger_N)
    if rule == "former":
        low, _ = former_interval(found.n_only_champion, found.n_only_challenger, found.n_images)
        return bool(low > -found.margin)
    if as_good(found).passed is not True:
        return False
    return rule != "reference" or near_reference(paired(reference_N, challenger_N)).passed is True


def paired(champion_N: Flags, challenger_N: Flags) -> Comparison:
    """Two models on the same images, with today's margin."""
    return compare(
        champion_N, challenger_N, champion_version=1, smallest_margin=PARAMS.smallest_margin
    )


def model(random: np.random.Generator, hard_N: Flags, loss: float) -> Flags:
    """Right answers of a model that is worse than the first by `loss`."""
    right_N = ~hard_N | (random.random(len(hard_N)) < 0.5)
    return right_N & (random.random(len(hard_N)) >= loss / RIGHT)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.whole.gate", description=__doc__)
    parser.add_argument(
        "--nights", type=int, default=1_000, help="nights of each case (default 1000)"
    )
    nights = parser.parse_args().nights
    rows = [*renamed_class(min(nights, 200)), *shown_loss(nights)]
    rows += [found for n in (100, 338, 1_000) for found in error_at_margin(n)]
    rows += sixty_nights(max(nights // 20, 2))
    rows += lost_classes(nights)
    print(f"wrote {write_results('gate', rows, also=['scipy'])}")
    for one in rows:
        print(f"{one.case}: {one.metric} {one.median:.4g} ({one.min:.4g} to {one.max:.4g})")


if __name__ == "__main__":
    main()
