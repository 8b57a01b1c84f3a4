"""Which part of a stored picture is shown, and how: the centre for evaluation, a keyed random view for training.

Views are drawn for a whole batch at once; N pictures.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.keyed_random import U64, Draw, random_uniform

CROP_TRIES = 10


@dataclass(frozen=True)
class Augmentation:
    """How training views vary. The defaults vary nothing: the evaluation view.

    scale_min: smallest share of the picture's area that a random crop may show, (0, 1]; 1 means no random crop.
    ratio_max: crops are at most this much wider than high, or higher than wide; 1 or more.
    flip: mirror every second view, left to right (wrong for digits, text and signs).
    shift_px: move the finished view by up to this many pixels each way; what comes in at the border repeats the edge.
    """

    scale_min: float = 1.0
    ratio_max: float = 4 / 3
    flip: bool = False
    shift_px: int = 0

    def __post_init__(self) -> None:
        assert 0 < self.scale_min <= 1 <= self.ratio_max and self.shift_px >= 0, self


@dataclass(frozen=True)
class Views:
    """boxes_N4: top, left, height, width of the part shown, in stored pixels. shifts_N2: down, right, in shown ones."""

    boxes_N4: Array
    flips_N: Array
    shifts_N2: Array


def centre_views(heights_N: Array, widths_N: Array) -> Views:
    """The evaluation view: the largest centred square, as `pixels.centre_square` cuts it."""
    sides = np.minimum(heights_N, widths_N)
    boxes = np.stack([(heights_N - sides) // 2, (widths_N - sides) // 2, sides, sides], axis=1)
    return Views(boxes, np.zeros(len(sides), bool), np.zeros((len(sides), 2), np.int64))


def draw_views(
    augmentation: Augmentation | None, keys_N: U64, heights_N: Array, widths_N: Array, *, seed: int, epoch: int
) -> Views:
    """The views of one epoch, keyed by (seed, epoch, picture); None gives the evaluation view."""
    views = centre_views(heights_N, widths_N)
    if augmentation is None:
        return views

    def uniform(draw: int) -> Array:
        return random_uniform(keys_N, draw, seed=seed, epoch=epoch)

    boxes = views.boxes_N4
    if augmentation.scale_min < 1:
        tries = [(uniform(Draw.TRY + 2 * n), uniform(Draw.TRY + 2 * n + 1)) for n in range(CROP_TRIES)]
        corner = (uniform(Draw.CROP_TOP), uniform(Draw.CROP_LEFT))
        boxes = _random_crops(augmentation, heights_N, widths_N, tries=tries, corner=corner)
    steps = 2 * augmentation.shift_px + 1
    shifts = [np.floor(uniform(draw) * steps).astype(np.int64) for draw in (Draw.SHIFT_Y, Draw.SHIFT_X)]
    flips = uniform(Draw.FLIP) < (0.5 if augmentation.flip else 0)
    return Views(boxes, flips, np.stack(shifts, axis=1) - augmentation.shift_px)


def _random_crops(
    augmentation: Augmentation,
    heights_N: Array,
    widths_N: Array,
    *,
    tries: list[tuple[Array, Array]],
    corner: tuple[Array, Array],
) -> Array:
    """Random-resized crop: area uniform, log of the aspect uniform; the first try that fits, else a centred crop.

    Source: Szegedy et al., "Going deeper with convolutions", 2014; rules as in torchvision's RandomResizedCrop.
    """
    crop_h, crop_w = _fallback(augmentation.ratio_max, heights_N, widths_N)
    top, left = (heights_N - crop_h) // 2, (widths_N - crop_w) // 2
    undecided = np.ones(len(heights_N), bool)
    for area_u, ratio_u in tries:
        area = heights_N * widths_N * (augmentation.scale_min + (1 - augmentation.scale_min) * area_u)
        ratio = np.exp(np.log(augmentation.ratio_max) * (2 * ratio_u - 1))
        h, w = np.rint(np.sqrt(area / ratio)).astype(np.int64), np.rint(np.sqrt(area * ratio)).astype(np.int64)
        fits = undecided & (h > 0) & (w > 0) & (h <= heights_N) & (w <= widths_N)
        crop_h, crop_w = np.where(fits, h, crop_h), np.where(fits, w, crop_w)
        top = np.where(fits, np.floor(corner[0] * (heights_N - h + 1)), top)
        left = np.where(fits, np.floor(corner[1] * (widths_N - w + 1)), left)
        undecided &= ~fits
    return np.stack([top, left, crop_h, crop_w], axis=1).astype(np.int64)


def _fallback(ratio_max: float, heights_N: Array, widths_N: Array) -> tuple[Array, Array]:
    """The largest crop whose aspect is allowed."""
    crop_h = np.minimum(heights_N, np.rint(widths_N * ratio_max)).astype(np.int64)
    crop_w = np.minimum(widths_N, np.rint(heights_N * ratio_max)).astype(np.int64)
    return crop_h, crop_w
