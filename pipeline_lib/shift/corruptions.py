"""Corruptions of images as a network sees them: six kinds that cameras and networks make, each in three strengths.

After Hendrycks and Dietterich, "Benchmarking neural network robustness to common corruptions and perturbations" (2019,
arXiv 1903.12261). Taken over: the kinds, and the range of their strengths 1, 3 and 5. ImageNet-C (224 px) and CIFAR-10-C
(32 px) have separate constants; here a power of the side leads from one to the other, so that any side has strengths of
its own. Other than there: three strengths, not five; six kinds, not fifteen; brightness goes up for half of the images
and down for the rest; fog is even, without clouds. What is random is keyed by image_id: an image is corrupted in the same
way whatever is beside it.

Images are uint8 RGB [H, W, 3], square; a shade is 0..1.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline_lib.shift.names import KINDS, Kind

Image3 = npt.NDArray[np.uint8]
Level = tuple[float, float, float]  # of strengths 1, 2 and 3

SIDE_PX: Final = 224  # to which the following constants apply
NOISE_SHADES: Final[Level] = (0.08, 0.15, 0.30)  # standard deviation
BLUR_RADIUS_PX: Final[Level] = (3.0, 6.0, 10.0)
JPEG_SCALE: Final[Level] = (
    2.0,
    3.5,
    6.5,
)  # of the standard's quantisation tables: quality 25, 14, 8
BRIGHTNESS: Final[Level] = (1.5, 2.2, 3.5)  # factor of all shades, or its inverse
CLEAR: Final[Level] = (0.55, 0.35, 0.2)  # share of light that passes the fog
LEFT_PX: Final[Level] = (100.0, 70.0, 45.0)  # of low resolution
FOG_SHADE: Final = 0.85
FINER: Final = 8  # samples per pixel and direction, of the edge of a blur's disc


def corrupt(image_HWC: Image3, kind: Kind, strength: int, *, key: int) -> Image3:
    """Return a corrupted copy. strength: 1 to 3. key: of the image (`loader.augmentation.image_keys`)."""
    return _CORRUPTION[kind](image_HWC, strength - 1, key)


def _noise(image_HWC: Image3, level: int, key: int) -> Image3:
    """Gaussian noise of each pixel and colour, as of a sensor in the dark."""
    deviation = 255 * NOISE_SHADES[level] * _relative(image_HWC) ** 0.5
    random = np.random.default_rng([key, KINDS.index("noise")])
    noise_HWC = random.standard_normal(image_HWC.shape, np.float32)
    return _as_bytes(image_HWC + np.float32(deviation) * noise_HWC)


def _blur(image_HWC: Image3, level: int, _: int) -> Image3:
    """Out of focus: every point becomes a disc."""
    kernel = _disc(BLUR_RADIUS_PX[level] * _relative(image_HWC) ** 0.8)
    shades_HWC = image_HWC.astype(np.float32)
    return _as_bytes(cv2.filter2D(shades_HWC, -1, kernel, borderType=cv2.BORDER_REFLECT))


def _jpeg(image_HWC: Image3, level: int, _: int) -> Image3:
    """Stored as a small JPEG, with colours at half the resolution."""
    # The quality whose tables are this multiple of the standard's, by libjpeg's own rule.
    scale = JPEG_SCALE[level] * _relative(image_HWC) ** 0.8
    quality = round(50 / scale if scale > 1 else 100 - 50 * scale)
    file = io.BytesIO()
    Image.fromarray(image_HWC).save(file, "JPEG", quality=max(quality, 1), subsampling="4:2:0")
    return np.array(Image.open(file))


def _brightness(image_HWC: Image3, level: int, key: int) -> Image3:
    """Exposed for too short or too long: which of both is up to the key."""
    factor = BRIGHTNESS[level]
    return _as_bytes(image_HWC * np.float32(factor if key % 2 else 1 / factor))


def _fog(image_HWC: Image3, level: int, _: int) -> Image3:
    """Part of the light is replaced by that of an even grey fog (Koschmieder 1924)."""
    clear = np.float32(CLEAR[level])
    return _as_bytes(clear * image_HWC + (1 - clear) * np.float32(255 * FOG_SHADE))


def _low_resolution(image_HWC: Image3, level: int, _: int) -> Image3:
    """Far away, or from a poor camera: few pixels, shown large."""
    side = len(image_HWC)
    left = min(side, max(1, round(LEFT_PX[level] * _relative(image_HWC) ** (2 / 3))))
    few = Image.fromarray(image_HWC).resize((left, left), Image.Resampling.BOX)
    return np.array(few.resize((side, side), Image.Resampling.NEAREST))


_CORRUPTION: Final[Mapping[Kind, Callable[[Image3, int, int], Image3]]] = {
    "noise": _noise,
    "blur": _blur,
    "jpeg": _jpeg,
    "brightness": _brightness,
    "fog": _fog,
    "low_resolution": _low_resolution,
}


def _relative(image_HWC: Image3) -> float:
    return len(image_HWC) / SIDE_PX


def _as_bytes(image_HWC: npt.NDArray[Any]) -> Image3:
    shades_HWC: Image3 = np.clip(np.rint(image_HWC), 0, 255).astype(np.uint8)
    return shades_HWC


def _disc(radius_px: float) -> npt.NDArray[np.float32]:
    """A disc of sum 1; pixels at its edge count by the share that is inside."""
    reach = max(1, math.ceil(radius_px - 0.5))
    n_pixels = 2 * reach + 1
    places = (np.arange(FINER * n_pixels) + 0.5) / FINER - n_pixels / 2
    inside = places[:, None] ** 2 + places**2 <= radius_px**2
    disc = inside.reshape(n_pixels, FINER, n_pixels, FINER).mean((1, 3))
    kernel: npt.NDArray[np.float32] = (disc / disc.sum()).astype(np.float32)
    return kernel
