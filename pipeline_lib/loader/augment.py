"""Which part of a stored picture is shown, and how: the centre for evaluation, a keyed random view for training.

Views are drawn for a whole batch at once; N pictures. What the numbers do to the pixels is in effects.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.keyed_random import U64, Draw, random_uniform

CROP_TRIES = 10
UNMOVED = (0.0, 1.0, 0.0)  # a row of warps_N3


@dataclass(frozen=True)
class Augmentation:
    """How training views vary. The defaults vary nothing: the evaluation view.

    scale_min: smallest share of the picture's area that a random crop may show, (0, 1]; 1 means no random crop.
    ratio_max: crops are at most this much wider than high, or higher than wide; 1 or more.
    flip: mirror every second view, left to right (wrong for digits, text and signs).
    shift_px: move the finished view by up to this many pixels each way; what comes in at the border repeats the edge.
    rotation_deg, shear_deg: turn and slant it by up to so many degrees, either way.
    zoom, brightness, contrast, saturation: multiply by a factor between 1 - value and 1 + value, uniform; zoom < 1.
    cutout_px: hide a square of this side; 0 hides nothing.
    """

    scale_min: float = 1.0
    ratio_max: float = 4 / 3
    flip: bool = False
    shift_px: int = 0
    rotation_deg: float = 0.0
    zoom: float = 0.0
    shear_deg: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    cutout_px: int = 0

    def __post_init__(self) -> None:
        assert 0 < self.scale_min <= 1 <= self.ratio_max and self.shift_px >= 0 and self.cutout_px >= 0, self
        assert 0 <= self.rotation_deg <= 180 and 0 <= self.shear_deg < 90 and 0 <= self.zoom < 1, self
        assert all(0 <= value <= 1 for value in (self.brightness, self.contrast, self.saturation)), self


@dataclass(frozen=True)
class Views:
    """What is shown of N pictures. In stored pixels only the boxes; the rest is about the finished view."""

    boxes_N4: Array  # top, left, height, width of the part shown
    flips_N: Array
    shifts_N2: Array  # pixels down, right
    warps_N3: Array  # rotation in degrees clockwise, zoom factor, shear in degrees
    colours_N3: Array  # factors of brightness, contrast, saturation
    cutouts_N2: Array  # centre of the hidden square, down and right, shares of the side in [0, 1)
    cutout_px: int = 0

    @cached_property
    def has_effects(self) -> bool:
        """Whether `apply_effects` changes any picture of the batch."""
        moved = self.shifts_N2.any() or (self.warps_N3 != UNMOVED).any()
        return bool(moved or (self.colours_N3 != 1).any() or self.cutout_px)


def centre_views(heights_N: Array, widths_N: Array) -> Views:
    """The evaluation view: the largest centred square, as `pixels.centre_square` cuts it."""
    sides = np.minimum(heights_N, widths_N)
    boxes = np.stack([(heights_N - sides) // 2, (widths_N - sides) // 2, sides, sides], axis=1)
    n, none = len(sides), np.zeros((len(sides), 2))
    return Views(boxes, np.zeros(n, bool), none.astype(np.int64), np.tile(UNMOVED, (n, 1)), np.ones((n, 3)), none)


def draw_views(
    augmentation: Augmentation | None, keys_N: U64, heights_N: Array, widths_N: Array, *, seed: int, epoch: int
) -> Views:
    """The views of one epoch, keyed by (seed, epoch, picture); None gives the evaluation view."""
    views = centre_views(heights_N, widths_N)
    if augmentation is None:
        return views

    def uniform(draw: int) -> Array:
        return random_uniform(keys_N, draw, seed=seed, epoch=epoch)

    def within(limit: float, draw: int) -> Array:
        return limit * (2 * uniform(draw) - 1) if limit else np.zeros(len(keys_N))

    boxes = views.boxes_N4
    if augmentation.scale_min < 1:
        tries = ((uniform(Draw.TRY + 2 * n), uniform(Draw.TRY + 2 * n + 1)) for n in range(CROP_TRIES))
        corner = (uniform(Draw.CROP_TOP), uniform(Draw.CROP_LEFT))
        boxes = _random_crops(augmentation, heights_N, widths_N, tries=tries, corner=corner)
    steps = 2 * augmentation.shift_px + 1
    shifts = [np.floor(uniform(draw) * steps).astype(np.int64) for draw in (Draw.SHIFT_Y, Draw.SHIFT_X)]
    warps = [within(augmentation.rotation_deg, Draw.ROTATION), 1 + within(augmentation.zoom, Draw.ZOOM)]
    colours = [within(augmentation.brightness, Draw.BRIGHTNESS), within(augmentation.contrast, Draw.CONTRAST)]
    return Views(
        boxes,
        uniform(Draw.FLIP) < (0.5 if augmentation.flip else 0),
        np.stack(shifts, axis=1) - augmentation.shift_px,
        np.stack([*warps, within(augmentation.shear_deg, Draw.SHEAR)], axis=1),
        1 + np.stack([*colours, within(augmentation.saturation, Draw.SATURATION)], axis=1),
        np.stack([uniform(Draw.CUTOUT_Y), uniform(Draw.CUTOUT_X)], axis=1),
        augmentation.cutout_px,
    )


def _random_crops(
    augmentation: Augmentation,
    heights_N: Array,
    widths_N: Array,
    *,
    tries: Iterator[tuple[Array, Array]],
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
        if not undecided.any():
            break
    return np.stack([top, left, crop_h, crop_w], axis=1).astype(np.int64)


def _fallback(ratio_max: float, heights_N: Array, widths_N: Array) -> tuple[Array, Array]:
    """The largest crop whose aspect is allowed."""
    crop_h = np.minimum(heights_N, np.rint(widths_N * ratio_max)).astype(np.int64)
    crop_w = np.minimum(widths_N, np.rint(heights_N * ratio_max)).astype(np.int64)
    return crop_h, crop_w
