"""FFCV as it comes, behind the same interface: the same order and labels, its own views, and its defects kept away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline_lib.errors import ConfigError, OutputDamaged
from pipeline_lib.loader import Augmentation
from pipeline_lib.pixels import centre_square

from .conftest import Betons, damage_jpeg, one_epoch

STOCK = Augmentation(scale_min=0.3, flip=True, shift_px=2)


def test_order_labels_and_weights_are_those_of_the_other_loaders(betons: Betons) -> None:
    stock, ours = (one_epoch(betons.open(kind=kind, augmentation=STOCK), 2) for kind in ("stock", "ffcv"))

    for name in ("labels_B", "weights_B", "positions_B"):
        assert torch.equal(getattr(stock, name), getattr(ours, name)), name
    assert stock.images_BHWC.shape == ours.images_BHWC.shape


def test_evaluation_shows_the_centre_of_each_picture_by_ffcvs_resize(betons: Betons) -> None:
    loader = betons.open("raw", kind="stock", augmentation=None, shuffle=False, workers=2)

    for image_id, pixels in zip(loader.image_ids, one_epoch(loader).images_BHWC.numpy(), strict=True):
        expected = centre_square(betons.pictures[image_id], side_px=32).astype(int)
        assert np.abs(pixels - expected).mean() < 5


def test_a_picture_that_does_not_decode_is_named_before_the_first_epoch(own_betons: Betons) -> None:
    image_id = damage_jpeg(own_betons, row=5)

    with pytest.raises(OutputDamaged, match=f"a picture in the beton is damaged.*{image_id}"):
        own_betons.open("jpg", kind="stock")


def test_an_augmentation_that_ffcv_does_not_have_is_refused_by_name(betons: Betons) -> None:
    with pytest.raises(
        ConfigError, match=r"FFCV has no such augmentation \(found: rotation_deg, contrast\).*set PERENNIAL_LOADER=ffcv"
    ):
        betons.open(kind="stock", augmentation=Augmentation(rotation_deg=3, contrast=0.1))


SCRIPT = """
import sys, torch
import pandas as pd
from pathlib import Path
from pipeline_lib.loader import Augmentation, open_loader
torch.set_num_threads(3)
loader = open_loader(Path(sys.argv[1]), pd.read_pickle(sys.argv[2]), batch_size=8, side_px=32, kind="stock",
                     augmentation=Augmentation(flip=True), shuffle=True, seed=7, drop_last=False, workers=2)
for epoch in range(2):
    for batch in loader.epoch(epoch):
        pass
del loader
print(torch.get_num_threads())
"""


def test_it_ends_in_silence_and_leaves_torchs_threads_alone(betons: Betons, tmp_path: Path) -> None:
    betons.selection("small").to_pickle(tmp_path / "selection")
    command = [sys.executable, "-c", SCRIPT, str(betons.folder), str(tmp_path / "selection")]

    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n", "")
