"""Remarks on an image's technical quality. They flag and rank for review; none of them excludes.

Thresholds: measured on 570 ordinary and 20 planted images of each kind at 256 px (recall 1.00; dark 2, blurred 2
false of 570); those of light and of shaken images on 997 photographs of clothes, overexposed and moved ones among them
(benchmarks/curation/photograph_damage.py). Blur depends on the subject, so it is a score to look at and never a reason.
"""

from __future__ import annotations

import pandas as pd

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.reasons import Remark

DARK_P99 = 64  # luminance, 0..255, of the brightest hundredth
LIGHT_P1 = 225  # luminance, 0..255, of the darkest hundredth
PALE_P1, PALE_P50 = 80, 185  # and the median; by day a photograph has shadows
PALE_RANGE = (
    60  # levels from the darkest hundredth to the brightest; a pale surface alone has fewer
)
CLIPPED_SHARE = 0.25  # of the pixels have lost a colour channel to overexposure
# A white page reaches the end of the scale with all channels at once, an overexposed colour with one before the others.
COLOUR_CLIPPED_SHARE = 0.02
WHITE_PAGE_SHARE = 0.45  # from here on white may be a page,
CLIPPED_OF_REST_SHARE = 0.1  # and it is the other pixels that tell
LITTLE_WHITE_SHARE = 0.25
LOW_ENTROPY_BIT = 2.0  # of luminance, 0..8
SHARP_ENTROPY_BIT = 3.5  # below, there are too few edges to tell a blur from a plain subject
# Of 100 products on white, at 40 % of width and height the least has .81 bit, at 30 % .45, at 20 % .20; placeholders
# with a line of text have .34 at most, with a drawn icon .38 (JPEG quality 90) and .53 (40).
LOW_SUBJECT_BIT = 0.5
BLURRED_RATIO = 0.5
SHAKEN_SHARPNESS = 1.35
BLUR_MIN_SIDE_PX = 64  # an enlarged thumbnail is smooth without being out of focus


def low_information(rows: pd.DataFrame) -> pd.Series:
    """Nearly one grey level all over, and little to see beside it."""
    one_level = _below(rows["entropy_bit"], LOW_ENTROPY_BIT)
    return one_level & _below(rows["subject_bit"], LOW_SUBJECT_BIT)


def placeholders(rows: pd.DataFrame, params: CurateParams) -> pd.Series:
    """Boolean Series: "photo unavailable" and the like. Little to see, and the same pixels in many files."""
    n_same = rows.groupby("pixel_hash")["pixel_hash"].transform("size")
    return low_information(rows) & (n_same >= params.placeholder_copies)


def quality_remarks(rows: pd.DataFrame, params: CurateParams) -> dict[Remark, pd.Series]:
    """Boolean Series over `rows` for each remark: what the decode noticed and what the pixels say."""
    sides = rows[["width_px", "height_px"]].astype("Float64")
    short_side = sides.min(axis=1)
    aspect = sides.max(axis=1) / short_side
    dark = _below(rows["luminance_p99"], DARK_P99)
    light = _above(rows["luminance_p1"], LIGHT_P1) | _overexposed(rows) | _pale(rows)

    # Where little is to be seen, or was enlarged, soft edges are no fault.
    has_edges = ~_below(rows["entropy_bit"], SHARP_ENTROPY_BIT)
    is_large = ~_below(short_side, BLUR_MIN_SIDE_PX)
    soft = _above(rows["blur_ratio"], BLURRED_RATIO)
    shaken = _below(rows["least_sharpness"], SHAKEN_SHARPNESS)
    blurred = (soft | shaken) & has_edges & is_large & ~dark & ~light
    return {
        Remark.EXT_MISMATCH: _true(rows["ext_mismatch"]),
        Remark.EXIF_ROTATED: _above(rows["exif_orientation"], 1),
        Remark.HAS_GPS: _true(rows["has_gps"]),
        Remark.SEVERAL_FRAMES: _above(rows["n_frames"], 1),
        Remark.TRAILING_BYTES: _above(rows["trailing_bytes"], 0),
        Remark.ON_BLACK: _true(rows["on_black"]),
        Remark.LOW_BITS: _true(rows["low_bits"]),
        Remark.ENDS_GREY: _true(rows["ends_grey"]),
        Remark.ELONGATED: _above(aspect, params.aspect_review),
        Remark.DARK: dark,
        Remark.LIGHT: light,
        Remark.BLURRED: blurred,
        Remark.LOW_INFORMATION: low_information(rows),
    }


def _overexposed(rows: pd.DataFrame) -> pd.Series:
    """Many pixels have lost a part of their colour."""
    white = rows["white_share"].astype("Float64")
    coloured = rows["clipped_share"] - white
    may_be_page = _above(white, WHITE_PAGE_SHARE)
    much = _above(rows["clipped_share"], CLIPPED_SHARE) & _above(coloured, COLOUR_CLIPPED_SHARE)
    of_rest = coloured / (1 - white).clip(lower=1e-6)
    return much & (~may_be_page | _above(of_rest, CLIPPED_OF_REST_SHARE))


def _pale(rows: pd.DataFrame) -> pd.Series:
    """Bright, with no shadow, though little of it is white and it is no plain surface."""
    bright = _above(rows["luminance_p1"], PALE_P1) & _above(rows["luminance_p50"], PALE_P50)
    varied = _above(rows["luminance_p99"] - rows["luminance_p1"], PALE_RANGE)
    return bright & varied & _below(rows["white_share"], LITTLE_WHITE_SHARE)


def _true(values: pd.Series) -> pd.Series:
    """An absent value is no."""
    return values.fillna(False).astype(bool)


def _below(values: pd.Series, limit: float) -> pd.Series:
    return _true(values < limit)


def _above(values: pd.Series, limit: float) -> pd.Series:
    return _true(values > limit)
