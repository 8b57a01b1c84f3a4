"""Measure the use of NVIDIA GPUs while a stage runs, with `nvidia-smi`, for operations.jsonl."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

EVERY_S = 2
QUERY = "--query-gpu=index,name,utilization.gpu,memory.used"


@dataclass
class Gpu:
    """One GPU of the machine. used_percent: share of the time in which it computed, mean of `samples` samples."""

    name: str
    used_percent: float = 0.0
    peak_mb: int = 0
    samples: int = 0

    def see(self, percent: int, used_mb: int) -> None:
        """Add one sample."""
        self.used_percent = (self.used_percent * self.samples + percent) / (self.samples + 1)
        self.peak_mb, self.samples = max(self.peak_mb, used_mb), self.samples + 1


@contextlib.contextmanager
def watched_gpus() -> Iterator[list[dict[str, Any]]]:
    """Sample every two seconds while the block runs; the yielded list is filled at its end, empty without a GPU.

    The use by all processes counts. CUDA_VISIBLE_DEVICES, if set, selects the GPUs.
    """
    figures: list[dict[str, Any]] = []
    tool = shutil.which("nvidia-smi")
    if tool is None:
        yield figures
        return
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    command = [
        tool,
        QUERY,
        "--format=csv,noheader,nounits",
        f"--loop={EVERY_S}",
        *([f"--id={chosen}"] if chosen else []),
    ]
    seen: dict[str, Gpu] = {}
    # If we are killed, the tool ends at its next line, which nobody reads.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8"
    ) as watching:
        assert watching.stdout is not None
        reader = threading.Thread(target=count, args=(watching.stdout, seen), daemon=True)
        reader.start()
        try:
            yield figures
        finally:
            watching.terminate()
            reader.join()
            figures += [asdict(seen[index]) for index in sorted(seen)]


def count(lines: Iterable[str], seen: dict[str, Gpu]) -> None:
    """Parse lines such as `0, NVIDIA H200, 87, 20480`, and skip all others (no driver, [N/A])."""
    for line in lines:
        index, name, percent, used_mb = [*line.strip().split(", "), "", "", ""][:4]
        if percent.isdigit() and used_mb.isdigit():
            seen.setdefault(index, Gpu(name)).see(int(percent), int(used_mb))
