"""Ways to damage a JPEG file, and who notices: our decode, Pillow's and OpenCV's."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Final

import cv2
import numpy as np
from PIL import Image

from pipeline_lib.pixels import PixelRules, Undecodable, decode

PAGE, SECTOR = 4096, 512
RULES: Final = PixelRules()
Damage = Callable[[bytes, bytes, random.Random], bytes]


def zeroed(data: bytes, at: int, size: int) -> bytes:
    """The file with zeros from an offset on, as long as before."""
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


def _aligned(data: bytes, size: int, rng: random.Random) -> int:
    """An offset as on a disk, behind the headers and before the last piece."""
    return size * rng.randrange(-(-1024 // size), max(2, (len(data) - size) // size))


def _flip_bytes(data: bytes, n: int, rng: random.Random) -> bytes:
    damaged = bytearray(data)
    for at in rng.sample(range(1024, len(data) - 2), n):
        damaged[at] ^= rng.randrange(1, 256)
    return bytes(damaged)


def _flip_bit(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(1024, len(data) - 2)
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


DAMAGES: Final[dict[str, Damage]] = {
    "cut in half": lambda data, other, rng: data[: len(data) // 2],
    "last 1 KB lost": lambda data, other, rng: data[:-1024],
    "end mark lost": lambda data, other, rng: data[:-2],
    "last 30 % zeros": lambda data, other, rng: zeroed(data, len(data) * 7 // 10, len(data)),
    "a 4 KB page of zeros": lambda data, other, rng: zeroed(data, _aligned(data, PAGE, rng), PAGE),
    "4 KB of zeros anywhere": lambda data, other, rng: zeroed(
        data, rng.randrange(1024, len(data) - PAGE), PAGE
    ),
    "a 512 B sector of zeros": lambda data, other, rng: zeroed(
        data, _aligned(data, SECTOR, rng), SECTOR
    ),
    "512 B of zeros anywhere": lambda data, other, rng: zeroed(
        data, rng.randrange(1024, len(data) - SECTOR), SECTOR
    ),
    "spliced with another file": lambda data, other, rng: (
        data[: len(data) // 2] + other[len(other) // 2 :]
    ),
    "8 random bytes": lambda data, other, rng: _flip_bytes(data, 8, rng),
    "1 flipped bit": lambda data, other, rng: _flip_bit(data, rng),
}


def we_notice(data: bytes) -> bool:
    """Whether the strict decode refuses."""
    try:
        decode(data, RULES)
    except Undecodable:
        return True
    return False


def pillow_notices(data: bytes) -> bool:
    """Whether Pillow's load, which torchvision's ImageFolder uses, raises."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
    except (OSError, SyntaxError, ValueError):
        return True
    return False


def opencv_notices(data: bytes) -> bool:
    """Whether OpenCV gives no image."""
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) is None


NOTICE: Final = {"ours": we_notice, "Pillow": pillow_notices, "OpenCV": opencv_notices}
