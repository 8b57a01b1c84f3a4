"""The scorecard of a trial in words: what was planted, what was found, what was missed, where it is weak, what helps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from demo.grades import Grade
from demo.photographs.grades import Finding, percent
from demo.photographs.planting import Planted
from demo.scorecard import card
from pipeline_lib.inspect.params import EMBEDDED_FROM_PX

SHOWN_OF_A_KIND = 5
FEW_TEST_IMAGES, FEW_OF_A_CLASS = 100, 20
HARDER = (
    "  (wrong labels are any other class; people confuse similar classes, which is harder to find)"
)
WEAK_LABELS, WEAK_COPIES = 0.6, 0.8  # shares found below which the scorecard says what would help


@dataclass(frozen=True)
class Features:
    """What curation compared most images by, and how much that knows.

    by_gradients: else by an embedding. short_side_px: the median. accuracy: the share of images whose class the
    features tell out of fold, 0..1; None where too few were judged.
    """

    by_gradients: bool
    short_side_px: int
    accuracy: float | None


def scorecard(
    planted: Planted, grades: Sequence[Grade], findings: Sequence[Finding], *, folder: Path
) -> list[str]:
    """All lines, from what was planted to what was missed. folder: where the planted files lie."""
    n_own = sum(bool(file.yours) and not file.copy_of for file in planted.files)
    drawn = (
        f"{n_own} of your {planted.n_images} images"
        if n_own < planted.n_images
        else f"your {n_own} images"
    )
    n_faults = len(planted.files) - len(planted.of_kind(""))
    classes = {file.truth for file in planted.files if file.truth}
    of = f" of {planted.n_classes}" if len(classes) < planted.n_classes else ""
    where = f"a copy of {drawn}, {len(classes)}{of} classes, seed {planted.seed}"
    lines = [f"Scorecard: {n_faults} faults planted in {where}", *card(grades), HARDER, ""]
    if not findings:
        return [*lines, "Missed: nothing"]
    return [
        *lines,
        f"Missed, or to be looked at ({len(findings)}), below {folder}/images",
        *_listed(findings),
    ]


def weak_points(
    figures: Mapping[str, float], features: Features, *, smallest_class: int
) -> Iterator[str]:
    """Where the figures are weak on these images, and what would help; one sentence or two each."""
    if figures["labels_recall"] < WEAK_LABELS:
        n_missed = figures["labels_planted"] - figures["labels_found"]
        missed = f"{n_missed:.0f} of {figures['labels_planted']:.0f} were not doubted"
        yield f"Wrong labels: {missed}. {_what_features(features)}"
    if figures["copies_found"] < WEAK_COPIES * figures["copies_planted"]:
        yield "Copies: many were not found. docs/duplicates.md says which kinds are not, and at which sizes."
    if figures["leaks"]:
        told = "give such images a subject (`perennial init --subject`, docs/labels.md)"
        yield f"Leaks: the accuracy is too high where test images were trained on; {told}."
    if smallest_class < FEW_OF_A_CLASS:
        yield f"The smallest class has {smallest_class} images: neither its labels nor its accuracy can be judged well."
    if figures["n_test"] < FEW_TEST_IMAGES:
        yield f"The accuracy is of {figures['n_test']:.0f} test images only; more images (COUNT=) make it surer."
    if figures["top1_true"] <= figures["top1_floor"]:
        yield "The model is no better than always naming the commonest class: train longer, from weights, on more images."


def _what_features(features: Features) -> str:
    """What the images are compared by, how much that knows, and what may know more."""
    by = "gradients" if features.by_gradients else "an embedding"
    knows = "too few images were judged"
    if features.accuracy is not None:
        knows = f"this tells the right class of {percent(features.accuracy)} of the images"
    if features.short_side_px < EMBEDDED_FROM_PX:
        helps = f"Images of {features.short_side_px} px show little; larger ones would be told apart better"
    elif features.by_gradients:
        helps = (
            "Set inspect.embedding_weights to builtin:efficientnet_lite0, which knows photographs"
        )
    else:
        helps = "More images per class help, or weights trained on images like yours (docs/backbones.md)"
    return f"Images are compared by {by}; {knows}. {helps}."


def _listed(findings: Sequence[Finding]) -> Iterator[str]:
    """The first of each kind; score.json has all."""
    for what in dict.fromkeys(finding.what for finding in findings):
        of_kind = [finding for finding in findings if finding.what == what]
        yield f"  {what}: {len(of_kind)}"
        for finding in of_kind[:SHOWN_OF_A_KIND]:
            yours = f" (yours: {finding.file.yours})" if finding.file.yours else ""
            yield f"    {finding.file.member}: {finding.words}{yours}"
        if len(of_kind) > SHOWN_OF_A_KIND:
            yield f"    and {len(of_kind) - SHOWN_OF_A_KIND} more in score.json"
