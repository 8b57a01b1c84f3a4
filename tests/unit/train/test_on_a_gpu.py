"""Training on a CUDA device: `pytest -m gpu`. Not run in CI, which has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_lib.loader import Batch
from pipeline_lib.loader.batch_memory import BatchMemory
from pipeline_lib.settings import Settings
from pipeline_lib.train.feed import fed
from pipeline_lib.train.run import run

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")


def test_it_learns_on_a_gpu_too(small_line, tmp_path: Path) -> None:
    settings = Settings(workers=1, device="cuda", root=small_line.folder)

    run(small_line.train(tmp_path, settings=settings))

    curves = pd.read_csv(tmp_path / "curves.csv")
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]
    assert curves["val_top1"].iloc[-1] >= 0.8


def test_memory_of_a_batch_is_not_used_again_before_its_copy_is_done() -> None:
    """The GPU is kept busy, so the loader is far ahead of it; each batch must still arrive with its own number."""
    memory = BatchMemory(64, 224)

    def batches():
        for number in range(1, 33):
            pixels_BHWC = memory.take(64)
            pixels_BHWC.fill(number)
            yield Batch(torch.from_numpy(pixels_BHWC), *(torch.full((64,), number) for _ in range(3)))

    seen = []
    for batch in fed(batches(), torch.device("cuda")):
        torch.cuda._sleep(10_000_000)
        seen.append(torch.stack([batch.images_BHWC.amin(), batch.images_BHWC.amax()]))

    assert np.array_equal(torch.stack(seen).cpu(), np.repeat(np.arange(1, 33), 2).reshape(-1, 2))
