"""Decode strictly: refuse a damaged image, where Pillow and OpenCV would show grey or another image."""

from __future__ import annotations

from pipeline_lib.pixels.exif import turn_upright
from pipeline_lib.pixels.jpeg import decode_jpeg
from pipeline_lib.pixels.noticed import ends_grey
from pipeline_lib.pixels.other_formats import decode_other
from pipeline_lib.pixels.rules import Decoded, PixelRules, Undecodable
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.sniff import DECODABLE, OTHER_IMAGES, sniff

ALREADY_UPRIGHT = ("tiff", "heic")  # by Pillow and libheif


def decode(data: bytes, rules: PixelRules) -> Decoded:
    """Decode an image to uint8 RGB by fixed rules.

    Grey and palette become RGB; alpha is laid over white, over black where nothing would be seen on white; of 16-bit
    samples the high byte is kept (the exact inverse of 8 bits scaled by 257); CMYK by R = (255-C)(255-K)/255 with
    Adobe's polarity; colour profiles are ignored; the first frame of an animation is taken; EXIF orientation as `rules`
    say (that of a TIFF or HEIC is part of the image and always applied). The header is checked against `max_pixels`
    before any pixel is decoded.

    Raises Undecodable: empty (no bytes, only zeros), not_image (documents, drawings, archives, ...), unsupported_format
    (an image of another format), unsupported_mode (float, 12-bit, 32-bit samples), too_many_pixels, decode_truncated
    (the data ends before the format's end mark, or only zeros follow), decode_corrupt (any other damage).
    """
    kind = sniff(data)
    if kind not in DECODABLE:
        raise _refusal(kind)
    raster = (
        decode_jpeg(data, rules.max_pixels)
        if kind == "jpeg"
        else decode_other(data, kind, rules.max_pixels)
    )
    turn = (
        raster.exif.orientation
        if rules.exif_orientation == "apply" and kind not in ALREADY_UPRIGHT
        else 1
    )
    pixels_HWC = turn_upright(raster.pixels_HWC, turn)
    height, width = pixels_HWC.shape[:2]
    return Decoded(
        pixels_HWC=pixels_HWC,
        format=kind,
        mode=raster.mode,
        exif_orientation=raster.exif.orientation,
        has_gps=raster.exif.has_gps,
        n_frames=raster.n_frames,
        trailing_bytes=raster.trailing_bytes,
        width_px=width,
        height_px=height,
        on_black=raster.on_black,
        low_bits=raster.low_bits,
        ends_grey=ends_grey(raster.pixels_HWC),
    )


def _refusal(kind: str) -> Undecodable:
    if kind == "empty":
        return Undecodable(Reason.EMPTY, "no bytes, or only zeros")
    if kind == "zeroed_head":
        return Undecodable(Reason.DECODE_CORRUPT, "the first bytes are zeros, the rest is not")
    if kind in OTHER_IMAGES:
        return Undecodable(Reason.UNSUPPORTED_FORMAT, kind)
    return Undecodable(Reason.NOT_IMAGE, kind)
