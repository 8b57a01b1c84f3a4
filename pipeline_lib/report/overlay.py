"""A map of evidence laid over the image that the network saw."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image

LEAST_PX = 280  # of a side, where nothing else is said
# From little to much: dark blue, red, orange, yellow. Brightness grows all the way, so that it reads without colours too.
COLOURS = np.array([[20, 25, 90], [178, 40, 60], [240, 130, 30], [255, 230, 90]], np.float32)
OPAQUE = 0.75  # at the strongest cell


def shown(pixels_HWC: npt.NDArray[np.uint8], least_px: int = LEAST_PX) -> Image.Image:
    """The image, enlarged in whole pixels where a side is shorter than `least_px`."""
    image = Image.fromarray(pixels_HWC)
    times = max(1, -(-least_px // min(image.size)))
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def overlay(
    pixels_HWC: npt.NDArray[np.uint8],
    evidence_hw: npt.NDArray[np.float32],
    least_px: int = LEAST_PX,
) -> Image.Image:
    """The image in grey under the map: the stronger the evidence, the brighter and the more opaque its colour."""
    image = shown(pixels_HWC, least_px)
    strength_HW = _enlarged(np.asarray(evidence_hw, np.float32), image.size)
    grey = np.asarray(image.convert("L"), np.float32)[..., None] * 0.8 + 25
    opaque = OPAQUE * np.sqrt(strength_HW)[..., None]
    mixed = grey * (1 - opaque) + _coloured(strength_HW) * opaque
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def strip(maps_Chw: npt.NDArray[np.float32], side_px: int = 96) -> Image.Image:
    """Feature maps side by side, each cell a square."""
    n_maps = len(maps_Chw)
    row = Image.new("RGB", (n_maps * (side_px + 6) - 6, side_px), "white")
    for n, map_hw in enumerate(maps_Chw):
        cells = Image.fromarray(_coloured(map_hw).astype(np.uint8))
        row.paste(
            cells.resize((side_px, side_px), Image.Resampling.NEAREST), (n * (side_px + 6), 0)
        )
    return row


def _enlarged(
    evidence_hw: npt.NDArray[np.float32], size: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """At the size of the image, 0..1."""
    highest = float(evidence_hw.max()) or 1.0
    cells = Image.fromarray((evidence_hw / highest).astype(np.float32))
    return np.asarray(cells.resize(size, Image.Resampling.BILINEAR))


def _coloured(strength_HW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """0..1 -> RGB, 0..255."""
    at = strength_HW.clip(0, 1) * (len(COLOURS) - 1)
    low = np.minimum(at.astype(int), len(COLOURS) - 2)
    part = (at - low)[..., None]
    mixed: npt.NDArray[np.float32] = COLOURS[low] * (1 - part) + COLOURS[low + 1] * part
    return mixed
