"""The gate: whether a new model takes the champion's place. Pure functions over tables; the rules in one place.

A model is refused when a rule is broken, held as challenger when the available images cannot tell, promoted otherwise.
The rules are named by `RuleName`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from pipeline_lib.register import sentences
from pipeline_lib.register.class_losses import class_changes
from pipeline_lib.register.paired import compare
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.reference import better_than_its_twin, near_reference, supersedes
from pipeline_lib.register.sentences import percent
from pipeline_lib.register.shift_losses import no_shift_lost, shift_changes
from pipeline_lib.registry import ClassChange, Comparison, Rule, RuleName, ShiftChange, Verdict
from pipeline_lib.registry.verdict import Decision

STORED_CLASSES = (
    2_000  # of a verdict, the largest losses first: 90 kB of JSON, and 100 tags hold 790 kB
)
MIN_AGREEMENT = 0.999  # of the export with torch: share of equal answers
MAX_DP = 1e-3  # of the export with torch: largest difference of a probability
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
class Shifted:
    """Both models' answers to images unlike the test split, as `shift_changes` takes them; None, and why, without any."""

    answers: pd.DataFrame | None
    why_silent: str = ""


NOTHING_SHIFTED = Shifted(None)


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
    shifted: Shifted = NOTHING_SHIFTED,
) -> Verdict:
    """Apply every rule.

    candidate: a run that may not promote. rolled_back: why these weights were once taken back. reference: the pinned
    model, None where none is pinned. only_seed_changed: the champion was made the same way with another seed. shifted:
    both models' answers to corrupted images and extra test sets.
    """
    # The model by itself.
    rules = [*sanity(evaluation, params), parity(evaluation.parity)]
    if rolled_back is not None:
        sentence = f"these weights were rolled back before: {rolled_back}"
        rules.append(Rule(RuleName.NOT_ROLLED_BACK, None, sentence))

    # Against the champion.
    duel = Duel(())
    if champion is not None:
        duel = fight(evaluation, champion, params)
    rules += duel.rules
    if only_seed_changed and duel.comparison is not None:
        rules.append(better_than_its_twin(duel.comparison))

    # Against the champion on images unlike the test split.
    under_shift: tuple[ShiftChange, ...] = ()
    if shifted.answers is not None and duel.comparison is not None:
        under_shift = shift_changes(
            shifted.answers, params, plain_top1=duel.comparison.champion_top1
        )
        rules += [no_shift_lost(under_shift)] if under_shift else []
    elif shifted.why_silent:
        note = sentences.shift_silent(shifted.why_silent)
        duel = replace(duel, notes=(*duel.notes, note))

    # Against the reference, so that many small losses cannot add up.
    if reference is not None:
        pinned = beside_reference(evaluation, reference, params)
        rules += pinned.rules
        duel = replace(duel, notes=duel.notes + pinned.notes, reference=pinned.comparison)
    verdict = conclude(
        rules, duel, candidate=candidate, approval=params.approval, first=champion is None
    )
    return replace(verdict, shift_changes=under_shift)


def beside_reference(evaluation: Evaluation, reference: Champion, params: RegisterParams) -> Duel:
    """Compare with the pinned model. One that cannot be asked never holds a model: then the champion's word counts."""
    if reference.answers is None:
        note = sentences.reference_silent(reference.version, reference.why_silent)
        return Duel((), notes=(note,))
    test = joined(evaluation, reference.answers, reference.today)
    shared = test[test["shared"]]
    if shared.empty:
        note = sentences.reference_silent(reference.version, "it knows none of today's classes")
        return Duel((), notes=(note,))
    comparison = compare(
        shared["champion_right"].to_numpy(bool),
        shared["correct"].to_numpy(bool),
        champion_version=reference.version,
        smallest_margin=params.smallest_margin,
    )
    return Duel((near_reference(comparison),), comparison)


def fight(evaluation: Evaluation, champion: Champion, params: RegisterParams) -> Duel:
    """Compare with the champion, on the test images of the classes that both know."""
    if champion.answers is None:
        cannot_tell = Rule(RuleName.AS_GOOD, None, champion.why_silent)
        return Duel((cannot_tell,), provisional=True)
    test = joined(evaluation, champion.answers, champion.today)
    shared = test[test["shared"]]
    notes = _notes_on_classes(test, champion)
    if shared.empty:
        cannot_tell = Rule(RuleName.AS_GOOD, None, f"version {champion.version} {NOTHING_SHARED}")
        return Duel((cannot_tell,), notes=notes)

    # Over all classes together, then class by class.
    champion_N = shared["champion_right"].to_numpy(bool)
    challenger_N = shared["correct"].to_numpy(bool)
    comparison = compare(
        champion_N,
        challenger_N,
        champion_version=champion.version,
        smallest_margin=params.smallest_margin,
    )
    changes = class_changes(
        shared["class_id"].tolist(),
        champion_N,
        challenger_N,
        significance=params.class_significance,
        hold_significance=params.class_hold_significance,
        class_loss=params.class_loss,
    )

    # What these images cannot show belongs beside what they do.
    hidden = sorted((one for one in changes if one.hidden), key=lambda one: one.name)
    if hidden:
        notes += (sentences.hidden(hidden),)
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
    version = champion.version
    notes = []
    if any(old != new for old, new in champion.today.items()):
        notes.append(sentences.renamed(version, champion.today))
    apart = test[~test["shared"]].groupby("class_id")["correct"].agg(["sum", "size"])
    if len(apart):
        counts = {str(name): (int(right), int(n)) for name, right, n in apart.itertuples()}
        notes.append(sentences.new_classes(version, counts))
        if not champion.recorded:
            what = f"what version {version}'s classes are called today is not on record"
            notes.append(f"{what}: only equal names count")
    return tuple(notes)


