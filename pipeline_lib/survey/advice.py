"""From a survey to a params.yaml: the recipe and sizes that suit the pictures."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pipeline_lib.errors import SourceMissing
from pipeline_lib.memo import digest
from pipeline_lib.survey.look import Survey
from pipeline_lib.train.recipes import RECIPES

SMALL_PX = 64  # up to this short side pictures are trained on as they are
SHARDS = 10  # a small source is cut into about this many, so that a change touches a part of it only
LEAST_BATCH = 16  # below, batch statistics are too rough to normalise by
MIN_TARGET_BYTES, MAX_TARGET_BYTES = 1 << 16, 1 << 30
TEMPLATE = """\
# Everything that changes results, one section per stage; `perennial params` says what every key means, with its bounds.
# Written for {uri} ({summary}).
discover:
  refresh: always  # look at the source at each run; never: keep the last listing; 24: after a day
  sources:
    - name: {name}
      uri: {uri}
      layout: {layout}  # what was recognised; class_folders, split_class_folders, flat or auto
{votes}
download:
  # A shard, the unit of work and reuse, is about this large.
  shard_min_bytes: {min_bytes}
  shard_target_bytes: {target_bytes}
  shard_max_bytes: {max_bytes}

inspect:
  min_side_px: {min_side_px}  # smaller pictures are set aside as too_small

curate: {{}}

convert:
  short_side_px: {short_side_px}  # {convert_why}

train:
  recipe: {recipe}  # {recipe_why}
{train_more}
evaluate: {{}}

register: {{}}
"""


def recommended_params(survey: Survey, *, name: str, weights: Path | None = None) -> str:
    """The text of a params.yaml for a source. weights: a local pretrained file, named as it is to stand there.

    Raises SourceMissing when the weight file is not there.
    """
    side_px = survey.short_side_px or SMALL_PX + 1
    is_small = side_px <= SMALL_PX and weights is None
    target = 1 << (min(max(survey.size_bytes // SHARDS, MIN_TARGET_BYTES), MAX_TARGET_BYTES) - 1).bit_length()
    needs_votes = not survey.classes
    return TEMPLATE.format(
        uri=_quoted(survey.uri),
        name=name,
        summary=f"{survey.n_images} pictures, {len(survey.classes)} classes, median short side {side_px} px",
        layout=survey.layout,
        votes="      votes: null  # no class folders: name a CSV with the columns member,annotator,label\n"
        if needs_votes
        else "",
        min_bytes=target // 4,
        target_bytes=target,
        max_bytes=target * 2,
        min_side_px=8 if is_small else 32,
        **_training(survey, side_px, weights, is_small=is_small),
    )


def _training(survey: Survey, side_px: int, weights: Path | None, *, is_small: bool) -> dict[str, object]:
    """Recipe, network input and the size to keep, with their reasons."""
    if weights is not None:
        more = [
            f"  weights: {_quoted(str(weights))}",
            f"  weights_sha256: {_sha256(weights)}",
            *_network(weights),
            *_steps("finetune", survey.n_images),
        ]
        why = "photographs, starting from a pretrained weight file"
        return _section("finetune", why, 256, "the network sees 224 px; crops need some room", more)
    if is_small:
        side = 32 if side_px <= 32 else 64
        more = [f"  side_px: {side}  # what the network sees", *_steps("quick", survey.n_images)]
        return _section("quick", "small pictures, no mirroring", None, "small pictures keep their size", more)
    side = 64 if side_px < 96 else 128
    more = [f"  side_px: {side}  # what the network sees", *_steps("photo", survey.n_images)]
    why = "photographs from scratch; with a weight file, finetune does better on few pictures"
    return _section("photo", why, side + side // 4, f"the network sees {side} px; crops need some room", more)


def _section(
    recipe: str, recipe_why: str, short_side_px: int | None, convert_why: str, more: list[str]
) -> dict[str, object]:
    return {
        "recipe": recipe,
        "recipe_why": recipe_why,
        "short_side_px": short_side_px or "null",
        "convert_why": convert_why,
        "train_more": "".join(f"{line}\n" for line in more),
    }


def _network(weights: Path) -> list[str]:
    """The network, where the file is named after it as torchvision's are (`resnet50-0676ba61.pth`)."""
    named = re.match(r"resnet\d+", weights.name)
    return [f"  network: {named[0]}"] if named else ["  # network: the torchvision name of what the weights belong to"]


def _steps(recipe: str, n_images: int) -> list[str]:
    """Smaller batches for few pictures, so that an epoch has about ten steps; SGD's rate shrinks with them.

    The rate is proportional to the batch: Goyal et al. 2017, arXiv 1706.02677.
    """
    usual = RECIPES[recipe]
    batch_size = max(LEAST_BATCH, 1 << max(n_images * 7 // 100, 1).bit_length() - 1)
    if batch_size >= usual.batch_size:
        return []
    lines = [f"  batch_size: {batch_size}  # few pictures: more steps of fewer"]
    if usual.optimiser == "sgd":
        rate = usual.peak_learning_rate * batch_size / usual.batch_size
        lines.append(f"  peak_learning_rate: {rate:g}  # in proportion")
    return lines


def _sha256(weights: Path) -> str:
    if not weights.is_file():
        raise SourceMissing(
            "no such weight file", file=weights, remedy="name a .safetensors or .pth file that exists, or leave it out"
        )
    return digest(weights)


def _quoted(text: str) -> str:
    """A YAML scalar: plain where that is safe, else as JSON, which YAML reads."""
    is_plain = text.isascii() and all(letter.isalnum() or letter in "/._-" for letter in text.replace("s3://", "s3", 1))
    return text if is_plain and text[0] not in "-." and not text[0].isdigit() else json.dumps(text)
