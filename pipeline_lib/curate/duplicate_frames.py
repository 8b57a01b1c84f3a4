"""Which of two copies is the photograph, and which shows it on a screen, in a frame or under a caption.

An addition ends in a straight seam: along it one image jumps where the other goes on, or has its edge, and beyond it lies
mostly one colour. A crop of a photograph has no seam where it is cut.

Legend: H, W the side of a view (96), C red, green, blue, S samples along one side.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline_lib.curate.overlay import (
    DETAIL_SIGMA_PX,
    SIDE_PX,
    Bytes,
    Floats,
    blurred,
    laid,
    shown,
    ycc,
)

SAMPLES: Final = 48
CORNER: Final = 0.05  # of a side, left out at both ends
ACROSS_PX: Final = 2.0  # from a seam to where each side of it is looked at
EDGE_PX: Final = 2  # the same in whole lines, beside a band
LEAST_SHOWN: Final = 0.6  # of the samples
# In 560 planted copies (40 of each of 14 kinds) 157 of 160 frames, screens and captions below are told, 29 of 40 captions
# over, and 2 crops of 320 other copies are taken for the photograph inside a frame.
JUMP_LEVELS: Final = 16.0
JUMP_PART: Final = 0.9  # of the samples; the hem of a garment at a crop's edge is shorter
PLAIN_LEVELS: Final = 12.0
PLAIN_PART: Final = 0.7
# A caption: a band in which most places of each line differ.
BAND_LEVELS: Final = 16.0
BAND_PART: Final = 0.5
BAND_PX: Final = (3, 25)  # from a thirtieth to a fourth of the height


def additions(a_HWC: Bytes, b_HWC: Bytes, place: Floats) -> tuple[bool, bool]:
    """Which of two copies bears something beside the photograph, a, b or neither. place: a's places to b's."""
    back = np.asarray(cv2.invertAffineTransform(place), dtype=np.float32)
    framed = is_framed(a_HWC, back), is_framed(b_HWC, place)
    if any(framed):
        return framed
    a, b = a_HWC.astype(np.float32), b_HWC.astype(np.float32)
    band = caption_band(a, b, place)
    return (False, False) if band is None else bears_band(a, laid(b, place), band)


def is_framed(outer_HWC: Bytes, place: Floats) -> bool:
    """Whether an image shows another one as a part, with something else beyond a seam. place: the other's places to its.

    A seam along one side is enough: a caption below has no other.
    """
    last = SIDE_PX - 0.5
    corners = np.array([(-0.5, -0.5), (last, -0.5), (last, last), (-0.5, last)])
    corners = corners @ place[:, :2].T + place[:, 2]
    middle = corners.mean(axis=0)
    return any(_is_seam(outer_HWC, corners[at], corners[(at + 1) % 4], middle) for at in range(4))


def _is_seam(
    image_HWC: Bytes,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    middle: NDArray[np.float64],
) -> bool:
    """Whether the image jumps along a line to one colour on the side away from `middle`."""
    along = end - start
    outward = np.array([along[1], -along[0]]) / max(float(np.linalg.norm(along)), 1e-6)
    if outward @ (start - middle) < 0:
        outward = -outward
    line_S2 = start + np.linspace(CORNER, 1 - CORNER, SAMPLES)[:, None] * along
    beyond_S2 = line_S2 + ACROSS_PX * outward
    shown = ((beyond_S2 >= 0) & (beyond_S2 <= SIDE_PX - 1)).all(axis=1)
    if shown.mean() < LEAST_SHOWN:
        return False
    beyond, before = (
        _at(image_HWC, (line_S2 + distance * outward)[shown])
        for distance in (ACROSS_PX, -ACROSS_PX)
    )
    ground = np.abs(beyond - np.median(beyond, axis=0)).max(axis=1) <= PLAIN_LEVELS
    return bool(_jumps(beyond, before) and ground.mean() >= PLAIN_PART)


def caption_band(a_HWC: Floats, b_HWC: Floats, place: Floats) -> slice | None:
    """The lines of a that a caption in one of the two may cover; None where no band differs."""
    inside = shown(place)
    coarse = [blurred(ycc(one), DETAIL_SIGMA_PX) for one in (a_HWC, laid(b_HWC, place))]
    differs = (np.abs(coarse[0] - coarse[1]).sum(axis=-1) > BAND_LEVELS) & inside
    lines = differs.sum(axis=1) > BAND_PART * np.maximum(inside.sum(axis=1), 1)
    edges = np.flatnonzero(np.diff(np.r_[False, lines, False].astype(np.int8)))
    runs = edges.reshape(-1, 2)
    if not len(runs):
        return None
    start, stop = runs[np.argmax(runs[:, 1] - runs[:, 0])].tolist()
    if not BAND_PX[0] <= stop - start <= BAND_PX[1]:
        return None
    return slice(start, stop)


def bears_band(first_HWC: Floats, second_HWC: Floats, band: slice) -> tuple[bool, bool]:
    """Which of two images that lie over each other has a caption in these lines: it alone jumps at an edge of them."""
    edges = [edge for edge in (band.start, band.stop) if EDGE_PX < edge < SIDE_PX - EDGE_PX]
    first, second = (
        any(_jumps(image[edge - EDGE_PX], image[edge + EDGE_PX]) for edge in edges)
        for image in (first_HWC, second_HWC)
    )
    return first and not second, second and not first


def _at(image_HWC: Bytes, places_S2: NDArray[np.float64]) -> Floats:
    """The colours at some places, [S, C]."""
    across, down = (places_S2[:, axis].astype(np.float32)[None] for axis in (0, 1))
    found = cv2.remap(image_HWC, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(found[0], dtype=np.float32)


def _jumps(one_SC: Floats, other_SC: Floats) -> bool:
    """Whether most samples differ from their counterparts beyond a seam."""
    differs = np.abs(one_SC - other_SC).max(axis=1) >= JUMP_LEVELS
    return bool(differs.mean() >= JUMP_PART)
