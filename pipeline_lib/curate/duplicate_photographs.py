"""Whether two photographs are one: texture and colour compared at 96 px, laid over each other exactly.

At 32 px grey, garments in the same pose agree like copies. At 96 px they do not, if the one is laid exactly over the
other, by a search (`overlay.py`) or by matched keypoints (`duplicate_keypoints.py`). Light may differ by a gain, an
offset and what these clip, which are fitted; hue may not. No patch may differ much: one blank with two prints is two
images. A band across the whole width may, for captions. Measured on clothing photographs: docs/curation.md.

Legend: H, W the side of a view (96), C red, green, blue.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_lib.curate.duplicate_frames import caption_band
from pipeline_lib.curate.overlay import (
    AS_IT_IS,
    DETAIL_SIGMA_PX,
    Bytes,
    Floats,
    blurred,
    detail,
    laid,
    likeliest_forms,
    luma,
    places,
    places_about_the_centre,
    refined,
    shown,
    ycc,
)

EVEN_SIGMA_PX: Final = 4.0
FAINT_LEVELS: Final = 4.0  # fainter detail may be noise of encoding
SURE: Final = 0.95  # no other place is looked for
CAPTIONS: Final = (
    slice(84, 96),
    slice(0, 12),
)  # lines that a caption may cover, an eighth of the height
LEAST_OVERLAP: Final = 0.45  # of the area, rims aside; a crop of 80 % leaves .51
MOST_STRETCH: Final = 1.5
# By keypoints one image may lie within the other, small and in other proportions: the photograph on a screen.
LEAST_WITHIN: Final = (
    0.6  # of the area of the one that is shown smaller, rims aside; they alone take .16
)
LEAST_SIDE: Final = 0.3  # of the other's: 29 px of a view
LEAST_AREA: Final = 0.2  # of the other's
BAND_RIM_PX: Final = 3  # of detail beside a caption
FAINTEST_BLUR: Final = 0.3  # sigma in px
SOFT_PER_PX: Final = (
    0.5  # sigma of the blur by which a view is as coarse as one that shows it smaller
)
CLIPPED: Final = (5, 250)  # levels from which on a sample may have been cut off
LEAST_UNCLIPPED: Final = 0.05  # of the samples, to fit the light to
SAME_LIGHT: Final = (
    0.9  # correlation of samples from which a gain and an offset tell how light differs
)
LIGHT_GAIN: Final = (0.6, 1.67)
CHROMA_GAIN: Final = (0.6, 1.6)
GREY_LEVELS: Final = (
    1.5  # an image whose chroma stays under this, everywhere, has no colour to compare
)
PATCH_PX: Final = 12  # of a square, wherever both images show this share of it
PATCH_SHOWN: Final = 0.75
# In 399 pairs of different garments with close hashes texture reaches .64, and in the worst square details differ by
# 1.7 and colours by 26 levels at least. Of 1,600 planted copies (8 kinds x 200) 1,597 pass; 98 of 100 of each kind stay
# within .68 and 9.1. Two prints of 12 % of the sides on one photograph mostly differ by more.
LEAST_TEXTURE: Final = 0.75
LEAST_LIGHT: Final = 0.95
MOST_HUE: Final = 8.0
MOST_PATCH_TEXTURE: Final = 0.9
MOST_PATCH_COLOUR: Final = 16.0
ARGUABLE_TEXTURE: Final = 0.65
ARGUABLE_LIGHT: Final = 0.9
cv2.setNumThreads(1)  # the same sums on every machine


@dataclass(frozen=True)
class Likeness:
    """How alike two images are at one overlay.

    texture: correlation of details, -1..1. light: correlation of the coarse luminance, -1..1. hue: RMS difference of
    chroma after the fitted gain, in levels of 255; NaN when one image alone is grey. patch_texture: mean squared
    difference of the evened details in the worst patch; 0 for equal ones, some 2 for different ones. patch_colour: mean
    difference of luma and chroma in the worst patch, in levels. captioned: a strip over one edge was left out. part: the
    share of the one image that the other fills, 0..1.
    """

    texture: float
    light: float
    hue: float
    patch_texture: float = float("inf")
    patch_colour: float = float("inf")
    captioned: bool = False
    part: float = 1.0

    @property
    def is_copy(self) -> bool:
        """Texture, light and colour agree, everywhere. Without colour, or a strip, the texture left has to be sure."""
        least = SURE if np.isnan(self.hue) or self.captioned else LEAST_TEXTURE
        agrees = self.texture >= least and self.light >= LEAST_LIGHT and not self.hue > MOST_HUE
        return (
            agrees
            and self.patch_texture <= MOST_PATCH_TEXTURE
            and self.patch_colour <= MOST_PATCH_COLOUR
        )

    @property
    def is_question(self) -> bool:
        """Not certain, and not out of the question."""
        return (
            not self.is_copy and self.texture >= ARGUABLE_TEXTURE and self.light >= ARGUABLE_LIGHT
        )

    @property
    def score(self) -> float:
        """How likely they are copies, 0..1, for ranking: texture, and less where light, colour or extent differ."""
        hue = MOST_HUE / 2 if np.isnan(self.hue) else self.hue
        alike = max(0.0, self.texture) * max(0.0, self.light) * float(np.exp(-hue / (4 * MOST_HUE)))
        return alike * self.part

    def __lt__(self, other: Likeness) -> bool:
        """By whether they are copies, then by texture."""
        return (self.is_copy, self.texture) < (other.is_copy, other.texture)


NOTHING: Final = Likeness(-1.0, -1.0, float("inf"))


def view_pixels(jpeg: bytes) -> Bytes:
    """The pixels of a stored view (`inspect/small_view.py`), [H, W, C]."""
    return np.asarray(Image.open(io.BytesIO(jpeg), formats=["JPEG"]).convert("RGB"))


def likeness_as_they_are(a_HWC: Bytes, b_HWC: Bytes) -> Likeness:
    """How like two whole upright views are."""
    return _compared(a_HWC.astype(np.float32), b_HWC.astype(np.float32), AS_IT_IS)


def likeness(a_HWC: Bytes, b_HWC: Bytes, *, turned: bool) -> Likeness:
    """How like two views are at their best overlay. turned: b may be mirrored or turned by 90, 180, 270 degrees."""
    a = a_HWC.astype(np.float32)
    best, nearest = NOTHING, b_HWC.astype(np.float32)
    upright = nearest
    # where both frames, or the search, lay them over each other, in the likeliest orientations
    for form in likeliest_forms(a_HWC, b_HWC) if turned else [b_HWC]:
        b = np.ascontiguousarray(form, dtype=np.float32)
        for place in places(a, b):
            found = _hardly_stretched(a, b, place)
            if best < found:
                best, nearest = found, b
            if best.is_copy and best.texture >= SURE:
                return best
    if best.is_copy:
        return best
    # about the centre, for images too plain for the search; most copies are upright
    for b in (nearest, upright):
        best = max(
            best,
            *(
                _hardly_stretched(a, b, place)
                for place in places_about_the_centre(luma(a), luma(b))
            ),
        )
    if best.is_copy:
        return best
    captioned = (
        _compared(a, b, AS_IT_IS, strip=strip) for b in (nearest, upright) for strip in CAPTIONS
    )
    return next((found for found in captioned if found.is_copy), best)


def _hardly_stretched(a_HWC: Floats, b_HWC: Floats, place: Floats) -> Likeness:
    sides = np.linalg.svd(place[:, :2], compute_uv=False)
    if not 1 / MOST_STRETCH < sides[1] <= sides[0] < MOST_STRETCH:
        return NOTHING
    return _compared(a_HWC, b_HWC, place)


def likeness_within(a_HWC: Bytes, b_HWC: Bytes, place: Floats) -> Likeness:
    """How like two views are where `place`, from a's places to b's, says that the one lies within the other."""
    a, b = a_HWC.astype(np.float32), b_HWC.astype(np.float32)
    if abs(np.linalg.det(place[:, :2])) > 1:
        a, b, place = b, a, np.asarray(cv2.invertAffineTransform(place), np.float32)
    if not _is_within(place):
        return NOTHING
    # whole copies are grouped before parts, which may agree with one of them and not with the other
    return replace(_within(a, b, place), part=float(abs(np.linalg.det(place[:, :2]))))


def _within(a: Floats, b: Floats, place: Floats) -> Likeness:
    """The likeness at the place, or near it, without or with a caption. a: is shown smaller."""
    soft = _as_coarse(a, place)
    best = _compared(soft, b, place)
    if best.is_copy:
        return best
    closer = refined(detail(luma(soft)), detail(luma(b)), place)
    laid_out = [one for one in (closer, place) if _is_within(one)]
    best = max(best, _compared(soft, b, laid_out[0]))
    if best.is_copy:
        return best
    bands = ((one, caption_band(soft, b, one)) for one in laid_out)
    captioned = (
        _compared(soft, b, one, strip=_and_beside(band)) for one, band in bands if band is not None
    )
    return next((found for found in captioned if found.is_copy), best)


def _and_beside(band: slice) -> slice:
    return slice(max(0, band.start - BAND_RIM_PX), band.stop + BAND_RIM_PX)


def _is_within(place: Floats) -> bool:
    """Whether a map shows enough of a, and large enough, in b."""
    sides = np.linalg.svd(place[:, :2], compute_uv=False)
    large_enough = (
        sides[1] >= LEAST_SIDE and sides[0] < MOST_STRETCH and sides[0] * sides[1] >= LEAST_AREA
    )
    return bool(large_enough and shown(place).mean() >= LEAST_WITHIN)


def _as_coarse(a_HWC: Floats, place: Floats) -> Floats:
    """a with the detail that is left of it where it is shown in this place."""
    across, down = (float(np.linalg.norm(place[:, axis])) for axis in (0, 1))
    sigmas = [SOFT_PER_PX * np.sqrt(max(1 / side**2 - 1, 0.0)) for side in (across, down)]
    if max(sigmas) < FAINTEST_BLUR:
        return a_HWC
    sigma_x, sigma_y = (max(sigma, FAINTEST_BLUR) for sigma in sigmas)
    return np.asarray(cv2.GaussianBlur(a_HWC, (0, 0), sigma_x, sigmaY=sigma_y), dtype=np.float32)


def _evened(detail_HW: Floats) -> Floats:
    """Detail by the contrast around it: an outline on white would outvote all that is inside it."""
    power = blurred(detail_HW * detail_HW, EVEN_SIGMA_PX)
    return np.asarray(detail_HW / np.sqrt(power + FAINT_LEVELS**2), dtype=np.float32)


def _compared(
    a_HWC: Floats, b_HWC: Floats, place: Floats, *, strip: slice | None = None
) -> Likeness:
    """The likeness where the two overlap when b is brought to a's places. strip: lines of a that are left out."""
    inside = shown(place)
    if strip is not None:
        inside[strip] = False
    if inside.mean() < LEAST_OVERLAP:
        return NOTHING
    both = [ycc(one) for one in _in_one_light(a_HWC, laid(b_HWC, place), inside)]

    # texture and light as a whole
    fine = [_evened(detail(np.ascontiguousarray(one[..., 0]))) for one in both]
    coarse = [blurred(one, DETAIL_SIGMA_PX) for one in both]
    texture = _correlation(fine[0][inside], fine[1][inside])
    light = _correlation(coarse[0][inside][:, 0], coarse[1][inside][:, 0])

    # colour, and the worst patch of texture and of colour
    gain = _chroma_gain(coarse[0][inside][:, 1:], coarse[1][inside][:, 1:])
    chroma_HW = np.sqrt(((coarse[1][..., 1:] - gain * coarse[0][..., 1:]) ** 2).sum(axis=-1))
    hue = float(np.sqrt((chroma_HW[inside] ** 2).mean()))
    levels_HW = np.abs(coarse[0][..., 0] - coarse[1][..., 0]) + (0 if np.isnan(gain) else chroma_HW)
    worst = [_worst_patch(one, inside) for one in ((fine[0] - fine[1]) ** 2, levels_HW)]
    return Likeness(texture, light, hue, worst[0], worst[1], captioned=strip is not None)


