"""Turn an image as received into the bytes that a beton stores."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pipeline_lib.betons.layout import JPG, RAW, Array
from pipeline_lib.convert.jpeg_stream import encode_jpeg, is_sound, passed_on
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.errors import OutputDamaged
from pipeline_lib.pixels import PixelRules, Undecodable, decode
from pipeline_lib.pixels.pixelate import find_boxes, pixelate


@dataclass(frozen=True)
class ReceivedImage:
    """The place of a decodable image's bytes, and the findings of `inspect`. The size is the decoded one."""

    image_id: str
    container: str
    offset_bytes: int
    size_bytes: int
    width_px: int
    height_px: int
    exif_orientation: int


@dataclass(frozen=True)
class StoredForm:
    """A row of a beton. mode: JPG or RAW. content: the JPEG stream, or the pixels in row-major order."""

    mode: int
    width: int
    height: int
    content: bytes

    @classmethod
    def raw(cls, pixels_HWC: Array) -> Self:
        """Store the pixels themselves (uint8 RGB)."""
        return cls(RAW, pixels_HWC.shape[1], pixels_HWC.shape[0], pixels_HWC.tobytes())

    @classmethod
    def jpg(cls, stream: bytes, *, width: int, height: int) -> Self:
        """Store a JPEG stream whose image has this size."""
        return cls(JPG, width, height, stream)


def stored_form(
    data: bytes, image: ReceivedImage, params: ConvertParams, rules: PixelRules, *, shards: Path
) -> StoredForm:
    """Choose the stored form of an image. data: its bytes as received, which are stored unchanged if they fit.

    Raises OutputDamaged if they no longer decode as they did in `inspect`.
    """
    received = image.width_px, image.height_px
    width, height = params.of(*received)
    is_raw = params.is_raw(width, height)
    is_upright = image.exif_orientation == 1 or rules.exif_orientation == "ignore"
    hidden = _pixelated(data, image, params, rules, shards)
    if (
        hidden is None
        and not is_raw
        and is_upright
        and (width, height) == received
        and data.startswith(b"\xff\xd8\xff")
    ):
        stream = passed_on(data, width=width, height=height)
        if stream is not None:
            return StoredForm.jpg(stream, width=width, height=height)
    pixels_HWC = params.apply(_decoded(data, image, rules, shards) if hidden is None else hidden)
    if is_raw:
        return StoredForm.raw(pixels_HWC)
    stream = encode_jpeg(pixels_HWC, quality=params.jpeg_quality)
    assert is_sound(stream), image.image_id
    return StoredForm.jpg(stream, width=width, height=height)


def _pixelated(
    data: bytes, image: ReceivedImage, params: ConvertParams, rules: PixelRules, shards: Path
) -> Array | None:
    """Return the image with all detected boxes pixelated; None if there are none, or no detector."""
    if params.pixelate is None:
        return None
    pixels_HWC = _decoded(data, image, rules, shards)
    boxes = find_boxes(pixels_HWC, params.pixelate)
    return pixelate(pixels_HWC, boxes) if boxes else None


def _decoded(data: bytes, image: ReceivedImage, rules: PixelRules, shards: Path) -> Array:
    remedy = "run `dvc checkout line/download/shards`, then `dvc repro`"
    try:
        decoded = decode(data, rules)
    except Undecodable as error:
        value = f"{image.image_id}: {error}"
        what = "an image no longer decodes"
        raise OutputDamaged(
            what, file=shards / image.container, value=value, remedy=remedy
        ) from error
    if (decoded.width_px, decoded.height_px) != (image.width_px, image.height_px):
        value = f"{image.image_id}: {decoded.width_px} x {decoded.height_px}"
        what = f"an image is no longer {image.width_px} x {image.height_px}, as `inspect` saw it"
        raise OutputDamaged(what, file=shards / image.container, value=value, remedy=remedy)
    return decoded.pixels_HWC
