"""What `inspect` costs for photographs of 12 megapixels, part by part, and whether its memory grows.

    python -m benchmarks.speed.phone_photographs [--count 300]

The photographs are one of the installed backgrounds (benchmarks/support/photographs.py) at 4000 x 3000 with noise as of
a sensor, JPEG quality 90, about 3 MB each. One process, one thread, CPU time of this process: a whole image as the
stage takes it (checksum, decode, checks, hashes, quality, features, small view), as it lies and turned by EXIF; then its
parts alone. Memory: resident, after 50 and after all images. Writes benchmarks/results/phone_photographs.json.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.support.photographs import BACKGROUNDS, SHARE
from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.backbones import EFFICIENTNET_LITE0
from pipeline_lib.inspect.embedding import builtin_embedding
from pipeline_lib.inspect.hashes import perceptual_hashes, pixel_hash
from pipeline_lib.inspect.image import REDUCED_PX, SCREEN_PX, examine, luminance
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.quality import measure
from pipeline_lib.inspect.shard import describe
from pipeline_lib.inspect.small_view import small_view
from pipeline_lib.pixels import decode, shrink_to
from pipeline_lib.pixels.resize import reduce_whole

SIZE, NOISE, QUALITY = (4000, 3000), 4.0, 90
VARIANTS, ROUNDS, WARM = 6, 15, 50
TURNED = 6  # EXIF: as a phone held upright writes it
PARAMS = InspectParams()
EMBEDDING = builtin_embedding(PARAMS)


def phone_photographs() -> list[bytes]:
    """VARIANTS JPEG files of SIZE, each with noise of its own."""
    name = BACKGROUNDS["plasma-workspace-wallpapers"][0]
    with Image.open(SHARE / name) as opened:
        photograph = opened.convert("RGB")
    width = photograph.height * SIZE[0] // SIZE[1]
    whole = photograph.crop((0, 0, width, photograph.height)).resize(SIZE, Image.Resampling.BICUBIC)
    pixels = np.asarray(whole).astype(np.int16)
    made = []
    for seed in range(VARIANTS):
        noise_HW = np.random.default_rng(seed).normal(0, NOISE, pixels.shape[:2])
        noisy = np.clip(pixels + noise_HW[..., None], 0, 255).astype(np.uint8)
        made.append(as_jpeg(Image.fromarray(noisy)))
    return made


def as_jpeg(image: Image.Image, *, orientation: int = 1) -> bytes:
    """The image as a phone writes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=QUALITY, subsampling="4:2:0", exif=exif)
    return file.getvalue()


def inspected(data: bytes) -> None:
    """What the stage does with an image."""
    hashlib.sha256(data).hexdigest()
    describe(examine("a.jpg", data, PARAMS), EMBEDDING)


def parts(data: bytes) -> dict[str, Callable[[], object]]:
    """Name -> one part of the work, on its own."""
    pixels_HWC = decode(data, PARAMS.pixel_rules()).pixels_HWC
    reduced_HWC = reduce_whole(pixels_HWC, short_side_px=REDUCED_PX)
    grey_HW = shrink_to(luminance(reduced_HWC), short_side_px=SCREEN_PX)
    assert EMBEDDING is not None
    embed = EMBEDDING.vector
    return {
        "checksum of the file": lambda: hashlib.sha256(data).hexdigest(),
        "strict decode of every pixel": lambda: decode(data, PARAMS.pixel_rules()),
        "hash of every pixel": lambda: pixel_hash(pixels_HWC),
        "reduction to 800 x 600": lambda: reduce_whole(pixels_HWC, short_side_px=REDUCED_PX),
        "perceptual hashes, quality": lambda: (perceptual_hashes(grey_HW), measure(grey_HW)),
        "small view": lambda: small_view(reduced_HWC),
        "view of the backbone": lambda: EFFICIENTNET_LITE0.view(reduced_HWC),
        "view and embedding": lambda: embed(reduced_HWC),
    }


def cost(case: str, works: list[Callable[[], object]]) -> Row:
    """Milliseconds of CPU time of one call, over ROUNDS; the first call of each is not counted."""
    for work in works:
        work()
    spent = []
    for number in range(ROUNDS):
        began = time.process_time()
        works[number % len(works)]()
        spent.append(1000 * (time.process_time() - began))
    return row(case, "cpu", "ms", spent)


def memory(files: list[bytes], count: int) -> list[Row]:
    """Resident memory after WARM and after all images, and the peak, in MB."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # the peak begins anew
    after: dict[int, float] = {}
    for number in range(1, count + 1):
        inspected(files[number % len(files)])
        if number in (WARM, count):
            after[number] = _status("VmRSS")
    grown = [after[count] - after[WARM]]
    return [
        row(f"{count} images", "resident in the end", "MB", [after[count]]),
        row(f"{count} images", f"growth since the {WARM}th", "MB", grown),
        row(f"{count} images", "peak", "MB", [_status("VmHWM")]),
    ]


def _status(name: str) -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    (line,) = (line for line in lines if line.startswith(name))
    return int(line.split()[1]) / 1000


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300)
    options = parser.parse_args()
    files = phone_photographs()
    turned = [as_jpeg(Image.open(io.BytesIO(data)), orientation=TURNED) for data in files]
    sizes_mb = [len(data) / 1e6 for data in files]
    rows = [row("file", "size", "MB", sizes_mb)]
    for case, images in (("whole", files), ("whole, turned by EXIF", turned)):
        rows.append(cost(case, [functools.partial(inspected, data) for data in images]))
    rows += [cost(name, [work]) for name, work in parts(files[0]).items()]
    rows += memory(files, options.count)
    for one in rows:
        print(f"{one.case}; {one.metric}: {one.median:.4g} {one.unit}")
    print(f"wrote {write_results('phone_photographs', rows, also=('onnxruntime',))}")


if __name__ == "__main__":
    main()
