"""Build the fuzzer of the C decoder, and make what it starts from."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline_lib.betons.layout import Array
from pipeline_lib.native import build

TARGET = Path(__file__).parent / "fuzz_views.c"  # it includes views.c itself, to fence its memory
SOURCES = (TARGET, build.FOLDER / "jpeg_box.c", build.FOLDER / "resize.c")
# VIEWS_PLAIN: the choice between processors is made before the sanitizers are ready.
FLAGS = ("-g", "-O1", "-std=gnu11", "-DVIEWS_PLAIN", f"-I{build.FOLDER}")
SANITIZED = "-fno-sanitize-recover=all", "-fsanitize=address,undefined"
SIZES = ((40, 56), (17, 33), (97, 61))
KINDS: tuple[dict[str, object], ...] = (
    {"subsampling": "4:4:4"},
    {"subsampling": "4:2:2"},
    {"subsampling": "4:2:0"},
    {"progressive": True},
    {"progressive": True, "subsampling": "4:4:4", "quality": 95},
    {"restart_marker_blocks": 3},
    {"optimize": True, "quality": 30},
    {"keep_rgb": True},
)


def compile_fuzzer(path: Path, *flags: str, compiler: str) -> None:
    """Compile the decoder with its fuzzer. Raises CalledProcessError."""
    command = [compiler, *FLAGS, *flags, *map(str, SOURCES), "-o", str(path), *build.LIBRARIES]
    subprocess.run(command, check=True, capture_output=True, text=True, cwd=path.parent)


def write_seeds(folder: Path) -> list[Path]:
    """JPEGs of every kind that a beton may hold, one of CMYK that it may not, and raw pixels: inputs of the fuzzer."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (is_raw, content) in enumerate(_contents()):
        paths.append(folder / f"seed-{number:02}")
        paths[-1].write_bytes(bytes([is_raw, 1, 0, 0, 0, 0, 255, 255, 255, 255, 63, 49]) + content)
    return paths


def jpeg(pixels: Array | Image.Image, **options: object) -> bytes:
    """The JPEG that Pillow writes."""
    stream = io.BytesIO()
    (pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)).save(
        stream, "JPEG", **options
    )
    return stream.getvalue()


def photo(height: int, width: int) -> Array:
    """A smooth image with some noise, uint8 RGB."""
    y, x = np.mgrid[0:height, 0:width] / 9
    waves = np.stack([np.sin(x), np.cos(y * 0.7), np.sin(x + y)], axis=-1) * 100 + 127
    return (
        (waves + np.random.default_rng(0).normal(0, 8, waves.shape)).clip(0, 255).astype(np.uint8)
    )


def _contents() -> Iterator[tuple[int, bytes]]:
    for options in KINDS:
        for size in SIZES:
            yield 0, jpeg(photo(*size), **options)
    yield 0, jpeg(photo(50, 50)[..., 0])
    yield 0, jpeg(Image.fromarray(photo(50, 50)).convert("CMYK"))
    yield 1, photo(50, 50).tobytes()
