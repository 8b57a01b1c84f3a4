"""Which errors annotators make, estimated together with the labels.

Method: A. P. Dawid, A. M. Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied
Statistics 28(1), 1979. Their model has a matrix of confusions for each annotator, which few votes cannot fill; the
one-coin model has one probability of being right and spreads errors evenly (Zhang, Chen, Zhou, Jordan, JMLR 17, 2016).
Here each is the prior of the next, by a Dirichlet distribution that counts as so many votes: an even spread of errors,
confusions that all annotators share, confusions of each annotator. The shares of the classes have an even prior too. The
votes choose the three strengths by their evidence (T. P. Minka, "Estimating a Dirichlet distribution", 2000); where they
show no such differences every strength is infinite, and the result is that of the one-coin model, bit for bit.

A vote is judged by the confusions in all *other* votes, as in collapsed variational Bayes (A. Asuncion, M. Welling, P.
Smyth, Y. W. Teh, UAI 2009): otherwise rare confusions confirm themselves, and posteriors promise too much. Only images
with three votes teach: fewer do not determine who confuses what (E. Allman, C. Matias, J. Rhodes, Ann. Stat. 37, 2009).

The answer is a class that somebody named for the image: no model decides against all people. So work and memory grow with
the votes: confusions are kept for the triples that occur and not in a table of annotators x classes x classes.

Legend: V votes; P pairs (image, class that somebody named); R readings (a vote, under one pair of its image); C cells
(annotator, true class, class said) and F confusions (true class, class said) that occur; N images, A annotators, L classes
that somebody named, K all classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_ROUNDS: Final = 200
SETTLED: Final = 1e-7  # largest change of an annotator's quality in the last round
SETTLED_POSTERIOR: Final = 1e-5  # the mean change of a pair's posterior in the last round
FIRST_GUESS: Final = 0.8  # above 1/K, so that the majority starts on the right side
TEACHING_VOTES: Final = 3
MAX_CHOICES: Final = 6  # of strengths; each choice starts from the posterior of the last
STRENGTHS: Final = (
    1.0,
    2.0,
    5.0,
    10.0,
    20.0,
    50.0,
    100.0,
    200.0,
    500.0,
    1e3,
    2e3,
    5e3,
    1e4,
    np.inf,
)

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ballots:
    """All votes by number, and the distinct (image, label) pairs, sorted by image and then label.

    annotator, of_vote [V]: of each vote, the pair too. image, label [P]: of each pair. truth [P]: 1 or 0 where it is
    known whether the pair is right, else NaN.
    """

    annotator: Integers
    of_vote: Integers
    image: Integers
    label: Integers
    truth: Floats
    n_images: int
    n_annotators: int
    n_labels: int
    n_classes: int


@dataclass(frozen=True)
class Strengths:
    """How many votes the prior counts as; infinite where the votes show no difference from it.

    shares: equal shares of the classes. confusions: an even spread of errors. own: errors as those of all annotators.
    """

    shares: float = np.inf
    confusions: float = np.inf
    own: float = np.inf

    @property
    def errors(self) -> str:
        """What errors turned out to depend on, in words for curation.json."""
        if np.isfinite(self.own):
            return "class and annotator"
        return "class" if np.isfinite(self.confusions) else "annotator"


@dataclass(frozen=True)
class Estimate:
    """posterior [P]: P(the pair is right). quality [A]: P(an annotator is right). strengths: those chosen."""

    posterior: Floats
    quality: Floats
    strengths: Strengths


def estimate(ballots: Ballots) -> Estimate:
    """Estimate labels and annotators together, with no more detail than the votes give evidence of."""
    even = _one_coin(ballots)
    if len(ballots.annotator) == 0:
        return even
    readings = _readings(ballots)
    found = even
    for _ in range(MAX_CHOICES):
        strengths = _chosen(ballots, readings, found)
        if strengths == found.strengths:
            break
        found = _settled(ballots, readings, found, strengths)
    return found


def _sums(number: Integers | NDArray[np.int32], values: Floats, n: int = 0) -> Floats:
    """Sums of the values with the numbers 0, 1, ...; at least n."""
    return np.asarray(np.bincount(number, values, n), dtype=float)


def _one_coin(ballots: Ballots) -> Estimate:
    """Every annotator right with one probability, errors spread evenly."""
    quality: Floats = np.full(ballots.n_annotators, FIRST_GUESS)
    posterior: Floats = np.zeros(len(ballots.image))
    shares, strength = np.ones(ballots.n_labels), np.inf
    for _ in range(MAX_ROUNDS):
        # Expectation: what the votes say, as good as their annotators are thought to be.
        each_wrong_class = (1 - quality) / (ballots.n_classes - 1)
        evidence = (np.log(quality) - np.log(each_wrong_class))[ballots.annotator]
        score = _sums(ballots.of_vote, evidence, len(ballots.image))
        posterior = _posterior(ballots, score, shares)

        # Maximisation: how often each annotator agrees with it, and how often each class occurs.
        last = quality
        quality = _quality(ballots, posterior)
        shares, strength = _shares(ballots, posterior)
        if len(quality) == 0 or np.abs(quality - last).max() < SETTLED:
            break
    return Estimate(posterior, quality, Strengths(shares=strength))


def _quality(ballots: Ballots, posterior: Floats) -> Floats:
    """P(right) of every annotator [A]. Laplace's rule: nobody is certain."""
    n_votes = np.bincount(ballots.annotator, minlength=ballots.n_annotators)
    n_right = _sums(ballots.annotator, posterior[ballots.of_vote], ballots.n_annotators)
    return np.asarray((n_right + 1) / (n_votes + 2))


