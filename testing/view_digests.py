"""Print what the C decoder makes of some thousand boxes, one line each: equal on every processor.

    python -m testing.view_digests

A line holds what was asked for, a digest of what is stored, and a digest of the pixels shown. The sides of the images
are those at which decoders differ: single pixels, less than a block, one more than a block, and a whole photograph.
`python -m benchmarks.robustness.decoder_elsewhere` compares the lines of several processors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from pipeline_lib.betons.layout import JPG, RAW, Array
from pipeline_lib.native.views import Status
from testing.view_fuzzing import KINDS
from testing.view_fuzzing import jpeg as encode
from tests.unit.native.test_views import PHOTOGRAPHS, show

SIZES = ((1, 1), (3, 5), (7, 200), (16, 16), (17, 33), (97, 161), (300, 9), (427, 640))
VIEWS = 40  # of each stored image


def lines() -> Iterator[str]:
    """One line per view."""
    rng = np.random.default_rng(0)
    for height, width in SIZES:
        for name, mode, stored in stored_images(PHOTOGRAPHS[0][:height, :width]):
            for _ in range(VIEWS):
                box = random_box(rng, height, width)
                side, flip = int(rng.integers(1, 301)), bool(rng.integers(2))
                status, shown = show(
                    stored, mode=mode, size=(height, width), box=box, flip=flip, side=side
                )
                asked = f"{name}, {height} x {width}, box {box}, side {side}, flip {flip}"
                yield f"{asked}: {digest(stored)} {Status(status).name} {digest(shown)}"


def stored_images(pixels: Array) -> Iterator[tuple[str, int, Array]]:
    """Name, mode and bytes of the image in every way that a beton may hold it."""
    yield "raw", RAW, np.ascontiguousarray(pixels)
    yield "grey", JPG, np.frombuffer(encode(pixels[..., 1]), np.uint8)
    for options in KINDS:
        yield str(options), JPG, np.frombuffer(encode(pixels, **options), np.uint8)


def random_box(rng: np.random.Generator, height: int, width: int) -> tuple[int, int, int, int]:
    """Top, left, height and width of a box inside an image."""
    box_h, box_w = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
    return int(rng.integers(height - box_h + 1)), int(rng.integers(width - box_w + 1)), box_h, box_w


def digest(content: Array) -> str:
    """Sixteen hexadecimal digits."""
    return hashlib.sha256(content.tobytes()).hexdigest()[:16]


if __name__ == "__main__":
    print(*lines(), sep="\n")