def _in_one_light(a_HWC: Floats, b_HWC: Floats, inside: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Both as they are, or the one that is clipped less with the gain, the offset and the clipping of the other.

    One gain for all three colours: it changes no hue. It is fitted to samples that neither image may have clipped, and
    only where these say that the images differ by little else.
    """
    at_an_end = [(one <= CLIPPED[0]) | (one >= CLIPPED[1]) for one in (a_HWC, b_HWC)]
    beside_an_end = cv2.dilate(
        (at_an_end[0] | at_an_end[1]).astype(np.uint8), np.ones((5, 5), np.uint8)
    ).astype(bool)
    usable = inside[..., None] & ~beside_an_end
    if usable.sum() < LEAST_UNCLIPPED * inside.sum() * usable.shape[-1]:
        return a_HWC, b_HWC
    a_samples, b_samples = (blurred(one, DETAIL_SIGMA_PX)[usable] for one in (a_HWC, b_HWC))
    if _correlation(a_samples, b_samples) < SAME_LIGHT:
        return a_HWC, b_HWC
    gain = float(b_samples.std() / a_samples.std())
    if not LIGHT_GAIN[0] <= gain <= LIGHT_GAIN[1]:
        return a_HWC, b_HWC
    offset = float(b_samples.mean() - gain * a_samples.mean())
    if at_an_end[1][inside].sum() >= at_an_end[0][inside].sum():
        return np.clip(gain * a_HWC + offset, 0, 255), b_HWC
    return a_HWC, np.clip((b_HWC - offset) / gain, 0, 255)


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    norm = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / norm if norm > 0 else 0.0


def _chroma_gain(a_N2: Floats, b_N2: Floats) -> float:
    """What a's chroma is best multiplied by to be b's: NaN when one of them alone is grey, 1 when both are."""
    grey = [bool(np.abs(one).max() < GREY_LEVELS) for one in (a_N2, b_N2)]
    if any(grey):
        return 1.0 if all(grey) else float("nan")
    return float(np.clip((a_N2 * b_N2).sum() / max(float((a_N2 * a_N2).sum()), 1e-6), *CHROMA_GAIN))


def _worst_patch(difference_HW: Floats, inside: NDArray[np.bool_]) -> float:
    """The greatest mean of the difference in a square of PATCH_PX, of what both images show."""
    mask = inside.astype(np.float32)
    shown = _patch_means(mask)
    means = _patch_means(difference_HW * mask) / np.maximum(shown, 1e-6)
    return float(means[shown >= PATCH_SHOWN].max(initial=0.0))


def _patch_means(values_HW: Floats) -> Floats:
    return np.asarray(
        cv2.boxFilter(values_HW, -1, (PATCH_PX,) * 2, borderType=cv2.BORDER_CONSTANT),
        dtype=np.float32,
    )
