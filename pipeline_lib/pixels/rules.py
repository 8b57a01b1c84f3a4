"""The configurable rules of decoding, its result, and its refusal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pipeline_lib.params_file import Params
from pipeline_lib.reasons import Reason

# Pillow refuses larger headers by itself (twice its MAX_IMAGE_PIXELS), so a higher limit could not be kept.
PILLOW_PIXEL_LIMIT = 178_956_970


class PixelRules(Params):
    """The part of the decoding policy that a user may change. The rest is fixed, see `decode`."""

    exif_orientation: Literal["apply", "ignore"] = Field(
        "apply",
        description="what to do with the EXIF orientation; apply: turn the image upright; ignore: leave it, as "
        "ImageNet's own pipelines do",
    )
    max_pixels: int = Field(
        64_000_000,
        ge=1,
        le=PILLOW_PIXEL_LIMIT,
        description="maximum number of pixels (width x height in the header) of an image; larger ones are refused "
        "before decoding",
    )


class Undecodable(Exception):
    """The bytes give no usable image. A verdict on one file: the run goes on.

    reason: the reason code. detail: what the decoder said, or what the bytes are instead; one line.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason, self.detail = reason, " ".join(detail.split())
        super().__init__(f"{self.reason}: {self.detail}")


@dataclass(frozen=True)
class Decoded:
    """An image in canonical form. H: height, W: width, C: red, green, blue.

    pixels_HWC: uint8, contiguous, after the orientation rule. format: one of `sniff.DECODABLE`. mode: colour
    mode as received, in Pillow's names. exif_orientation: 1..8 as the file says, 1 when absent. n_frames: 1 or more,
    the first is used. trailing_bytes: bytes after the end of the image; always 0 for BMP, TIFF and Netpbm, which mark
    no end. width_px, height_px: of pixels_HWC. on_black: transparency was laid over black. low_bits: its 16-bit samples
    use at most the lowest 12 bits. ends_grey: it ends in the grey that decoders paint after the data stopped.
    """

    pixels_HWC: NDArray[np.uint8]
    format: str
    mode: str
    exif_orientation: int
    has_gps: bool
    n_frames: int
    trailing_bytes: int
    width_px: int
    height_px: int
    on_black: bool
    low_bits: bool
    ends_grey: bool
