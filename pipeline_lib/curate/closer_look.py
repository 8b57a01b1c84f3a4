"""Whether two photographs are one: texture and colour compared at 96 px, laid over each other exactly.

At 32 px grey, garments in the same pose agree like copies. At 96 px they do not, if the one is laid exactly over the
other: a search over scale and place proposes how, and the enhanced correlation coefficient (Evangelidis and Psarakis,
"Parametric image alignment using ECC maximization", 2008) refines it to an affine map. Light may differ by a gain,
which is fitted; hue may not. Measured on clothing photographs: docs/curation.md.

Legend: H, W the side of a view (96), C red, green, blue.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE_PX: Final = 96
HALF_PX: Final = 48  # the search is done at half the side
TEMPLATE_PX: Final = 36  # so the pictures may be shifted by 6 px of 48 to each side
PARTS_PX: Final = (27, 29, 31, 33, 35, 36, 37, 39, 42)  # the part of one that is laid over the other, of 48
DETAIL_SIGMA_PX: Final = 2.0
EVEN_SIGMA_PX: Final = 4.0
FAINT_LEVELS: Final = 4.0  # fainter detail may be noise of encoding
COARSE_SIDE: Final = 8
ORIENTATIONS_TRIED: Final = 4  # the likeliest: a symmetric picture looks like its mirror image when it is coarse
SURE: Final = 0.95  # as they stand: no other place is looked for
CENTRED_SCALES: Final = (0.83, 0.9, 0.95, 1.05, 1.11, 1.2)
WORTH_REFINING: Final = 0.25  # under this, no map of the search starts near a copy
EVERYWHERE: Final = np.ones((SIDE_PX,) * 2, np.uint8)
STEPS: Final = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
RIM_PX: Final = 4  # the detail of a rim comes from what lies beyond it, in one of the two
LEAST_OVERLAP: Final = 0.45  # of the area, rims aside; a crop of 80 % leaves .51
MOST_STRETCH: Final = 1.5
CHROMA_GAIN: Final = (0.6, 1.6)
GREY_LEVELS: Final = 1.5  # a picture whose chroma stays under this, everywhere, has no colour to compare
# Of 1,317 photographs (320 of them planted copies), different ones that share a hash reach a texture of .64 at most,
# 317 of the copies .76 and more, with a light of .99 and a hue of 7.0 levels at most.
LEAST_TEXTURE: Final = 0.75
LEAST_LIGHT: Final = 0.95
MOST_HUE: Final = 8.0
ARGUABLE_TEXTURE: Final = 0.6
ARGUABLE_LIGHT: Final = 0.9
cv2.setNumThreads(1)  # the same sums on every machine


@dataclass(frozen=True)
class Likeness:
    """texture: correlation of details, -1..1. light: correlation of the coarse luminance, -1..1.

    hue: RMS difference of chroma after the fitted gain, in levels of 255; NaN when one picture alone is grey.
    """

    texture: float
    light: float
    hue: float

    @property
    def is_copy(self) -> bool:
        """Texture, light and colour agree. Where one has lost its colour, texture has to stand for it."""
        least = SURE if np.isnan(self.hue) else LEAST_TEXTURE
        return self.texture >= least and self.light >= LEAST_LIGHT and not self.hue > MOST_HUE

    @property
    def is_question(self) -> bool:
        """Not certain, and not out of the question."""
        return not self.is_copy and self.texture >= ARGUABLE_TEXTURE and self.light >= ARGUABLE_LIGHT

    @property
    def score(self) -> float:
        """How likely they are copies, 0..1, for ranking: texture, and less where light or colour differ."""
        hue = MOST_HUE if np.isnan(self.hue) else self.hue
        return max(0.0, self.texture) * max(0.0, self.light) * float(np.exp(-hue / (4 * MOST_HUE)))


NOTHING: Final = Likeness(-1.0, -1.0, float("inf"))


def view_pixels(jpeg: bytes) -> NDArray[np.uint8]:
    """The pixels of a stored view (`inspect/small_view.py`), [H, W, C]."""
    return np.asarray(Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB"))


def likeness(a_HWC: NDArray[np.uint8], b_HWC: NDArray[np.uint8], *, turned: bool) -> Likeness:
    """How like two views are at their best overlay. turned: b may be mirrored or turned by 90, 180, 270 degrees."""
    a = _ycc(a_HWC)
    best, nearest = NOTHING, b_HWC
    for form in _forms(a_HWC, b_HWC) if turned else [b_HWC]:
        b = _ycc(form)
        found = _compared(a, b, np.eye(2, 3, dtype=np.float32))
        if found.texture < SURE:
            place = _searched(_detail(a[..., 0]), _detail(b[..., 0]))
            found = max(found, *(_compared(a, b, one) for one in place), key=_by_texture)
        if found.texture > best.texture:
            best, nearest = found, form
        if best.texture >= SURE:
            return best
    if best.texture >= LEAST_TEXTURE:
        return best
    for form in (nearest, b_HWC):  # most copies are upright
        b = _ycc(form)
        best = max(best, *(_compared(a, b, place) for place in _centred(a[..., 0], b[..., 0])), key=_by_texture)
    return best


def _by_texture(found: Likeness) -> float:
    return found.texture


def _centred(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Maps refined by brightness from b enlarged or shrunk about its centre: plain pictures have too little detail."""
    places = []
    for scale in CENTRED_SCALES:
        shift = SIDE_PX / 2 * (1 - scale)
        places.append(_refined(a_HW, b_HW, np.array([[scale, 0, shift], [0, scale, shift]], np.float32)))
    return places


