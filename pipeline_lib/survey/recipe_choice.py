"""From a survey to a params.yaml: the recipe and sizes that suit the images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.inspect.feature_choice import FeatureChoice, choose_features, describes_images
from pipeline_lib.safe_text import visible
from pipeline_lib.survey.entries import SurveyedSource, pooled, quoted
from pipeline_lib.survey.look import Survey
from pipeline_lib.survey.subject_splits import split_subjects
from pipeline_lib.survey.weight_choice import TO_FETCH, WeightChoice, Weights
from pipeline_lib.train.recipes import RECIPES

SMALL_PX = 64  # up to this short side images are trained on as they are
SHARDS = (
    10  # a small source is cut into about this many, so that a change touches a part of it only
)
LEAST_BATCH = 16  # below, batch statistics are too rough to normalise by
# Steps in which a network learns its images from scratch: benchmarks/results/small_trainings.json
LEAST_STEPS = 400
MIN_TARGET_BYTES, MAX_TARGET_BYTES = 1 << 16, 1 << 30
FEW_IMAGES = 100_000  # up to here photographs gain from weights that saw a million others; a choice, not measured here
NOTHING = WeightChoice(None)
SALT = "  split_salt: '{}'  # the first that puts subjects of every class into each split, as far as there are enough"
TEMPLATE = """\
# Everything that changes results, one section per stage; `perennial params` says what every key means, with its bounds.
# Written for {uri} ({summary}).
discover:
  refresh: always  # look at the source at each run; never: keep the last listing; 24: after a day
  sources:
{sources}
download:
  # A shard, the unit of work and reuse, is about this large.
  shard_min_bytes: {min_bytes}
  shard_target_bytes: {target_bytes}
  shard_max_bytes: {max_bytes}

inspect:
  min_side_px: {min_side_px}  # smaller images are set aside as too_small
  embedding_weights: {embedding}  # features: {embedding_why} (docs/backbones.md)

{curate}

convert:
  short_side_px: {short_side_px}  # {convert_why}

train:
  recipe: {recipe}  # {recipe_why}
{train_more}
evaluate: {{}}

