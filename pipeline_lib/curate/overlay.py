"""How one small view may lie over another: maps from the places of the one to those of the other.

The frames around both, or a search over scale and place, propose how, and the enhanced correlation coefficient
(Evangelidis and Psarakis, "Parametric image alignment using ECC maximization", 2008) refines it to an affine map.

Legend: H, W the side of a view (96), C red, green, blue.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX: Final = 96
HALF_PX: Final = 48  # the search is done at half the side
TEMPLATE_PX: Final = 36  # so the images may be shifted by 6 px of 48 to each side
PARTS_PX: Final = (
    27,
    29,
    31,
    33,
    35,
    36,
    37,
    39,
    42,
)  # the part of one that is laid over the other, of 48
RIM_PX: Final = 4  # the detail of a rim comes from what lies beyond it, in one of the two
DETAIL_SIGMA_PX: Final = 2.0
COARSE_SIDE: Final = 8
ORIENTATIONS_TRIED: Final = (
    4  # the likeliest: a symmetric image looks like its mirror image when it is coarse
)
CENTRED_SCALES: Final = (0.83, 0.9, 0.95, 1.05, 1.11, 1.2)
WORTH_REFINING: Final = 0.25  # under this, no map of the search starts near a copy
EVERYWHERE: Final = np.ones((SIDE_PX,) * 2, np.uint8)
AS_IT_IS: Final = np.eye(2, 3, dtype=np.float32)
STEPS: Final = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
FRAME_RANGE: Final = (
    12  # a line of a frame has all its pixels within this many levels, as in `inspect/hashes.py`
)
FRAME_PX: Final = 24  # the most that a frame takes of each side
cv2.setNumThreads(1)  # the same sums on every machine

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def places(a_HWC: Floats, b_HWC: Floats) -> Iterator[Floats]:
    """Affine maps from a's places to b's, the cheapest first."""
    yield AS_IT_IS
    a_HW, b_HW = luma(a_HWC), luma(b_HWC)
    a_detail_HW, b_detail_HW = detail(a_HW), detail(b_HW)
    yield from _searched(a_detail_HW, b_detail_HW)
    for place in _framed(a_HW, b_HW):
        yield place
        yield refined(a_detail_HW, b_detail_HW, place)


def _framed(a_HW: Floats, b_HW: Floats) -> list[Floats]:
    """Maps of all that the one shows, or all within its frame, to the same of the other."""
    whole = (0, 0, SIDE_PX, SIDE_PX)
    here, there = _within_frame(a_HW), _within_frame(b_HW)
    pairs = dict.fromkeys([(whole, there), (here, whole), (here, there)])
    return [_box_to_box(one, other) for one, other in pairs if one != other]


def _within_frame(grey_HW: Floats) -> tuple[int, int, int, int]:
    """Box (left, top, right, bottom) within plain lines at the edges."""
    top, bottom = _busy(grey_HW)
    left, right = _busy(grey_HW.T)
    return left, top, right, bottom


def _busy(lines_LP: Floats) -> tuple[int, int]:
    busy = np.flatnonzero(np.ptp(lines_LP, axis=1) > FRAME_RANGE)
    if not len(busy):
        return 0, SIDE_PX
    return min(int(busy[0]), FRAME_PX), max(int(busy[-1]) + 1, SIDE_PX - FRAME_PX)


def _box_to_box(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> Floats:
    across, down = ((other[at + 2] - other[at]) / (one[at + 2] - one[at]) for at in (0, 1))
    return np.array(
        [[across, 0, other[0] - across * one[0]], [0, down, other[1] - down * one[1]]], np.float32
    )


def places_about_the_centre(a_HW: Floats, b_HW: Floats) -> list[Floats]:
    """Maps refined by brightness from b enlarged or shrunk about its centre: plain images have too little detail."""
    places = []
    for scale in CENTRED_SCALES:
        shift = SIDE_PX / 2 * (1 - scale)
        places.append(
            refined(a_HW, b_HW, np.array([[scale, 0, shift], [0, scale, shift]], np.float32))
        )
    return places


def refined(a_HW: Floats, b_HW: Floats, place: Floats) -> Floats:
    """The map from a's places to b's by which they correlate best, from `place` on; `place` where there is none."""
    try:
        found = cv2.findTransformECC(
            a_HW, b_HW, place.copy(), cv2.MOTION_AFFINE, STEPS, EVERYWHERE, 5
        )[1]
    except cv2.error:  # "the images may be uncorrelated": the place it started from stands
        return place
    return np.asarray(found, dtype=np.float32)


def likeliest_forms(a_HWC: Bytes, b_HWC: Bytes) -> list[Bytes]:
    """b in the orientations whose coarse brightness is most like that of a, the likeliest first."""
    forms = [
        form
        for upright in (b_HWC, b_HWC.transpose(1, 0, 2))
        for form in (upright, upright[:, ::-1])
    ]
    forms += [form[::-1] for form in forms]
    coarse = [_coarse(form) for form in (a_HWC, *forms)]
    order = np.argsort([-float((coarse[0] * form).sum()) for form in coarse[1:]], kind="stable")
    return [forms[at] for at in order[:ORIENTATIONS_TRIED]]


def _coarse(pixels_HWC: Bytes) -> Floats:
    block = SIDE_PX // COARSE_SIDE
    cells = (
        pixels_HWC.astype(np.float32).mean(axis=2).reshape(COARSE_SIDE, block, COARSE_SIDE, block)
    )
    cells = cells.mean(axis=(1, 3))
    return np.asarray(cells - cells.mean(), dtype=np.float32)


def _searched(a_HW: Floats, b_HW: Floats) -> Iterator[Floats]:
    """Affine maps from a's places to b's: the best of the search, and the same refined."""
    small_a, small_b = _half(a_HW), _half(b_HW)
    score, forward = _laid_over(small_a, small_b)
    other, backward = _laid_over(small_b, small_a)
    if other > score:
        score, forward = other, cv2.invertAffineTransform(backward).astype(np.float32)
    yield forward
    if score >= WORTH_REFINING:
        yield refined(a_HW, b_HW, forward)


def _half(grey_HW: Floats) -> Floats:
    half = cv2.resize(grey_HW, (HALF_PX,) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(half, dtype=np.float32)


def _laid_over(here_HW: Floats, there_HW: Floats) -> tuple[float, Floats]:
    """The best place of here's centre in there: its correlation, and the map from here's places to there's, at 96."""
    best, place = -1.0, AS_IT_IS
    for part_px in PARTS_PX:
        margin = (HALF_PX - part_px) // 2
        part = here_HW[margin : margin + part_px, margin : margin + part_px]
        template = cv2.resize(
            np.ascontiguousarray(part), (TEMPLATE_PX,) * 2, interpolation=cv2.INTER_LINEAR
        )
        found = cv2.matchTemplate(there_HW, template, cv2.TM_CCOEFF_NORMED)
        _, score, _, (left, top) = cv2.minMaxLoc(found)
        if score > best:
            scale, ratio = TEMPLATE_PX / part_px, SIDE_PX / HALF_PX
            shift = [(at - margin * scale) * ratio for at in (left, top)]
            best, place = score, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    return best, place


