"""Prediction looks at the pixels that evaluation read from betons."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
import sklearn
from PIL import Image

from pipeline_lib.betons.layout import RAW
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.stored import ReceivedImage, stored_form
from pipeline_lib.pixels import PixelRules, decode
from pipeline_lib.prediction.sight import Pixels, as_stored

PHOTO = Image.open(Path(sklearn.__file__).parent / "datasets/images/flower.jpg").resize((240, 180))
TURNED = Image.Exif()
TURNED[0x0112] = 6


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


RECEIVED = {
    "jpeg": saved(PHOTO, "JPEG", quality=80),
    "with metadata": saved(PHOTO, "JPEG", comment=b"a camera", exif=Image.Exif()),
    "turned": saved(PHOTO, "JPEG", exif=TURNED),
    "progressive": saved(PHOTO, "JPEG", progressive=True, subsampling=0),
    "grey": saved(PHOTO.convert("L"), "JPEG"),
    "cmyk": saved(PHOTO.convert("CMYK"), "JPEG"),
    "more bytes than pixels": saved(
        Image.effect_noise((70, 70), 200).convert("RGB"), "JPEG", quality=100, subsampling=0
    ),
    "bytes behind it": saved(PHOTO, "JPEG") + b"more",
    "small": saved(PHOTO.resize((64, 48)), "JPEG"),
    "png": saved(PHOTO, "PNG"),
    "png with alpha": saved(PHOTO.convert("RGBA"), "PNG"),
    "small png": saved(PHOTO.resize((48, 64)), "PNG"),
}
PARAMS: dict[str, dict[str, Any]] = {
    "as shipped": {},
    "shrunk": {"short_side_px": 100, "jpeg_quality": 60},
    "square": {"long_side_px": 200, "shape": "square_pad"},
    "all jpg": {"mode": "jpg"},
    "all raw": {"mode": "raw", "short_side_px": 100},
}


def in_beton(data: bytes, params: ConvertParams, rules: PixelRules) -> Pixels:
    """What a loader reads from the beton that `convert` writes."""
    decoded = decode(data, rules)
    image = ReceivedImage(
        "x", "x", 0, len(data), decoded.width_px, decoded.height_px, decoded.exif_orientation
    )
    stored = stored_form(data, image, params, rules, shards=Path())
    if stored.mode == RAW:
        return np.frombuffer(stored.content, np.uint8).reshape(stored.height, stored.width, 3)
    pixels: Pixels = simplejpeg.decode_jpeg(stored.content, colorspace="RGB", strict=True)
    return pixels


@pytest.mark.parametrize("params", PARAMS)
@pytest.mark.parametrize("exif_orientation", ["apply", "ignore"])
def test_an_image_is_seen_as_the_beton_stores_it(params: str, exif_orientation: Any) -> None:
    rules, convert = PixelRules(exif_orientation=exif_orientation), ConvertParams(**PARAMS[params])

    differing = [
        name
        for name, data in RECEIVED.items()
        if not np.array_equal(
            as_stored(data, decode(data, rules), rules=rules, params=convert),
            in_beton(data, convert, rules),
        )
    ]

    assert differing == []