register: {{}}
"""


@dataclass(frozen=True)
class Advice:
    """params: the text of a params.yaml. recipe: what it trains with. reason: why, as one clause.

    features: what curation compares images by, and why, as one clause. lacking: splits that few subjects leave without
    images of a class, such as `val of hat`.
    """

    params: str
    recipe: str
    reason: str
    features: str
    lacking: tuple[str, ...] = ()


def advise(
    survey: Survey,
    *,
    name: str,
    choice: WeightChoice = NOTHING,
    is_named: bool = False,
    others: Sequence[SurveyedSource] = (),
    entries: Sequence[str] | None = None,
) -> Advice:
    """The params.yaml for a source. choice: weights to start from; is_named: a person chose them.

    others: further sources of labelled images, which are trained on together. entries: the text of discover.sources,
    where it holds more than the source alone.
    """
    labelled = [SurveyedSource(name, survey), *others]
    entries = entries or [one.entry for one in labelled]
    survey = pooled(labelled)
    side_px = survey.short_side_px or SMALL_PX + 1
    weights = choice.weights
    features = choose_features(survey.short_side_px)
    if weights and is_named and describes_images(weights.name):
        features = FeatureChoice(
            weights.name, f"embedding by {weights.name}", "these weights were named"
        )
    if weights and (is_named or gains_from_weights(survey)):
        training = _finetune(survey, side_px, weights)
    elif side_px <= SMALL_PX:
        training = _small(survey, side_px)
    else:
        training = _from_scratch(survey, side_px)
    target = (
        1
        << (
            min(max(survey.size_bytes // SHARDS, MIN_TARGET_BYTES), MAX_TARGET_BYTES) - 1
        ).bit_length()
    )
    pairs = {
        (label, f"{one.name}:{subject}")
        for one in labelled
        for label, subject in one.found.subjects.pairs
    }
    splits = split_subjects(pairs, dict(survey.splits))
    usual_salt = CurateParams().split_salt
    params = TEMPLATE.format(
        uri=quoted(survey.uri),
        sources="".join(entries),
        summary=f"{survey.n_images} images, {len(survey.classes)} classes, median short side {side_px} px",
        min_bytes=target // 4,
        target_bytes=target,
        max_bytes=target * 2,
        min_side_px=8 if side_px <= SMALL_PX else 32,
        embedding=features.embedding_weights or "null",
        embedding_why=features.why,
        curate=f"curate:\n{SALT.format(splits.salt)}"
        if splits.salt != usual_salt
        else "curate: {}",
        recipe=training.recipe,
        recipe_why=training.why,
        short_side_px=training.short_side_px or "null",
        convert_why=training.convert_why,
        train_more="".join(
            f"  {line}\n" for line in [*training.lines, *_steps(training.recipe, _n_train(survey))]
        ),
    )
    return Advice(
        params,
        training.recipe,
        training.why,
        f"{features.meaning}, as {features.why}",
        splits.lacking,
    )


def gains_from_weights(survey: Survey) -> bool:
    """Whether these are photographs, and few."""
    side_px = survey.short_side_px or SMALL_PX + 1
    return side_px > SMALL_PX and survey.n_images <= FEW_IMAGES


@dataclass(frozen=True)
class _Training:
    """Recipe, the size to keep (None: as received) with their reasons, and further lines of the section train."""

    recipe: str
    why: str
    short_side_px: int | None
    convert_why: str
    lines: tuple[str, ...]


def _finetune(survey: Survey, side_px: int, weights: Weights) -> _Training:
    """Starting weights, the network they are of and the size they were trained at."""
    usual = RECIPES["finetune"]
    lines = [f"weights: {quoted(weights.name)}"]
    if weights.sha256:
        lines.append(f"weights_sha256: {weights.sha256}")
    if not weights.network:
        lines.append("# network: the torchvision name of what the weights belong to")
    elif weights.network != usual.network:
        lines.append(f"network: {weights.network}")
    if weights.side_px != usual.side_px:
        lines.append(f"side_px: {weights.side_px}  # what these weights are used to")
    where = visible(" ".join(weights.where.split()))  # one line: a comment ends with it
    why = f"{survey.n_images} photographs, starting from {weights.name} ({where})"
    if weights.name == weights.where:
        why = f"{survey.n_images} photographs, starting from {where}"
    if side_px <= weights.side_px <= SMALL_PX:
        return _Training("finetune", why, None, "small images keep their size", tuple(lines))
    return _Training(
        "finetune", why, weights.side_px * 8 // 7, _room(weights.side_px), tuple(lines)
    )


def _small(survey: Survey, side_px: int) -> _Training:
    side = 32 if side_px <= 32 else 64
    lines = (f"side_px: {side}  # what the network sees",)
    return _Training(
        "quick", "small images, no mirroring", None, "small images keep their size", lines
    )


def _from_scratch(survey: Survey, side_px: int) -> _Training:
    side = 64 if side_px < 96 else 128
    few = (
        "photographs from scratch, as no weights to start from are available; so few gain from them: "
        f"run `make setup`, or add `--weights {TO_FETCH}`"
    )
    many = f"photographs from scratch: {survey.n_images} are enough for it"
    why = many if survey.n_images > FEW_IMAGES else few
    lines = (f"side_px: {side}  # what the network sees",)
    return _Training("photo", why, side + side // 4, _room(side), lines)


def _room(side_px: int) -> str:
    return f"the network sees {side_px} px; crops need some room"


def _n_train(survey: Survey) -> int:
    """How many images will be trained on: those of a published split, or what `curate` leaves of all by default."""
    published = dict(survey.splits).get("train")
    return published or round(survey.n_images * 0.7)


def _steps(recipe: str, n_train: int) -> list[str]:
    """Smaller batches for few images, so that an epoch has about ten steps; from scratch, epochs enough for 400 steps.

    SGD's rate shrinks with the batch, in proportion: Goyal et al. 2017, arXiv 1706.02677.
    """
    usual, lines = RECIPES[recipe], []
    batch_size = max(LEAST_BATCH, 1 << max(n_train // 10, 1).bit_length() - 1)
    if batch_size < usual.batch_size:
        lines.append(f"batch_size: {batch_size}  # few images: more steps of fewer")
        if usual.optimiser == "sgd":
            rate = usual.peak_learning_rate * batch_size / usual.batch_size
            lines.append(f"peak_learning_rate: {rate:g}  # in proportion")
    steps = max(n_train // min(batch_size, usual.batch_size), 1)  # of an epoch
    # A probed head knows its images before the first step.
    if not usual.probe_epochs and usual.epochs * steps < LEAST_STEPS:
        epochs = math.ceil(LEAST_STEPS / steps)
        lines.append(f"epochs: {epochs}  # few images: {LEAST_STEPS} steps")
    return lines
