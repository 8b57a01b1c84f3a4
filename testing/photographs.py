"""An ImageFolder of procedural photographs of mixed sizes and kinds, as people's folders hold them."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from PIL.ExifTags import Base

Pixels = NDArray[np.uint8]
CLASSES = ("meadow", "brick wall", "night sky")  # with spaces, as folders have
OF_A_CLASS = 30


def write_photographs(folder: Path, *, seed: int) -> dict[str, list[str]]:
    """Write the folder; returns member paths by kind of file."""
    rng = np.random.default_rng(seed)
    members: dict[str, list[str]] = {}
    for label in CLASSES:
        (folder / label).mkdir(parents=True)
        for number in range(OF_A_CLASS):
            kind, ending, save = KINDS[number] if number < len(KINDS) else KINDS[0]
            size = (
                (3000, 2000)
                if kind == "large"
                else tuple(int(side) for side in rng.integers(180, 520, 2))
            )
            name = f"{label}/{kind}_{number:02d}{ending}"
            (folder / name).write_bytes(save(Image.fromarray(_scene(label, size[0], size[1], rng))))
            members.setdefault(kind, []).append(name)
    return members


def _scene(label: str, width_px: int, height_px: int, rng: np.random.Generator) -> Pixels:
    """Smooth noise in the colours of the class, with its texture: blades, courses of bricks, stars."""
    grain = rng.integers(0, 60, (height_px // 8 + 1, width_px // 8 + 1, 1), dtype=np.uint8)
    noise = np.kron(grain, np.ones((8, 8, 1), dtype=np.uint8))[:height_px, :width_px].astype(
        np.int16
    )
    y, x = np.mgrid[:height_px, :width_px][:, :, :, None]
    scale = max(4, min(width_px, height_px) // int(rng.integers(8, 20)))
    if label == "meadow":
        scene = np.array([60, 140, 40]) + noise + 40 * ((x + y // 3) % scale < scale // 3)
    elif label == "brick wall":
        joint = (y % scale < scale // 6 + 1) | (
            (x + scale * (y // scale % 2)) % (2 * scale) < scale // 6 + 1
        )
        scene = np.where(joint, 190, np.array([160, 70, 50])) + noise // 2
    else:
        stars = rng.random((height_px, width_px, 1)) > 0.998
        scene = np.where(stars, 250, np.array([12, 15, 60])) + noise // 2
    pixels: Pixels = scene.clip(0, 255).astype(np.uint8)
    return pixels


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


KINDS: tuple[tuple[str, str, Callable[[Image.Image], bytes]], ...] = (
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


def write_crops(folder: Path, *, side_px: int = 80) -> list[str]:
    """Write windows of scikit-learn's two photographs that do not overlap, one folder for each photograph.

    Some names have spaces, umlauts and a tab. Returns the paths below the folder.
    """
    from sklearn.datasets import load_sample_images

    members = []
    for label, whole in zip(("ein Süden", "flower"), load_sample_images().images, strict=True):
        (folder / label).mkdir(parents=True)
        tops, lefts = (range(0, length - side_px + 1, side_px) for length in whole.shape[:2])
        for number, (top, left) in enumerate((top, left) for top in tops for left in lefts):
            stem = ("Ä photo", "tab\there", "plain")[number % 3]
            name = f"{label}/{stem} {number:02d}.jpg"
            window = Image.fromarray(whole[top : top + side_px, left : left + side_px])
            large = window.resize((2 * side_px, 2 * side_px), Image.Resampling.LANCZOS)
            (folder / name).write_bytes(_saved(large, "JPEG", quality=92))
            members.append(name)
    return members
