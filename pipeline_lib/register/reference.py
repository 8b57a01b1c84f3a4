"""The reference: a pinned model that no champion may fall far behind, so that many small losses cannot add up.

Each night allows a small loss against last night's champion. The reference stays where it is until a model is superior
to it; it never moves by a point estimate, which favours the luckiest of many (the winner's curse).
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline_lib.paired_change import score
from pipeline_lib.register import sentences
from pipeline_lib.registry import Comparison, Rule, RuleName
from pipeline_lib.registry.closure import Closure
from pipeline_lib.upgrade.releases import Release, make_the_same_bytes

# The normal distribution's 99.5 % point: more than for the champion, as the same is asked night after night.
ONE_SIDED_995 = 2.5758293035489004
SEED = "seed"


def allowed_behind(comparison: Comparison) -> float:
    """How far behind the reference a champion may be: twice the margin, or what so few images can rule out at all.

    7 / (n + 7): two models that answer alike on all n images are bounded by z^2 / (n + z^2), 6.6 / (n + 6.6).
    """
    return max(2 * comparison.margin, 7 / (comparison.n_images + 7))


def near_reference(comparison: Comparison) -> Rule:
    """A loss of `allowed_behind` or more is ruled out. comparison: of the new model with the reference."""
    allowed = allowed_behind(comparison)
    near = _statistic(comparison, -allowed) > ONE_SIDED_995
    sentence = sentences.behind_reference(comparison, allowed, near=near)
    if near:
        return Rule(RuleName.NEAR_REFERENCE, True, sentence)
    certainly_worse = comparison.high < 0
    return Rule(RuleName.NEAR_REFERENCE, False if certainly_worse else None, sentence)


def supersedes(comparison: Comparison) -> bool:
    """Whether the new model becomes the reference, if it is promoted: it is superior, as certainly as it is asked."""
    return _statistic(comparison, 0.0) > ONE_SIDED_995


def better_than_its_twin(comparison: Comparison) -> Rule:
    """For a model that differs from the champion by its seed alone: only what is superior is worth a change."""
    superior = comparison.low > 0
    sentence = f"only the seed changed, and {sentences.compared(comparison)}"
    return Rule(RuleName.BETTER_THAN_TWIN, True if superior else None, sentence)


def only_seed_differs(new: Closure, old: Closure, releases: Sequence[Release] = ()) -> bool:
    """Whether two lines were made from the same data, code and parameters but for `train.seed`.

    releases: says of which other code the bytes are the same.
    """
    ours = new.stages["train"]
    theirs = old.stages["train"]
    our_params = dict(ours.params.get("train", ours.params))
    their_params = dict(theirs.params.get("train", theirs.params))
    our_seed = our_params.pop(SEED, None)
    their_seed = their_params.pop(SEED, None)
    same_code = make_the_same_bytes("train", ours.deps, theirs.deps, releases)
    return same_code and our_params == their_params and our_seed != their_seed


def _statistic(comparison: Comparison, change: float) -> float:
    return float(
        score(comparison.n_only_champion, comparison.n_only_challenger, comparison.n_images, change)
    )
