"""The gate: whether a new model takes the champion's place. Pure functions over tables; the rules in one place.

A model is refused when a rule is broken, held as challenger when the pictures at hand cannot tell, promoted otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline_lib.register.paired import class_changes, compare
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import ClassChange, Comparison, Rule, Verdict

SHOWN_CLASSES = 10
FLOOR, NOT_WORSE = "better than the floor", "not worse than the champion"
MIN_AGREEMENT, MAX_DP = 0.999, 1e-3  # of the export with torch: share of equal answers, largest difference of p


@dataclass(frozen=True)
class Champion:
    """The model in use. answers: image_id -> class_id it says today; None when it could not be asked, and why."""

    version: int
    answers: pd.Series | None
    why_silent: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What the gate looks at: test predictions, the selection (train, val, test) and the export's parity."""

    predictions: pd.DataFrame
    selection: Mapping[str, pd.DataFrame]
    parity: Mapping[str, float]


def judge(
    evaluation: Evaluation,
    params: RegisterParams,
    *,
    champion: Champion | None,
    candidate: bool,
    rolled_back: str | None,
) -> Verdict:
    """Apply every rule. candidate: a run that may not promote. rolled_back: why these weights were once taken back."""
    rules = [*sanity(evaluation, params), parity(evaluation.parity)]
    comparison: Comparison | None = None
    changes: tuple[ClassChange, ...] = ()
    if rolled_back is not None:
        rules.append(Rule("not rolled back", None, f"these weights were rolled back before: {rolled_back}"))
    if champion is not None and champion.answers is None:
        rules.append(Rule(NOT_WORSE, None, champion.why_silent))
    elif champion is not None and champion.answers is not None:
        test = joined(evaluation, champion.answers)
        comparison = compare(
            test["champion_right"].to_numpy(bool),
            test["correct"].to_numpy(bool),
            champion_version=champion.version,
            smallest_margin=params.smallest_margin,
        )
        changes = class_changes(
            test["class_id"].tolist(),
            test["champion_right"].to_numpy(bool),
            test["correct"].to_numpy(bool),
            significance=params.class_significance,
            class_loss=params.class_loss,
            small_class_images=params.small_class_images,
        )
        rules += [not_worse(comparison), no_class_lost(changes, params)]
    silent = champion is not None and champion.answers is None
    return conclude(rules, comparison, changes, candidate=candidate, provisional=silent)


def joined(evaluation: Evaluation, answers: pd.Series) -> pd.DataFrame:
    """The test pictures by image_id with `correct` (the new model) and `champion_right`."""
    predictions, test = evaluation.predictions, evaluation.selection["test"]
    ours = predictions.loc[predictions["split"] == "test", ["image_id", "correct"]]
    rows = test[["image_id", "class_id"]].merge(ours, on="image_id", validate="one_to_one")
    said = rows["image_id"].map(answers)
    return rows.assign(champion_right=(said == rows["class_id"]).fillna(False))


def sanity(evaluation: Evaluation, params: RegisterParams) -> list[Rule]:
    """R0: every test picture once, finite, none of them trained on, and better than saying the largest class."""
    test, selection = evaluation.predictions.query("split == 'test'"), evaluation.selection
    expected, answered = selection["test"]["image_id"], test["image_id"]
    whole = len(test) == len(expected) and set(answered) == set(expected)
    finite = bool(np.isfinite(test["p_label"].to_numpy(float)).all())
    shared = set(expected) & (set(selection["train"]["image_id"]) | set(selection["val"]["image_id"]))
    majority = float(selection["test"]["label"].value_counts().max() / len(expected))
    top1, floor = float(test["correct"].mean()), max(params.min_top1, majority)
    asked = (
        f"register.min_top1 is {percent(params.min_top1)}" if params.min_top1 > majority else "the largest class alone"
    )
    enough = top1 >= floor if params.min_top1 > majority else top1 > floor
    return [
        Rule("every test picture once", whole and finite, f"{len(test)} of {len(expected)} pictures answered"),
        Rule("tested on unseen pictures", not shared, f"{len(shared)} test pictures were trained or chosen on"),
        Rule(FLOOR, enough, f"top-1 {percent(top1)}; the floor is {percent(floor)} ({asked})"),
    ]


def parity(measured: Mapping[str, float]) -> Rule:
    """R6: the exported file says what the trained network says."""
    agreement, difference = measured["argmax_agreement"], measured["max_abs_dp"]
    kept = agreement >= MIN_AGREEMENT and difference <= MAX_DP
    sentence = (
        f"ONNX gives the same answer on {percent(agreement)} of {measured['n']:.0f} pictures, p within {difference:.1g}"
    )
    return Rule("export equals the network", kept, sentence)


def not_worse(comparison: Comparison) -> Rule:
    """R1: paired non-inferiority. Undecided when neither "not worse" nor "worse" is certain at 95 %."""
    interval = f"between {points(comparison.low)} and {points(comparison.high)}, each 95 % certain"
    grounds = (
        f"top-1 changes by {points(comparison.delta)} points ({interval}); {comparison.margin * 100:.1f} may be lost"
    )
    if comparison.low > -comparison.margin:
        return Rule(NOT_WORSE, True, grounds)
    return Rule(NOT_WORSE, False if comparison.high < 0 else None, grounds)


def no_class_lost(changes: tuple[ClassChange, ...], params: RegisterParams) -> Rule:
    """R2: no class loses both significantly and by `class_loss` or more."""
    lost = [change for change in changes if change.blocks]
    if not lost:
        return Rule("no class lost", True, f"no class loses {percent(params.class_loss)} of its recall beyond chance")
    named = ", ".join(f"{change.name} {points(change.change)} points of recall" for change in lost[:3])
    return Rule("no class lost", False, f"{len(lost)} lost beyond chance: {named}")


def conclude(
    rules: list[Rule],
    comparison: Comparison | None,
    changes: tuple[ClassChange, ...],
    *,
    candidate: bool,
    provisional: bool,
) -> Verdict:
    """One decision and one sentence out of the rules."""
    broken = next((rule for rule in rules if rule.passed is False), None)
    unsure = next((rule for rule in rules if rule.passed is None), None)
    shown = changes[:SHOWN_CLASSES]
    if broken:
        return Verdict("reject", f"Refused: {broken.name} failed: {broken.sentence}.", tuple(rules), comparison, shown)
    if unsure:
        sentence = f"Held as challenger: {unsure.name} is undecided: {unsure.sentence}."
        return Verdict("inconclusive", sentence, tuple(rules), comparison, shown, provisional)
    by_name = {rule.name: rule.sentence for rule in rules}
    grounds = by_name.get(NOT_WORSE, f"it is the first model; {by_name[FLOOR]}")
    if candidate:
        sentence = f"Challenger: it passes the gate, but an experiment is never promoted; {grounds}."
        return Verdict("candidate", sentence, tuple(rules), comparison, shown)
    return Verdict("promote", f"Promoted to champion: {grounds}.", tuple(rules), comparison, shown)


def same_model(version: int) -> Verdict:
    """The verdict on the champion's own bytes, met again with another evaluation: there is nothing to promote."""
    rule = Rule("a new model", False, f"these are the bytes of version {version}, the champion")
    return Verdict("current", f"Nothing to register: this is the champion itself, version {version}.", (rule,))


def points(fraction: float) -> str:
    """A difference of shares in percentage points, signed."""
    return f"{fraction * 100:+.1f}".replace("-", "\N{MINUS SIGN}")


def percent(share: float) -> str:
    """A share as percent with one decimal, unit included."""
    return f"{100 * share:.1f} %"
