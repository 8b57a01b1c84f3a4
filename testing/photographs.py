"""A folder of small photographs of mixed kinds, as people have them: windows of scikit-learn's two sample images."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter
from PIL.ExifTags import Base

CLASSES = ("chinesisches Dach, Süden", "flower")  # with spaces and umlauts, as folders have
STEMS = ("Ä photo", "tab\there", "plain")
SIDE_PX, LARGE_PX = 80, (3000, 2000)  # of a window in the whole image; windows do not overlap


def _saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def _rotated(image: Image.Image) -> bytes:
    exif = Image.Exif()
    exif[Base.Orientation] = 6  # stored lying on its side
    return _saved(image.transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)


def _with_alpha(image: Image.Image) -> bytes:
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return _saved(image, "PNG")


def _deep(image: Image.Image) -> bytes:
    return _saved(Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257), "PNG")


Kind = tuple[
    str, str, Callable[[Image.Image], bytes]
]  # its name, the ending of the file, how it is saved
KINDS: tuple[Kind, ...] = (
    ("plain", ".jpg", lambda image: _saved(image, "JPEG", quality=88)),
    ("grey", ".jpg", lambda image: _saved(image.convert("L"), "JPEG")),
    ("cmyk", ".jpg", lambda image: _saved(image.convert("CMYK"), "JPEG")),
    ("deep", ".png", _deep),
    ("alpha", ".png", _with_alpha),
    ("rotated", ".JPG", _rotated),
    ("progressive", ".jpeg", lambda image: _saved(image, "JPEG", progressive=True)),
    ("palette", ".png", lambda image: _saved(image.quantize(128), "PNG")),
    ("webp", ".webp", lambda image: _saved(image, "WEBP", quality=80)),
    ("blurred", ".jpg", lambda image: _saved(image.filter(ImageFilter.GaussianBlur(2)), "JPEG")),
    ("large", ".jpg", lambda image: _saved(image, "JPEG", quality=80)),
)


def write_photographs(folder: Path, *, kinds: Sequence[Kind] = KINDS) -> dict[str, list[str]]:
    """Write 40 files of each class, the first ones of the kinds, the others plain; returns their paths by kind."""
    from sklearn.datasets import load_sample_images

    members: dict[str, list[str]] = {}
    for label, whole in zip(CLASSES, load_sample_images().images, strict=True):
        (folder / label).mkdir(parents=True)
        tops, lefts = (range(0, length - SIDE_PX + 1, SIDE_PX) for length in whole.shape[:2])
        for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
            kind, ending, save = kinds[number] if number < len(kinds) else KINDS[0]
            size = LARGE_PX if kind == "large" else (2 * SIDE_PX, 2 * SIDE_PX + 10 * (number % 3))
            window = Image.fromarray(whole[top : top + SIDE_PX, left : left + SIDE_PX])
            image = window.resize(size, Image.Resampling.LANCZOS)
            name = f"{label}/{kind} {STEMS[number % 3]} {number:02d}{ending}"
            (folder / name).write_bytes(save(image))
            members.setdefault(kind, []).append(name)
    return members
