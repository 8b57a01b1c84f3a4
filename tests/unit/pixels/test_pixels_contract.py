"""The pixel contract: on JPEGs of every kind we give torchvision's pixels, exactly, and Pillow's.

Where we differ on purpose, and from whom:
- alpha is laid over white; torchvision drops it, so hidden colours show;
- of 16-bit samples the high byte is kept; torchvision hands on 16 bits, Pillow saturates to white;
- damage that libjpeg repairs with a warning is refused (test_pixels_damage.py); both others show grey or a stranger.
All three leave colour profiles alone.
"""

import io

import numpy as np
import pytest
import simplejpeg
import torch
from PIL import Image, ImageCms, ImageOps
from sklearn.datasets import load_sample_image
from torchvision.io import ImageReadMode, decode_image

from pipeline_lib.pixels import PixelRules, decode
from testing.images import RULES, encoded

PHOTOGRAPH = load_sample_image("china.jpg")[
    100:261, 200:433
].copy()  # real, and of odd sides: 233 x 161 px


def oriented(orientation: int) -> bytes:
    block = Image.Exif()
    block[0x0112] = orientation
    return encoded(PHOTOGRAPH, "JPEG", exif=block.tobytes())


def sampled(sampling: str) -> bytes:
    return bytes(simplejpeg.encode_jpeg(PHOTOGRAPH, quality=90, colorsubsampling=sampling))


JPEGS = {
    **{f"4:{name[1]}:{name[2]}": sampled(name) for name in ("444", "422", "420", "440", "411")},
    **{f"orientation {number}": oriented(number) for number in range(1, 9)},
    **{
        f"{width} x {height}": encoded(PHOTOGRAPH[:height, :width].copy(), "JPEG")
        for width, height in ((1, 1), (17, 33), (8, 7), (161, 3), (16, 16))
    },
    "grey": encoded(Image.fromarray(PHOTOGRAPH).convert("L"), "JPEG"),
    "progressive": encoded(PHOTOGRAPH, "JPEG", progressive=True),
    "progressive, 4:4:4": encoded(PHOTOGRAPH, "JPEG", progressive=True, subsampling=0),
    "restart markers": encoded(PHOTOGRAPH, "JPEG", restart_marker_blocks=3),
    "optimised tables": encoded(PHOTOGRAPH, "JPEG", optimize=True),
    "CMYK": encoded(Image.fromarray(PHOTOGRAPH).convert("CMYK"), "JPEG"),
    "RGB by Adobe's segment": encoded(PHOTOGRAPH, "JPEG", keep_rgb=True),
    "quality 30": encoded(PHOTOGRAPH, "JPEG", quality=30),
    "a colour profile": encoded(
        PHOTOGRAPH,
        "JPEG",
        icc_profile=ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes(),
    ),
    "bytes after its end": encoded(PHOTOGRAPH, "JPEG") + b"more",
}


def torchvisions_pixels(data: bytes, *, upright: bool = True) -> np.ndarray:
    stream = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    pixels_CHW = decode_image(stream, ImageReadMode.RGB, apply_exif_orientation=upright)
    return np.asarray(pixels_CHW.permute(1, 2, 0))


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_of_any_kind_has_torchvisions_and_pillows_pixels(kind: str) -> None:
    data = JPEGS[kind]

    pixels = decode(data, RULES).pixels_HWC

    assert np.array_equal(pixels, torchvisions_pixels(data))
    assert np.array_equal(
        pixels, np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))
    )


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_ignored_when_asked_as_torchvision_does_by_default(orientation: int) -> None:
    pixels = decode(oriented(orientation), PixelRules(exif_orientation="ignore")).pixels_HWC

    assert np.array_equal(pixels, torchvisions_pixels(oriented(orientation), upright=False))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
def test_a_png_without_alpha_has_torchvisions_pixels(mode: str) -> None:
    data = encoded(Image.fromarray(PHOTOGRAPH).convert(mode), "PNG")

    assert np.array_equal(decode(data, RULES).pixels_HWC, torchvisions_pixels(data))


def test_alpha_is_laid_over_white_where_torchvision_shows_the_hidden_colours() -> None:
    hidden = np.dstack([PHOTOGRAPH, np.zeros(PHOTOGRAPH.shape[:2], np.uint8)])
    data = encoded(hidden, "PNG")

    assert (decode(data, RULES).pixels_HWC == 255).all()
    assert np.array_equal(torchvisions_pixels(data), PHOTOGRAPH)


def test_16_bits_keep_their_high_byte_where_torchvision_hands_on_16_bits() -> None:
    wide = PHOTOGRAPH[..., 0].astype(np.uint16) * 257
    data = encoded(Image.fromarray(wide), "PNG")

    assert np.array_equal(decode(data, RULES).pixels_HWC[..., 0], PHOTOGRAPH[..., 0])
    assert np.array_equal(torchvisions_pixels(data)[..., 0], wide)