def ycc(pixels_HWC: Floats) -> Floats:
    """Luma and two chromas around 0, of ITU-R BT.601."""
    ycc = cv2.cvtColor(pixels_HWC, cv2.COLOR_RGB2YCrCb)
    return np.asarray(
        ycc - np.array([0, 0.5, 0.5], np.float32), dtype=np.float32
    )  # 0.5: OpenCV's middle for floats


def luma(pixels_HWC: Floats) -> Floats:
    return np.ascontiguousarray(ycc(pixels_HWC)[..., 0])


def blurred(pixels: Floats, sigma_px: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma_px), dtype=np.float32)


def detail(grey_HW: Floats) -> Floats:
    return np.asarray(grey_HW - blurred(grey_HW, DETAIL_SIGMA_PX), dtype=np.float32)


def shown(place: Floats) -> NDArray[np.bool_]:
    """Where both images show something, rims aside."""
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    inside = cv2.warpAffine(EVERYWHERE, place, (SIDE_PX,) * 2, flags=flags)
    return cv2.erode(inside, np.ones((2 * RIM_PX + 1,) * 2, np.uint8), borderValue=0).astype(bool)


def laid(b_HWC: Floats, place: Floats) -> Floats:
    """b brought to a's places."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(b_HWC, place, (SIDE_PX,) * 2, flags=flags), dtype=np.float32)
