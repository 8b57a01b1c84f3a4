"""Examine one image: decode it once and measure everything that only pixels can tell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pipeline_lib.inspect.hashes import perceptual_hashes, pixel_hash
from pipeline_lib.inspect.memory_limit import image_memory_bytes, memory_limit
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.quality import clipping, measure
from pipeline_lib.pixels import Decoded, Undecodable, decode, shrink_to
from pipeline_lib.pixels.resize import reduce_whole, resize
from pipeline_lib.reasons import Reason

SCREEN_PX: Final = 256  # short side at which images are measured; smaller ones keep their size
REDUCED_PX: Final = 512  # least short side of what all small views are made of
FORMAT_OF_ENDING: Final = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "netpbm"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "heic"),
    **{f".{name}": name for name in ("png", "webp", "gif", "bmp", "avif", "ico", "psd")},
}


@dataclass(frozen=True)
class Examined:
    """The findings about one image.

    findings: the columns of IMAGES that a decode can fill. pixels_HWC: the canonical pixels; reduced_HWC: the same,
    those of large images reduced by a whole number to a short side of REDUCED_PX or more; grey_HW: their luminance with
    a short side of at most SCREEN_PX. All uint8, None when the image cannot be used.
    """

    findings: dict[str, Any]
    pixels_HWC: NDArray[np.uint8] | None = None
    reduced_HWC: NDArray[np.uint8] | None = None
    grey_HW: NDArray[np.uint8] | None = None


def examine(image_id: str, data: bytes, params: InspectParams) -> Examined:
    """Decode and measure one image. Damaged or hostile bytes are a finding, never an error."""
    allowed_bytes = image_memory_bytes(params.max_pixels)
    try:
        with memory_limit(allowed_bytes):
            return _examine(image_id, data, params)
    except Undecodable as verdict:
        return refused(verdict.reason, verdict.detail)
    except MemoryError:
        return refused(Reason.TOO_MUCH_MEMORY, f"more than {allowed_bytes // 1_000_000} MB")


def refused(reason: Reason, detail: str) -> Examined:
    """Return the findings about an image that cannot be used: a reason and nothing else."""
    return Examined({"refusal": reason.value, "detail": detail})


def _examine(image_id: str, data: bytes, params: InspectParams) -> Examined:
    decoded = decode(data, params.pixel_rules())
    refusal, detail = _shape_refusal(decoded, params)
    # reduced once: all smaller views, for hashes, quality and features, start from it
    reduced_HWC = reduce_whole(decoded.pixels_HWC, short_side_px=REDUCED_PX)
    grey_HW = shrink_to(luminance(reduced_HWC), short_side_px=SCREEN_PX)
    hashes = perceptual_hashes(grey_HW)
    findings = {
        "refusal": refusal,
        "detail": detail,
        "format": decoded.format,
        "mode": decoded.mode,
        "width_px": decoded.width_px,
        "height_px": decoded.height_px,
        "exif_orientation": decoded.exif_orientation,
        "has_gps": decoded.has_gps,
        "n_frames": decoded.n_frames,
        "ext_mismatch": FORMAT_OF_ENDING.get(PurePosixPath(image_id).suffix.lower(), decoded.format)
        != decoded.format,
        "trailing_bytes": decoded.trailing_bytes,
        "on_black": decoded.on_black,
        "low_bits": decoded.low_bits,
        "ends_grey": decoded.ends_grey,
        "pixel_hash": pixel_hash(decoded.pixels_HWC),
        "phash": hashes.whole,
        "phash_variants": hashes.variants,
        **asdict(measure(grey_HW)),
        **asdict(clipping(reduced_HWC)),
    }
    if refusal:
        return Examined(findings)
    return Examined(findings, decoded.pixels_HWC, reduced_HWC, grey_HW)


def luminance(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Compute the luma of ITU-R BT.601, rounded like Pillow's."""
    return np.asarray(Image.fromarray(pixels_HWC).convert("L"))


def squeeze(grey_HW: NDArray[np.uint8], *, side_px: int) -> NDArray[np.uint8]:
    """Resize the whole image to a square of `side_px`, whatever its aspect ratio."""
    return resize(grey_HW, width=side_px, height=side_px)


def _shape_refusal(decoded: Decoded, params: InspectParams) -> tuple[str | None, str | None]:
    short, long = sorted((decoded.width_px, decoded.height_px))
    shape = f"{decoded.width_px} x {decoded.height_px}"
    if short < params.min_side_px:
        return Reason.TOO_SMALL.value, f"{shape}, the limit is {params.min_side_px} px"
    if long > params.aspect_quarantine * short:
        return Reason.ODD_ASPECT.value, f"{shape}, the limit is {params.aspect_quarantine:g} : 1"
    return None, None
