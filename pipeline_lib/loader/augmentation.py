"""Which part of a stored image is shown, and how: the centre for evaluation, a random view for training.

Every random number is a pure function of (seed, epoch, image, which draw): no state, no order, no threads. So a run can
be resumed at any step, workers can be any number, and an image keeps its draws when others come or go.

Views are drawn for a whole batch at once; N images. What the numbers do to the pixels is in render.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pydantic import Field

from pipeline_lib.betons.layout import Array
from pipeline_lib.loader.view_params import ViewParams

U64 = npt.NDArray[np.uint64]
MASK = 2**64 - 1
CROP_TRIES = 10


class Augmentation(ViewParams):
    """How training views vary: what params.yaml can say of them, and what is the same in all trainings.

    ratio_max: crops are at most this much wider than high, or higher than wide.
    """

    ratio_max: float = Field(4 / 3, ge=1)


@dataclass(frozen=True)
class Views:
    """What is shown of N images. Boxes are in stored pixels; everything else is about the finished view."""

    boxes_N4: Array  # top, left, height, width of the part shown
    flips_N: Array
    shifts_N2: Array  # pixels down, right
    rotations_N: Array  # degrees, clockwise
    zooms_N: Array  # factor
    shears_N: Array  # degrees
    brightness_N: Array  # factor
    contrast_N: Array  # factor
    saturation_N: Array  # factor
    cutouts_N2: Array  # centre of the hidden square, down and right, shares of the side in [0, 1)
    cutout_px: int = 0

    @cached_property
    def has_effects(self) -> bool:
        """Whether `apply_effects` changes any image of the batch."""
        if self.cutout_px or self.shifts_N2.any() or self.rotations_N.any() or self.shears_N.any():
            return True
        factors = (self.zooms_N, self.brightness_N, self.contrast_N, self.saturation_N)
        return any(bool((factor_N != 1).any()) for factor_N in factors)

    def part(self, which: slice) -> Views:
        """The views of some of the images."""
        columns = {
            field.name: getattr(self, field.name)[which]
            for field in fields(self)
            if field.name != "cutout_px"
        }
        return replace(self, **columns)


def centre_views(heights_N: Array, widths_N: Array) -> Views:
    """The evaluation view: the largest centred square, as `pixels.centre_square` cuts it."""
    n = len(heights_N)
    sides_N = np.minimum(heights_N, widths_N)
    tops_N = (heights_N - sides_N) // 2
    lefts_N = (widths_N - sides_N) // 2
    return Views(
        boxes_N4=np.stack([tops_N, lefts_N, sides_N, sides_N], axis=1),
        flips_N=np.zeros(n, bool),
        shifts_N2=np.zeros((n, 2), np.int64),
        rotations_N=np.zeros(n),
        zooms_N=np.ones(n),
        shears_N=np.zeros(n),
        brightness_N=np.ones(n),
        contrast_N=np.ones(n),
        saturation_N=np.ones(n),
        cutouts_N2=np.zeros((n, 2)),
    )


def draw_views(
    augmentation: Augmentation | None,
    keys_N: U64,
    heights_N: Array,
    widths_N: Array,
    *,
    seed: int,
    epoch: int,
) -> Views:
    """The views of one epoch, keyed by (seed, epoch, image); None gives the evaluation view."""
    centred = centre_views(heights_N, widths_N)
    if augmentation is None:
        return centred

    def uniform(draw: int) -> Array:
        return random_uniform(keys_N, draw, seed=seed, epoch=epoch)

    def within(limit: float, draw: int) -> Array:
        """Uniform between -limit and limit. What is switched off costs no random numbers."""
        return limit * (2 * uniform(draw) - 1) if limit else np.zeros(len(keys_N))

    # Where no crop is asked for, the whole centred square is shown, as in evaluation.
    boxes_N4 = centred.boxes_N4
    if augmentation.scale_min < 1:
        tries = (
            (uniform(Draw.TRY + 2 * n), uniform(Draw.TRY + 2 * n + 1)) for n in range(CROP_TRIES)
        )
        corner = (uniform(Draw.CROP_TOP), uniform(Draw.CROP_LEFT))
        boxes_N4 = _random_crops(augmentation, heights_N, widths_N, tries=tries, corner=corner)

    # Shifts are whole pixels: 2 * shift_px + 1 of them, equally likely.
    n_shifts = 2 * augmentation.shift_px + 1
    down_N, right_N = (
        np.floor(uniform(draw) * n_shifts).astype(np.int64) for draw in (Draw.SHIFT_Y, Draw.SHIFT_X)
    )
    return Views(
        boxes_N4=boxes_N4,
        flips_N=uniform(Draw.FLIP) < (0.5 if augmentation.flip else 0),
        shifts_N2=np.stack([down_N, right_N], axis=1) - augmentation.shift_px,
        rotations_N=within(augmentation.rotation_deg, Draw.ROTATION),
        zooms_N=1 + within(augmentation.zoom, Draw.ZOOM),
        shears_N=within(augmentation.shear_deg, Draw.SHEAR),
        brightness_N=1 + within(augmentation.brightness, Draw.BRIGHTNESS),
        contrast_N=1 + within(augmentation.contrast, Draw.CONTRAST),
        saturation_N=1 + within(augmentation.saturation, Draw.SATURATION),
        cutouts_N2=np.stack([uniform(Draw.CUTOUT_Y), uniform(Draw.CUTOUT_X)], axis=1),
        cutout_px=augmentation.cutout_px,
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
    # Begin with the fallback: the largest centred crop whose aspect is allowed.
    crop_h = np.minimum(heights_N, np.rint(widths_N * augmentation.ratio_max)).astype(np.int64)
    crop_w = np.minimum(widths_N, np.rint(heights_N * augmentation.ratio_max)).astype(np.int64)
    top = (heights_N - crop_h) // 2
    left = (widths_N - crop_w) // 2
    undecided = np.ones(len(heights_N), bool)
    for area_u, ratio_u in tries:
        # One try: a crop of a random area and aspect, which may be higher or wider than the image.
        area = (
            heights_N * widths_N * (augmentation.scale_min + (1 - augmentation.scale_min) * area_u)
        )
        ratio = np.exp(np.log(augmentation.ratio_max) * (2 * ratio_u - 1))
        h = np.rint(np.sqrt(area / ratio)).astype(np.int64)
        w = np.rint(np.sqrt(area * ratio)).astype(np.int64)
        fits = undecided & (h > 0) & (w > 0) & (h <= heights_N) & (w <= widths_N)

        # Images that had no crop yet take this one where it fits, at a random place.
        crop_h = np.where(fits, h, crop_h)
        crop_w = np.where(fits, w, crop_w)
        top = np.where(fits, np.floor(corner[0] * (heights_N - h + 1)), top)
        left = np.where(fits, np.floor(corner[1] * (widths_N - w + 1)), left)
        undecided &= ~fits
        if not undecided.any():
            break
    return np.stack([top, left, crop_h, crop_w], axis=1).astype(np.int64)


class Draw(IntEnum):
    """What a random number is for. Values are part of the result: never renumber; new ones from 66."""

    ORDER = 0
    FLIP = 1
    SHIFT_Y = 2
    SHIFT_X = 3
    CROP_TOP = 4
    CROP_LEFT = 5
    ROTATION = 6
    ZOOM = 7
    SHEAR = 8
    BRIGHTNESS = 9
    CONTRAST = 10
    SATURATION = 11
    CUTOUT_Y = 12
    CUTOUT_X = 13
    TRY = 16  # up to 63: 16 + 2 * number of the try: area of the crop; + 1: its aspect
    CLASS = 64
    IMAGE_OF_CLASS = 65


def image_keys(image_ids: Sequence[str]) -> U64:
    """A 64-bit key per image, from its image_id alone (blake2b)."""
    digests = b"".join(
        hashlib.blake2b(image_id.encode(), digest_size=8).digest() for image_id in image_ids
    )
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def repeated_keys(keys_N: U64, repetitions_N: npt.NDArray[np.int64]) -> U64:
    """The key of an image that was already shown this often in the epoch: its own key the first time."""
    return np.where(
        repetitions_N == 0, keys_N, _mix(keys_N ^ _mix(repetitions_N.astype(np.uint64)))
    )


def random_bits(keys_N: U64, draw: int, *, seed: int, epoch: int) -> U64:
    """64 random bits per image.

    Source: the output function of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014), chained over the parts of the key.
    """
    # The parts go through the mixer one by one, so that seed 0 in epoch 1 is not seed 1 in epoch 0.
    state = np.zeros(1, np.uint64)
    for part in (seed, epoch, draw):
        state = _mix(state ^ np.uint64(part & MASK))
    return _mix(_mix(keys_N) ^ state)


def random_uniform(keys_N: U64, draw: int, *, seed: int, epoch: int) -> npt.NDArray[np.float64]:
    """A number in [0, 1) per image, with 53 random bits."""
    return (random_bits(keys_N, draw, seed=seed, epoch=epoch) >> np.uint64(11)).astype(
        np.float64
    ) * 2.0**-53


def _mix(x: U64) -> U64:
    # Arrays of uint64 wrap around without a warning, which is what SplitMix64 means.
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
