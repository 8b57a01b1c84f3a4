"""Digits as image files: ordinary JPEG and PNG, and the odd kinds a real collection holds."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.ExifTags import IFD, Base

SIDE_PX = 32
JPEG_QUALITY = 95
GPS_DATUM = "planted-datum-7Q2"  # a string no other file holds
GPS_LATITUDE = (47.0, 22.0, 33.25)  # degrees, minutes, seconds
ROTATE_TO_SHOW = 6  # EXIF orientation: turn 90 degrees clockwise to show

Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Digits:
    """The enlarged digits. images: uint8 [n, 32, 32], 0 is paper; labels: "0".."9"."""

    images: Grey
    labels: tuple[str, ...]


def load_scans() -> Digits:
    """Read the bundled digits and enlarge them bicubically to 32x32 (0..16 becomes 0..255)."""
    package = find_spec("sklearn")  # only its file: importing it takes seconds
    if package is None or package.origin is None:
        raise ModuleNotFoundError("scikit-learn is not installed", name="sklearn")
    with gzip.open(
        Path(package.origin).parent / "datasets/data/digits.csv.gz", "rt", encoding="utf-8"
    ) as file:
        rows = np.loadtxt(file, delimiter=",")  # 64 intensities, then the digit
    small = np.rint(rows[:, :64].reshape(-1, 8, 8) * (255 / 16)).astype(np.uint8)
    large = [
        np.asarray(Image.fromarray(scan).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC))
        for scan in small
    ]
    return Digits(np.stack(large), tuple(str(label) for label in rows[:, 64].astype(int)))


def jpeg(
    pixels: Grey,
    *,
    quality: int = JPEG_QUALITY,
    colour: bool = False,
    exif: Image.Exif | None = None,
) -> bytes:
    """A baseline JPEG; `colour` stores three equal channels."""
    image = Image.fromarray(pixels)
    options = {"exif": exif} if exif else {}
    return _file(image.convert("RGB") if colour else image, "JPEG", quality=quality, **options)


def png(pixels: Grey) -> bytes:
    """An 8-bit PNG."""
    return _file(Image.fromarray(pixels), "PNG")


def png_16bit(pixels: Grey) -> bytes:
    """The same image with 16 bits per sample (0..65535)."""
    return _file(Image.fromarray(pixels.astype(np.uint16) * 257), "PNG")


def palette_png(pixels: Grey) -> bytes:
    """The same image through a palette of 64 colours."""
    return _file(Image.fromarray(pixels).convert("RGB").quantize(64), "PNG")


def cmyk_jpeg(pixels: Grey) -> bytes:
    """A JPEG for print: four inks."""
    return _file(
        Image.fromarray(pixels).convert("RGB").convert("CMYK"), "JPEG", quality=JPEG_QUALITY
    )


def animated_gif(pixels: Grey) -> bytes:
    """Three frames: the digit, its mirror, and blank."""
    frames = [Image.fromarray(frame) for frame in (pixels[:, ::-1], np.zeros_like(pixels))]
    return _file(Image.fromarray(pixels), "GIF", save_all=True, append_images=frames, duration=100)


def rotated_jpeg(pixels: Grey) -> bytes:
    """Stored lying on its side, with the EXIF orientation that sets it upright."""
    exif = Image.Exif()
    exif[Base.Orientation] = ROTATE_TO_SHOW
    return jpeg(np.rot90(pixels).copy(), exif=exif)


def located_jpeg(pixels: Grey) -> bytes:
    """A JPEG whose EXIF tells where it was taken."""
    exif = Image.Exif()
    exif[Base.Make] = "Planted"
    exif.get_ifd(IFD.GPSInfo).update(
        {1: "N", 2: GPS_LATITUDE, 3: "E", 4: (8.0, 32.0, 12.5), 18: GPS_DATUM}
    )
    return jpeg(pixels, exif=exif)


def commented_jpeg(data: bytes, comment: str) -> bytes:
    """The same JPEG with a comment segment: other bytes, same pixels."""
    text = comment.encode()
    return data[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + data[2:]


def pixels_of(data: bytes) -> Grey:
    """Decode a grey JPEG of ours."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


def mosaic(scans: Grey, *, tiles: int) -> Grey:
    """tiles x tiles digits in one image; large enough to lose a page and keep its head."""
    rows = scans[: tiles * tiles].reshape(tiles, tiles, SIDE_PX, SIDE_PX)
    return rows.transpose(0, 2, 1, 3).reshape(tiles * SIDE_PX, tiles * SIDE_PX)


def _file(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