def _teaches(ballots: Ballots) -> NDArray[np.bool_]:
    """Whether each image has enough votes [N]."""
    n_votes = np.bincount(ballots.image[ballots.of_vote], minlength=ballots.n_images)
    return n_votes >= TEACHING_VOTES


def _shares(ballots: Ballots, posterior: Floats) -> tuple[Floats, float]:
    """Share of every named class [L], times K (1: an equal share), and the strength of the prior."""
    weight = posterior * _teaches(ballots)[ballots.image]
    count = _sums(ballots.label, weight, ballots.n_labels)
    n_classes, total = ballots.n_classes, count.sum()
    rows = np.zeros(len(count), np.int64)
    strength = _strongest(count, rows, np.full(len(count), 1 / n_classes))
    if np.isinf(strength):
        return np.ones(len(count)), strength
    return (count * n_classes + strength) / (total + strength), strength


def _posterior(ballots: Ballots, score: Floats, shares: Floats) -> Floats:
    """P(right) of every pair [P]; the classes nobody named for an image share the rest. score: log-odds against those."""
    score = score + np.log(shares)[ballots.label]

    # Less the highest of each image, so that no exponential overflows; an average class without votes scores 0.
    highest = np.zeros(ballots.n_images)
    np.maximum.at(highest, ballots.image, score)
    likelihood = np.exp(score - highest[ballots.image])

    named = _sums(ballots.image, shares[ballots.label], ballots.n_images)
    unseen = np.maximum(ballots.n_classes - named, 0) * np.exp(-highest)
    total = _sums(ballots.image, likelihood, ballots.n_images) + unseen
    posterior = likelihood / total[ballots.image]
    return np.where(np.isnan(ballots.truth), posterior, ballots.truth)


@dataclass(frozen=True)
class _Readings:
    """Every vote under every pair of its image, and the cells that they fill.

    vote, pair, cell [R]. teaches [R]: of an image with enough votes. annotator, is_right, row, confusion [C]: of each
    cell; row: the number of its (annotator, true class). true, is_agreement [F]: of each confusion.
    """

    vote: NDArray[np.int32]
    pair: NDArray[np.int32]
    cell: NDArray[np.int32]
    teaches: NDArray[np.bool_]
    annotator: Integers
    is_right: NDArray[np.bool_]
    row: Integers
    confusion: Integers
    true: Integers
    is_agreement: NDArray[np.bool_]


def _readings(ballots: Ballots) -> _Readings:
    image = ballots.image[ballots.of_vote]
    n_named = np.bincount(ballots.image, minlength=ballots.n_images)
    n_readings = n_named[image]

    # Pairs of an image follow each other, so a vote's readings are those from the image's first pair on.
    vote = np.repeat(np.arange(len(image), dtype=np.int32), n_readings)
    first_reading = np.cumsum(n_readings) - n_readings
    first_pair = np.cumsum(n_named) - n_named
    pair = (np.arange(len(vote)) + (first_pair[image] - first_reading)[vote]).astype(np.int32)

    base = ballots.n_labels
    said = ballots.label[ballots.of_vote]
    row_number = ballots.annotator[vote] * base + ballots.label[pair]
    cells, cell = np.unique(row_number * base + said[vote], return_inverse=True)
    rows, said_C = np.divmod(cells, base)
    annotator, true_C = np.divmod(rows, base)
    confusions, confusion = np.unique(true_C * base + said_C, return_inverse=True)
    true, said_F = np.divmod(confusions, base)
    return _Readings(
        vote=vote,
        pair=pair,
        cell=cell.astype(np.int32),
        teaches=_teaches(ballots)[image][vote],
        annotator=annotator,
        is_right=true_C == said_C,
        row=np.unique(rows, return_inverse=True)[1],
        confusion=confusion,
        true=true,
        is_agreement=true == said_F,
    )


