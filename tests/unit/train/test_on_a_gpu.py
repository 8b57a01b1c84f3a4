"""Training on a CUDA device: `pytest -m gpu`. Not run in CI, which has none."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.settings import Settings
from pipeline_lib.train.run import run

pytestmark = pytest.mark.gpu


def test_it_learns_on_a_gpu_too(small_line, tmp_path: Path) -> None:
    import torch

    if not torch.cuda.is_available():
        pytest.skip("no CUDA device on this machine")
    settings = Settings(workers=1, device="cuda", root=small_line.folder)

    run(small_line.train(tmp_path, settings=settings))

    curves = pd.read_csv(tmp_path / "curves.csv")
    assert curves["train_loss"].iloc[-1] < curves["train_loss"].iloc[0]
    assert curves["val_top1"].iloc[-1] >= 0.8