def sanity(evaluation: Evaluation, params: RegisterParams) -> list[Rule]:
    """Every test image once, finite, none of them trained on, and better than saying the largest class."""
    test = evaluation.predictions.query("split == 'test'")
    selection = evaluation.selection
    expected, answered = selection["test"]["image_id"], test["image_id"]

    # Each test image has one answer, and that is a number.
    whole = len(test) == len(expected) and set(answered) == set(expected)
    finite = bool(np.isfinite(test["p_label"].to_numpy(float)).all())
    sentence = f"{len(test)} of {len(expected)} images answered"
    once = Rule(RuleName.EVERY_IMAGE_ONCE, whole and finite, sentence)

    # The model was neither trained nor chosen on any of them.
    seen = set(selection["train"]["image_id"]) | set(selection["val"]["image_id"])
    shared = set(expected) & seen
    unseen = Rule(
        RuleName.UNSEEN_IMAGES, not shared, f"{len(shared)} test images were trained or chosen on"
    )

    # It beats the floor: a person's, or the answer that needs no model.
    top1 = float(test["correct"].mean())
    majority = float(selection["test"]["label"].value_counts().max() / len(expected))
    if params.min_top1 > majority:
        floor, enough = params.min_top1, top1 >= params.min_top1
        asked = f"register.min_top1 is {percent(params.min_top1)}"
    else:
        floor, enough = majority, top1 > majority
        asked = "the largest class alone"
    sentence = f"top-1 {percent(top1)}; the floor is {percent(floor)} ({asked})"
    return [once, unseen, Rule(RuleName.FLOOR, enough, sentence)]


def parity(measured: Mapping[str, float]) -> Rule:
    """The exported file says what the trained network says."""
    agreement = measured["argmax_agreement"]
    difference = measured["max_abs_dp"]
    kept = agreement >= MIN_AGREEMENT and difference <= MAX_DP
    on = f"{measured['n']:.0f} images, p within {difference:.1g}"
    sentence = f"the exported ONNX gives the same answer on {percent(agreement)} of {on}"
    return Rule(RuleName.EXPORT_EQUALS_NETWORK, kept, sentence)


def as_good(comparison: Comparison) -> Rule:
    """Paired non-inferiority. Undecided when neither "not worse" nor "worse" is certain at 95 %."""
    sentence = sentences.compared(comparison)
    if comparison.low > -comparison.margin:
        return Rule(RuleName.AS_GOOD, True, sentence)
    certainly_worse = comparison.high < 0
    return Rule(RuleName.AS_GOOD, False if certainly_worse else None, sentence)


def no_class_lost(changes: tuple[ClassChange, ...]) -> Rule:
    """A class that blocks refuses the model, one that falls holds it."""
    blocking = [one for one in changes if one.blocks]
    falling = [one for one in changes if one.falls]
    if not blocking and not falling:
        sentence = f"none of {len(changes):,} classes loses more than chance explains"
        return Rule(RuleName.NO_CLASS_LOST, True, sentence)
    return Rule(
        RuleName.NO_CLASS_LOST, False if blocking else None, sentences.fallen(blocking or falling)
    )


def conclude(
    rules: list[Rule],
    duel: Duel,
    *,
    candidate: bool,
    approval: Literal["gate", "person"],
    first: bool,
) -> Verdict:
    """One decision and one sentence out of the rules."""
    broken = next((rule for rule in rules if rule.passed is False), None)
    unsure = next((rule for rule in rules if rule.passed is None), None)
    by_name = {rule.name: rule.sentence for rule in rules}
    grounds = by_name.get(RuleName.AS_GOOD, f"it is the first model; {by_name[RuleName.FLOOR]}")
    decision: Decision
    if broken:
        decision = "reject"
        sentence = f"Refused: {broken.sentence}."
    elif unsure:
        decision = "inconclusive"
        sentence = f"Held as challenger: {unsure.sentence}."
    elif candidate:
        decision = "candidate"
        sentence = (
            f"Challenger: it passes the gate, but an experiment is never promoted; {grounds}."
        )
    elif approval == "person":
        decision = "waiting"
        sentence = f"Waiting for a person: it passes the gate; {grounds}."
    else:
        decision = "promote"
        sentence = f"Promoted to champion: {grounds}."

    # The reference moves with the first champion, and to what is superior to it.
    superior = duel.reference is not None and supersedes(duel.reference)
    return Verdict(
        decision,
        sentence,
        tuple(rules),
        duel.comparison,
        duel.changes[:STORED_CLASSES],
        provisional=duel.provisional and decision == "inconclusive",
        notes=duel.notes,
        becomes_reference=decision == "promote" and (first or superior),
    )


def same_model(version: int) -> Verdict:
    """The verdict on the champion's own bytes, met again with another evaluation: there is nothing to promote."""
    rule = Rule(
        RuleName.NEW_MODEL, False, f"these are the bytes of version {version}, the champion"
    )
    return Verdict(
        "current", f"Nothing to register: this is the champion itself, version {version}.", (rule,)
    )
