"""How probable it is that a label is wrong: from out-of-sample probabilities, and from the labels themselves.

Predictors are too sure or too timid, and they have learnt from the wrong labels too. So two things are estimated together,
without knowing any label to be right: an exponent that turns their probabilities into calibrated ones of the true class
(temperature scaling: Guo, Pleiss, Sun, Weinberger, ICML 2017), and how often images of one class are given the label of
another. The latter is the matrix of confusions of A. P. Dawid, A. M. Skene, Applied Statistics 28(1), 1979, with one
annotator, and the predictors in place of the share of each class. Prior knowledge counts like PRIOR_LABELS labels in each
class, whose mistakes are spread evenly: systematic mistakes have to show themselves. Estimated by expectation
maximisation on a sample, from the counts of confident learning.

If the true class i is given label j with probability C_ij, and p_i is the calibrated probability of class i, then the label j
of an image is wrong with probability 1 - p_j C_jj / sum_i p_i C_ij. Of labels with .9, nine in ten were wrong on planted
and on real mistakes, where predictors knew enough: docs/labels.md.

Legend: N images, K classes, S images of the sample, B images of one block.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline_lib.curate.confident_learning import ConfidentJoint

PRIOR_LABELS: Final = 100.0
PRIOR_WRONG: Final = 1.0  # a wrong label more than was found: at none nothing could ever be doubted
FIRST_RATE: Final = 0.01
MOST_SAMPLED: Final = 20_000
VALUES: Final = 4_000_000  # of the sample and of a block: 32 MB
MOST_CLASSES: Final = 2_000  # above, a matrix would be large and its cells empty
ROUNDS: Final = 300
SETTLED: Final = 1e-4  # largest change of exponent and noise rate in the last round
LEAST_P: Final = 1e-6

Half = NDArray[np.float16]
Floats = NDArray[np.float32]
Reals = NDArray[np.float64]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class LabelNoise:
    """exponent: of the predictors' probabilities. rate: share 0..1 of wrong labels.

    given_KK: probability of each label (row) for images of a class (column); None: mistakes are spread evenly.
    """

    exponent: float
    rate: float
    given_KK: Floats | None

    def calibrated(self, p_BK: NDArray[Any]) -> Floats:
        """The probability of each class to be the true one, from those of the predictors, the label not considered."""
        return _softmax(self.exponent * _logs(p_BK))

    def true_class(self, calibrated_BK: Floats, given: Codes) -> Floats:
        """The probability of each class to be the true one, the label considered. given [B]: the labels, 0..K-1."""
        if self.given_KK is not None:
            joint_BK = self.given_KK[given]
            joint_BK *= calibrated_BK
        else:
            rows = np.arange(len(given))
            joint_BK = calibrated_BK * np.float32(self.rate / max(calibrated_BK.shape[1] - 1, 1))
            joint_BK[rows, given] = calibrated_BK[rows, given] * np.float32(1 - self.rate)
        joint_BK /= joint_BK.sum(axis=1, keepdims=True)
        return joint_BK


@dataclass(frozen=True)
class Judged:
    """Of each image: best [N], the most probable class whatever the label says; p_best, p_given, wrong: 0..1."""

    best: Codes
    p_best: Reals
    p_given: Reals
    wrong: Reals


def estimate_noise(p_NK: Half, labels: Codes, joint: ConfidentJoint, draw: Reals) -> LabelNoise:
    """Estimate how often labels are wrong. draw [N]: 0..1; the images with the lowest are the sample."""
    n_classes = p_NK.shape[1]
    n_sampled = min(MOST_SAMPLED, max(1, VALUES // n_classes))
    rows = np.sort(np.argsort(draw, kind="stable")[:n_sampled])
    logs_SK = _logs(p_NK[rows])
    given = labels[rows]

    noise = _first_guess(joint, n_classes)
    for _ in range(ROUNDS):
        p_SK = _softmax(noise.exponent * logs_SK)
        true_SK = noise.true_class(p_SK, given)
        exponent = _exponent(noise.exponent, logs_SK, p_SK, true_SK)
        before, noise = noise, _noise(exponent, true_SK, given)
        change = max(abs(noise.exponent - before.exponent), abs(noise.rate - before.rate))
        if change < SETTLED:
            break
    return noise


def judge(p_NK: Half, labels: Codes, noise: LabelNoise) -> Judged:
    """Judge every label, a block in memory at a time."""
    judged = Judged(np.zeros(len(labels), np.int64), *(np.zeros(len(labels)) for _ in range(3)))
    step = max(1, VALUES // max(p_NK.shape[1], 1))
    for start in range(0, len(labels), step):
        rows = slice(start, start + step)
        given = labels[rows]
        p_BK = noise.calibrated(p_NK[rows])
        numbers = np.arange(len(p_BK))
        judged.best[rows] = p_BK.argmax(axis=1)
        judged.p_best[rows] = p_BK.max(axis=1)
        judged.p_given[rows] = p_BK[numbers, given]
        judged.wrong[rows] = 1 - noise.true_class(p_BK, given)[numbers, given]
    return judged


def _first_guess(joint: ConfidentJoint, n_classes: int) -> LabelNoise:
    """By the counts of confident learning, which see systematic mistakes that an even start takes for hard images."""
    rate = max(joint.noise_rate, FIRST_RATE)
    if n_classes > MOST_CLASSES:
        return LabelNoise(1.0, rate, None)
    counts_KK: Reals = np.zeros((n_classes, n_classes))
    counts_KK[joint.given, joint.believed_by_pair] = joint.counts
    return LabelNoise(1.0, rate, _confusions(counts_KK, rate))


def _noise(exponent: float, true_SK: Floats, given: Codes) -> LabelNoise:
    """The noise at which these true classes are most probable."""
    n_sampled, n_classes = true_SK.shape
    n_wrong = n_sampled - true_SK[np.arange(n_sampled), given].sum(dtype=np.float64)
    rate = float((n_wrong + PRIOR_WRONG) / (n_sampled + PRIOR_WRONG))
    if n_classes > MOST_CLASSES:
        return LabelNoise(exponent, rate, None)
    counts_KK = np.stack([true_SK[given == label].sum(axis=0) for label in range(n_classes)])
    return LabelNoise(exponent, rate, _confusions(counts_KK, rate))


def _confusions(counts_KK: Reals, rate: float) -> Floats:
    """The share of each label (row) among the images of a class (column), with PRIOR_LABELS more of each class."""
    n_classes = len(counts_KK)
    prior_KK = np.full((n_classes, n_classes), PRIOR_LABELS * rate / max(n_classes - 1, 1))
    np.fill_diagonal(prior_KK, PRIOR_LABELS * (1 - rate))
    total_KK = counts_KK + prior_KK
    return np.asarray(total_KK / total_KK.sum(axis=0), np.float32)


def _exponent(exponent: float, logs_SK: Floats, p_SK: Floats, true_SK: Floats) -> float:
    """One Newton step of the likelihood of these true classes, which is concave in the exponent."""
    mean_S = (p_SK * logs_SK).sum(axis=1)
    slope = float(((true_SK * logs_SK).sum(axis=1) - mean_S).mean())
    bend = float(((p_SK * logs_SK**2).sum(axis=1) - mean_S**2).mean())
    step = slope / max(bend, LEAST_P)
    return min(max(exponent + step, exponent / 2), exponent * 2)


def _logs(p_BK: NDArray[Any]) -> Floats:
    return np.asarray(np.log(np.maximum(p_BK, LEAST_P, dtype=np.float32)))


def _softmax(logits_BK: Floats) -> Floats:
    powers_BK: Floats = logits_BK - logits_BK.max(axis=1, keepdims=True)
    np.exp(powers_BK, out=powers_BK)
    powers_BK /= powers_BK.sum(axis=1, keepdims=True)
    return powers_BK
