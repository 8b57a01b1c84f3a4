"""The gate: whether a new model takes the champion's place. Pure functions over tables; the rules in one place.

A model is refused when a rule is broken, held as challenger when the images at hand cannot tell, promoted otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from pipeline_lib.register import sentences
from pipeline_lib.register.class_losses import class_changes
from pipeline_lib.register.paired import compare
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.reference import better_than_its_twin, near_reference, supersedes
from pipeline_lib.register.sentences import percent
from pipeline_lib.registry import ClassChange, Comparison, Rule, Verdict
from pipeline_lib.registry.verdict import Decision

STORED_CLASSES = 2_000  # of a verdict, the largest losses first: 90 kB of JSON, and 100 tags hold 790 kB
FLOOR, AS_GOOD, CLASSES = "better than the floor", "as good as the champion", "no class lost"
MIN_AGREEMENT, MAX_DP = 0.999, 1e-3  # of the export with torch: share of equal answers, largest difference of p
NOTHING_SHARED = (
    "knows none of today's classes; name them alike by rename_class in curation/overrides.csv, or begin anew under "
    "another model_name in settings.toml"
)


@dataclass(frozen=True)
class Champion:
    """The model in use.

    answers: image_id -> class_id it says, in its own classes; None when it could not be asked, and why. today: its own
    class_id -> today's, for the classes that still exist. recorded: whether renames since are on record.
    """

    version: int
    answers: pd.Series | None
    today: Mapping[str, str]
    recorded: bool = True
    why_silent: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What the gate looks at: test predictions, the selection (train, val, test) and the export's parity."""

    predictions: pd.DataFrame
    selection: Mapping[str, pd.DataFrame]
    parity: Mapping[str, float]


@dataclass(frozen=True)
class Duel:
    """New model against champion: the rules they decide, and what to know beside them."""

    rules: tuple[Rule, ...]
    comparison: Comparison | None = None
    changes: tuple[ClassChange, ...] = ()
    notes: tuple[str, ...] = ()
    provisional: bool = False
    reference: Comparison | None = None


def judge(
    evaluation: Evaluation,
    params: RegisterParams,
    *,
    champion: Champion | None,
    candidate: bool,
    rolled_back: str | None,
    reference: Champion | None = None,
    only_seed_changed: bool = False,
) -> Verdict:
    """Apply every rule.

    candidate: a run that may not promote. rolled_back: why these weights were once taken back. reference: the pinned
    model, None where none is pinned. only_seed_changed: the champion was made the same way with another seed.
    """
    rules = [*sanity(evaluation, params), parity(evaluation.parity)]
    if rolled_back is not None:
        rules.append(Rule("not rolled back", None, f"these weights were rolled back before: {rolled_back}"))
    duel = fight(evaluation, champion, params) if champion is not None else Duel(())
    rules += duel.rules
    if only_seed_changed and duel.comparison is not None:
        rules.append(better_than_its_twin(duel.comparison))
    if reference is not None:
        pinned = beside_reference(evaluation, reference, params)
        rules += pinned.rules
        duel = replace(duel, notes=duel.notes + pinned.notes, reference=pinned.comparison)
    return conclude(rules, duel, candidate=candidate, first=champion is None)


def beside_reference(evaluation: Evaluation, reference: Champion, params: RegisterParams) -> Duel:
    """Compare with the pinned model. One that cannot be asked never holds a model: then the champion's word counts."""
    version, why = reference.version, reference.why_silent
    if reference.answers is not None:
        test = joined(evaluation, reference.answers, reference.today)
        shared = test[test["shared"]]
        if len(shared):
            flags = shared["champion_right"].to_numpy(bool), shared["correct"].to_numpy(bool)
            found = compare(*flags, champion_version=version, smallest_margin=params.smallest_margin)
            return Duel((near_reference(found),), found)
        why = "it knows none of today's classes"
    return Duel((), notes=(sentences.reference_silent(version, why),))


def fight(evaluation: Evaluation, champion: Champion, params: RegisterParams) -> Duel:
    """Compare with the champion, on the test images of the classes that both know."""
    if champion.answers is None:
        return Duel((Rule(AS_GOOD, None, champion.why_silent),), provisional=True)
    test = joined(evaluation, champion.answers, champion.today)
    shared = test[test["shared"]]
    notes = _notes_on_classes(test, champion)
    if shared.empty:
        return Duel((Rule(AS_GOOD, None, f"version {champion.version} {NOTHING_SHARED}"),), notes=notes)
    champion_N, challenger_N = shared["champion_right"].to_numpy(bool), shared["correct"].to_numpy(bool)
    comparison = compare(
        champion_N, challenger_N, champion_version=champion.version, smallest_margin=params.smallest_margin
    )
    changes = class_changes(
        shared["class_id"].tolist(),
        champion_N,
        challenger_N,
        significance=params.class_significance,
        hold_significance=params.class_hold_significance,
        class_loss=params.class_loss,
    )
    hidden = sorted((one for one in changes if one.hidden), key=lambda one: one.name)
    notes += (sentences.hidden(hidden),) if hidden else ()
    notes += (sentences.resolution(comparison, changes, params),)
    return Duel((as_good(comparison), no_class_lost(changes)), comparison, changes, notes)


