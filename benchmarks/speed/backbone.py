"""What the built-in backbone costs: to open it, to embed an image by batch size, and a whole `perennial predict`.

    python -m benchmarks.speed.backbone

One thread, views of random pixels (a network's time does not depend on them), CPU time of this process; `predict` in a
process of its own, with its imports. Writes benchmarks/results/backbone.json.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.backbones import open_builtin
from pipeline_lib.backbones.builtin import EFFICIENTNET_LITE0

ROUNDS, N_IMAGES = 5, 96
BATCH_SIZES = (1, 8, 32)
PHOTO_PX = (400, 533)


def opening() -> Row:
    """CPU milliseconds to check, read and open the weights."""
    return row(
        "open",
        "cpu",
        "ms",
        [_cpu_ms(lambda: open_builtin(EFFICIENTNET_LITE0, threads=1)) for _ in range(ROUNDS)],
    )


def embedding(batch_size: int, views_BHWC: np.ndarray) -> Row:
    """CPU milliseconds of an image, by the size of batches."""
    model = open_builtin(EFFICIENTNET_LITE0, threads=1)
    model.features(views_BHWC[:batch_size])  # the first call allocates

    def embed() -> None:
        for start in range(0, N_IMAGES, batch_size):
            model.features(views_BHWC[start : start + batch_size])

    return row(
        f"batch of {batch_size}", "cpu", "ms", [_cpu_ms(embed) / N_IMAGES for _ in range(ROUNDS)]
    )


def viewing(photo_HWC: np.ndarray) -> Row:
    """CPU milliseconds to bring a photograph to what the network sees."""
    return row(
        "view",
        "cpu",
        "ms",
        [_cpu_ms(lambda: EFFICIENTNET_LITE0.view(photo_HWC)) for _ in range(ROUNDS)],
    )


def predicting(photo_HWC: np.ndarray) -> Row:
    """CPU seconds of `perennial predict --model builtin` of one photograph."""
    cpu_s = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "photo.jpg"
        Image.fromarray(photo_HWC).save(file)
        command = [
            sys.executable,
            "-c",
            "import sys; from flows.cli import main; sys.exit(main(sys.argv[1:]))",
        ]
        for _ in range(ROUNDS):
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run(
                [*command, "predict", "--model", "builtin", str(file)],
                check=True,
                capture_output=True,
            )
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu_s.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return row("predict", "cpu", "s", cpu_s)


def _cpu_ms(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return 1000 * (time.process_time() - began)


def main() -> None:
    """Command line."""
    rng = np.random.default_rng(0)
    side = EFFICIENTNET_LITE0.side_px
    views_BHWC = rng.integers(0, 256, (N_IMAGES, side, side, 3), dtype=np.uint8)
    photo_HWC = rng.integers(0, 256, (*PHOTO_PX, 3), dtype=np.uint8)
    rows = [opening(), viewing(photo_HWC), *(embedding(size, views_BHWC) for size in BATCH_SIZES)]
    print(
        f"wrote {write_results('backbone', [*rows, predicting(photo_HWC)], also=('onnxruntime', 'onnx'))}"
    )


if __name__ == "__main__":
    main()
