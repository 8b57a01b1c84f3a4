"""Training on a CUDA device: `pytest -m gpu`. Not run in CI, which has none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from pipeline_lib.loader import Batch
from pipeline_lib.loader.batches import BatchMemory
from pipeline_lib.loader.resident_loader import show
from pipeline_lib.networks.build import build_network
from pipeline_lib.networks.classifier import Classifier
from pipeline_lib.settings import Settings
from pipeline_lib.train.learner import Learner, phases
from pipeline_lib.train.loaders import copied_ahead
from pipeline_lib.train.loss import EpochLoss, Objective
from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.run import run
from testing.small_line import SmallLine

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _on_a_gpu() -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")


def test_it_learns_on_a_gpu_too(small_line: SmallLine, tmp_path: Path) -> None:
    settings = Settings(workers=1, device="cuda", root=small_line.folder)

    run(small_line.train(tmp_path, settings=settings))

    curves = pd.read_csv(tmp_path / "curves.csv")
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]
    assert curves["val_top1"].iloc[-1] >= 0.8


def test_no_step_waits_for_the_gpu() -> None:
    recipe, cuda = (
        RECIPES["cifar_speed"].changed(mixup_alpha=0.2, clip_norm=1.0),
        torch.device("cuda"),
    )
    model = Classifier(
        build_network("speed_net", n_classes=3, side_px=32), mean=recipe.mean, std=recipe.std
    ).to(cuda)
    learner = Learner(
        model, recipe, phases(recipe)[-1], objective=Objective(), device=cuda, average_decay=0.9
    )
    cpu = (
        torch.zeros(16, 32, 32, 3, dtype=torch.uint8),
        torch.zeros(16).long(),
        torch.ones(16),
        torch.arange(16),
    )
    (batch,), losses = (
        copied_ahead([Batch(*(tensor.pin_memory() for tensor in cpu))], cuda),
        EpochLoss(cuda, []),
    )
    learner.update(batch, rate=0.01, before=losses.add)  # compiles

    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            learner.update(batch, rate=0.01, before=losses.add)
    finally:
        torch.cuda.set_sync_debug_mode("default")

    assert np.isfinite(losses.mean())


def test_images_that_stay_on_the_gpu_are_shown_as_on_a_cpu() -> None:
    torch.manual_seed(0)
    pixels_NHWC = torch.randint(0, 256, (9, 32, 32, 3), dtype=torch.uint8)
    how = (
        torch.arange(9),
        torch.rand(9) < 0.5,
        torch.randint(-5, 6, (9, 2)),
        torch.randint(-4, 32, (9, 2)),
    )

    there = show(pixels_NHWC.cuda(), *(drawn.cuda() for drawn in how), cutout_px=8)

    assert torch.equal(there.cpu(), show(pixels_NHWC, *how, cutout_px=8))


def test_memory_of_a_batch_is_not_used_again_before_its_copy_is_done() -> None:
    """The GPU is kept busy, so the loader is far ahead of it; each batch must still arrive with its own number."""
    memory = BatchMemory(64, 224)

    def batches() -> Iterator[Batch]:
        for number in range(1, 33):
            pixels_BHWC = memory.take(64)
            pixels_BHWC.fill(number)
            yield Batch(
                torch.from_numpy(pixels_BHWC), *(torch.full((64,), number) for _ in range(3))
            )

    seen = []
    for batch in copied_ahead(batches(), torch.device("cuda")):
        torch.cuda._sleep(10_000_000)  # type: ignore[no-untyped-call]
        seen.append(torch.stack([batch.images_BHWC.amin(), batch.images_BHWC.amax()]))

    assert np.array_equal(torch.stack(seen).cpu(), np.repeat(np.arange(1, 33), 2).reshape(-1, 2))