def joined(evaluation: Evaluation, answers: pd.Series, today: Mapping[str, str]) -> pd.DataFrame:
    """The test images with `correct` (the new model), `champion_right` and `shared`: both know the true class."""
    predictions, test = evaluation.predictions, evaluation.selection["test"]
    ours = predictions.loc[predictions["split"] == "test", ["image_id", "correct"]]
    rows = test[["image_id", "class_id"]].merge(ours, on="image_id", validate="one_to_one")
    said = rows["image_id"].map(answers).map(dict(today))
    return rows.assign(
        champion_right=(said == rows["class_id"]).fillna(False),
        shared=rows["class_id"].isin(set(today.values())),
    )


def _notes_on_classes(test: pd.DataFrame, champion: Champion) -> tuple[str, ...]:
    """Which classes were compared under another name, and which not at all."""
    notes = []
    if any(old != new for old, new in champion.today.items()):
        notes.append(sentences.renamed(champion.version, champion.today))
    apart = test[~test["shared"]].groupby("class_id")["correct"].agg(["sum", "size"])
    if len(apart):
        counts = {str(name): (int(right), int(n)) for name, right, n in apart.itertuples()}
        notes.append(sentences.new_classes(champion.version, counts))
        if not champion.recorded:
            notes.append(
                f"what version {champion.version}'s classes are called today is not on record: only equal names count"
            )
    return tuple(notes)


def sanity(evaluation: Evaluation, params: RegisterParams) -> list[Rule]:
    """R0: every test image once, finite, none of them trained on, and better than saying the largest class."""
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
        Rule("every test image once", whole and finite, f"{len(test)} of {len(expected)} images answered"),
        Rule("tested on unseen images", not shared, f"{len(shared)} test images were trained or chosen on"),
        Rule(FLOOR, enough, f"top-1 {percent(top1)}; the floor is {percent(floor)} ({asked})"),
    ]


def parity(measured: Mapping[str, float]) -> Rule:
    """R6: the exported file says what the trained network says."""
    agreement, difference = measured["argmax_agreement"], measured["max_abs_dp"]
    kept = agreement >= MIN_AGREEMENT and difference <= MAX_DP
    asked = f"{measured['n']:.0f} images, p within {difference:.1g}"
    sentence = f"the exported ONNX gives the same answer on {percent(agreement)} of {asked}"
    return Rule("export equals the network", kept, sentence)


def as_good(comparison: Comparison) -> Rule:
    """R1: paired non-inferiority. Undecided when neither "not worse" nor "worse" is certain at 95 %."""
    if comparison.low > -comparison.margin:
        return Rule(AS_GOOD, True, sentences.compared(comparison))
    return Rule(AS_GOOD, False if comparison.high < 0 else None, sentences.compared(comparison))


def no_class_lost(changes: tuple[ClassChange, ...]) -> Rule:
    """R2: a class that blocks refuses the model, one that falls holds it."""
    blocking = [one for one in changes if one.blocks]
    falling = [one for one in changes if one.falls]
    if not blocking and not falling:
        return Rule(CLASSES, True, f"none of {len(changes):,} classes loses more than chance explains")
    return Rule(CLASSES, False if blocking else None, sentences.fallen(blocking or falling))


def conclude(rules: list[Rule], duel: Duel, *, candidate: bool, first: bool) -> Verdict:
    """One decision and one sentence out of the rules."""
    broken = next((rule for rule in rules if rule.passed is False), None)
    unsure = next((rule for rule in rules if rule.passed is None), None)
    by_name = {rule.name: rule.sentence for rule in rules}
    grounds = by_name.get(AS_GOOD, f"it is the first model; {by_name[FLOOR]}")
    decision: Decision
    if broken:
        decision, sentence = "reject", f"Refused: {broken.sentence}."
    elif unsure:
        decision, sentence = "inconclusive", f"Held as challenger: {unsure.sentence}."
    elif candidate:
        decision = "candidate"
        sentence = f"Challenger: it passes the gate, but an experiment is never promoted; {grounds}."
    else:
        decision, sentence = "promote", f"Promoted to champion: {grounds}."
    return Verdict(
        decision,
        sentence,
        tuple(rules),
        duel.comparison,
        duel.changes[:STORED_CLASSES],
        provisional=duel.provisional and decision == "inconclusive",
        notes=duel.notes,
        becomes_reference=decision == "promote"
        and (first or (duel.reference is not None and supersedes(duel.reference))),
    )


def same_model(version: int) -> Verdict:
    """The verdict on the champion's own bytes, met again with another evaluation: there is nothing to promote."""
    rule = Rule("a new model", False, f"these are the bytes of version {version}, the champion")
    return Verdict("current", f"Nothing to register: this is the champion itself, version {version}.", (rule,))