def _refined(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32], place: NDArray[np.float32]) -> NDArray[np.float32]:
    try:
        found = cv2.findTransformECC(a_HW, b_HW, place.copy(), cv2.MOTION_AFFINE, STEPS, EVERYWHERE, 5)[1]
    except cv2.error:  # "the images may be uncorrelated": the place it started from stands
        return place
    return np.asarray(found, dtype=np.float32)


def _forms(a_HWC: NDArray[np.uint8], b_HWC: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """b in the orientations whose coarse brightness is most like that of a, the likeliest first."""
    forms = [form for upright in (b_HWC, b_HWC.transpose(1, 0, 2)) for form in (upright, upright[:, ::-1])]
    forms += [form[::-1] for form in forms]
    coarse = [_coarse(form) for form in (a_HWC, *forms)]
    order = np.argsort([-float((coarse[0] * form).sum()) for form in coarse[1:]], kind="stable")
    return [forms[at] for at in order[:ORIENTATIONS_TRIED]]


def _coarse(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    block = SIDE_PX // COARSE_SIDE
    cells = pixels_HWC.astype(np.float32).mean(axis=2).reshape(COARSE_SIDE, block, COARSE_SIDE, block)
    cells = cells.mean(axis=(1, 3))
    return np.asarray(cells - cells.mean(), dtype=np.float32)


def _ycc(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma and two chromas around 0, of ITU-R BT.601."""
    ycc = cv2.cvtColor(np.ascontiguousarray(pixels_HWC), cv2.COLOR_RGB2YCrCb).astype(np.float32)
    ycc[..., 1:] -= 128
    return ycc


def _detail(grey_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(grey_HW - cv2.GaussianBlur(grey_HW, (0, 0), DETAIL_SIGMA_PX), dtype=np.float32)


def _evened(detail_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Detail by the contrast around it: an outline on white would outvote all that is inside it."""
    power = cv2.GaussianBlur(detail_HW * detail_HW, (0, 0), EVEN_SIGMA_PX)
    return np.asarray(detail_HW / np.sqrt(power + FAINT_LEVELS**2), dtype=np.float32)


def _searched(a_HW: NDArray[np.float32], b_HW: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Affine maps from a's places to b's: the best of the search, and the same refined."""
    small_a, small_b = _half(a_HW), _half(b_HW)
    score, forward = _laid_over(small_a, small_b)
    other, backward = _laid_over(small_b, small_a)
    if other > score:
        score, forward = other, cv2.invertAffineTransform(backward).astype(np.float32)
    if score < WORTH_REFINING:
        return [forward]
    return [forward, _refined(a_HW, b_HW, forward)]


def _half(grey_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    half = cv2.resize(grey_HW, (HALF_PX,) * 2, interpolation=cv2.INTER_AREA)
    return np.asarray(half, dtype=np.float32)


def _laid_over(here_HW: NDArray[np.float32], there_HW: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
    """The best place of here's centre in there: its correlation, and the map from here's places to there's, at 96."""
    best, place = -1.0, np.eye(2, 3, dtype=np.float32)
    for part_px in PARTS_PX:
        margin = (HALF_PX - part_px) // 2
        part = here_HW[margin : margin + part_px, margin : margin + part_px]
        template = cv2.resize(np.ascontiguousarray(part), (TEMPLATE_PX,) * 2, interpolation=cv2.INTER_LINEAR)
        found = cv2.matchTemplate(there_HW, template, cv2.TM_CCOEFF_NORMED)
        _, score, _, (left, top) = cv2.minMaxLoc(found)
        if score > best:
            scale, ratio = TEMPLATE_PX / part_px, SIDE_PX / HALF_PX
            shift = [(at - margin * scale) * ratio for at in (left, top)]
            best, place = score, np.array([[scale, 0, shift[0]], [0, scale, shift[1]]], np.float32)
    return best, place


def _compared(a_HWC: NDArray[np.float32], b_HWC: NDArray[np.float32], place: NDArray[np.float32]) -> Likeness:
    """The likeness where the two overlap when b is brought to a's places."""
    stretch = np.linalg.svd(place[:, :2], compute_uv=False)
    if not 1 / MOST_STRETCH < stretch[1] <= stretch[0] < MOST_STRETCH:
        return NOTHING
    warped = cv2.warpAffine(b_HWC, place, (SIDE_PX,) * 2, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    inside = cv2.warpAffine(
        np.ones((SIDE_PX,) * 2, np.uint8), place, (SIDE_PX,) * 2, flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    )
    inside = cv2.erode(inside, np.ones((2 * RIM_PX + 1,) * 2, np.uint8), borderValue=0).astype(bool)
    if inside.mean() < LEAST_OVERLAP:
        return NOTHING
    laid: NDArray[np.float32] = np.asarray(warped, dtype=np.float32)
    both = [_evened(_detail(one[..., 0]))[inside] for one in (a_HWC, laid)]
    coarse = [cv2.GaussianBlur(one, (0, 0), DETAIL_SIGMA_PX)[inside] for one in (a_HWC, laid)]
    light = _correlation(coarse[0][:, 0], coarse[1][:, 0])
    return Likeness(_correlation(*both), light, _hue_difference(coarse[0][:, 1:], coarse[1][:, 1:]))


def _correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def _hue_difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    grey = [bool(np.abs(one).max() < GREY_LEVELS) for one in (a, b)]
    if any(grey):
        return 0.0 if all(grey) else float("nan")
    gain = float(np.clip((a * b).sum() / max(float((a * a).sum()), 1e-6), *CHROMA_GAIN))
    return float(np.sqrt(((b - gain * a) ** 2).sum(axis=1).mean()))