@dataclass(frozen=True)
class _Counts:
    """weight [R]: how far each reading is believed. cell [C], error [F], row, error_row: sums of it; errors: without
    agreements; error_row [L]: by true class."""

    weight: Floats
    cell: Floats
    row: Floats
    error: Floats
    error_row: Floats


def _counts(ballots: Ballots, readings: _Readings, posterior: Floats) -> _Counts:
    weight = posterior[readings.pair] * readings.teaches
    cell = _sums(readings.cell, weight, len(readings.row))
    error = _sums(readings.confusion, cell, len(readings.true))
    error = np.where(readings.is_agreement, 0, error)
    return _Counts(
        weight=weight,
        cell=cell,
        row=_sums(readings.row, cell),
        error=error,
        error_row=_sums(readings.true, error, ballots.n_labels),
    )


def _chosen(ballots: Ballots, readings: _Readings, found: Estimate) -> Strengths:
    """The strengths with most evidence, given what each vote is believed to mean."""
    counts = _counts(ballots, readings, found.posterior)
    wrong = ~readings.is_agreement
    even = np.full(wrong.sum(), 1 / (ballots.n_classes - 1))
    confusions = _strongest(counts.error[wrong], readings.true[wrong], even)

    expected = _expected(ballots, readings, counts, found.quality, confusions)
    own = _strongest(counts.cell, readings.row, expected)
    return Strengths(found.strengths.shares, confusions, own)


def _strongest(count: Floats, row: Integers, expected: Floats) -> float:
    """The strength of the prior `expected` under which the counts are most probable (Dirichlet-multinomial).

    row: number of the distribution that each count was drawn from. Ties go to the strongest prior.
    """
    from scipy.special import gammaln

    total = np.bincount(row, count)
    best, most = np.inf, float((count * np.log(expected)).sum())
    for strength in STRENGTHS[-2::-1]:
        prior = strength * expected
        evidence = float((gammaln(prior + count) - gammaln(prior)).sum())
        evidence += float((gammaln(strength) - gammaln(strength + total)).sum())
        if evidence > most:
            best, most = strength, evidence
    return best


def _expected(
    ballots: Ballots, readings: _Readings, counts: _Counts, quality: Floats, strength: float
) -> Floats:
    """P(class said | annotator, true class) of every cell [C], with errors as all annotators make them."""
    even = 1 / (ballots.n_classes - 1)
    error = np.full(len(readings.true), even)
    if np.isfinite(strength):
        error = (counts.error + strength * even) / (counts.error_row[readings.true] + strength)
    right = quality[readings.annotator]
    return np.where(readings.is_right, right, (1 - right) * error[readings.confusion])


def _settled(
    ballots: Ballots, readings: _Readings, found: Estimate, strengths: Strengths
) -> Estimate:
    """Labels and annotators under these strengths, from a first estimate on."""
    posterior, quality = found.posterior, found.quality
    shares, of_shares = _shares(ballots, posterior)
    for _ in range(MAX_ROUNDS):
        counts = _counts(ballots, readings, posterior)
        likelihood = _likelihood(ballots, readings, counts, quality, strengths)
        each_wrong_class = (1 - quality) / (ballots.n_classes - 1)
        evidence = np.log(likelihood) - np.log(each_wrong_class)[ballots.annotator][readings.vote]
        score = _sums(readings.pair, evidence, len(ballots.image))

        last = posterior
        posterior = _posterior(ballots, score, shares)
        quality = _quality(ballots, posterior)
        shares, of_shares = _shares(ballots, posterior)
        if np.abs(posterior - last).mean() < SETTLED_POSTERIOR:
            break
    return Estimate(posterior, quality, Strengths(of_shares, strengths.confusions, strengths.own))


def _likelihood(
    ballots: Ballots, readings: _Readings, counts: _Counts, quality: Floats, strengths: Strengths
) -> Floats:
    """P(vote | its pair is right) of every reading [R], by what all other votes tell of such votes."""
    expected = _expected(ballots, readings, counts, quality, strengths.confusions)
    cell = readings.cell
    if np.isfinite(strengths.own):
        others = np.maximum(counts.cell[cell] - counts.weight, 0)
        all_others = np.maximum(counts.row[readings.row[cell]] - counts.weight, 0)
        return (others + strengths.own * expected[cell]) / (all_others + strengths.own)
    if np.isinf(strengths.confusions):
        return expected[cell]

    confusion = readings.confusion[cell]
    even = 1 / (ballots.n_classes - 1)
    others = np.maximum(counts.error[confusion] - counts.weight, 0)
    all_others = np.maximum(counts.error_row[readings.true[confusion]] - counts.weight, 0)
    error = (others + strengths.confusions * even) / (all_others + strengths.confusions)
    right = quality[readings.annotator[cell]]
    return np.where(readings.is_right[cell], right, (1 - right) * error)
