"""FFCV's own Loader behind our interface: the same order and labels, its own views, and its defects kept away."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from pipeline_lib.errors import ConfigError, DependencyMissing, OutputDamaged
from pipeline_lib.loader import Augmentation
from pipeline_lib.loader.ffcv_loader import EpochIterator, operations_of
from pipeline_lib.loader.view_params import IN_FFCV, ViewParams
from pipeline_lib.pixels import centre_square
from pipeline_lib.train.params import TrainParams

from .conftest import Betons, damage_jpeg, digest, one_epoch

KNOWN = Augmentation(scale_min=0.3, flip=True, shift_px=2)


def test_order_labels_and_weights_are_those_of_the_other_loaders(betons: Betons) -> None:
    theirs, ours = (
        one_epoch(betons.open(kind=kind, augmentation=KNOWN), 2) for kind in ("ffcv", "native")
    )

    for name in ("labels_B", "weights_B", "positions_B"):
        assert torch.equal(getattr(theirs, name), getattr(ours, name)), name
    assert theirs.images_BHWC.shape == ours.images_BHWC.shape


def test_images_that_need_no_resize_are_shown_as_by_the_other_loaders_from_every_beton(
    betons: Betons,
) -> None:
    """Mixed order, three betons, several epochs: each image is found by its own place in memory."""
    options: dict[str, Any] = {"augmentation": None, "side_px": 32, "batch_size": 8}
    theirs, ours = (betons.open(kind=kind, **options) for kind in ("ffcv", "native"))

    for epoch in (0, 1):
        first, second = one_epoch(theirs, epoch), one_epoch(ours, epoch)
        small = [theirs.image_ids[at].startswith("small/") for at in first.positions_B.tolist()]
        assert sum(small) == 30
        assert torch.equal(first.images_BHWC[small], second.images_BHWC[small])


def test_evaluation_shows_the_centre_of_each_image_by_ffcvs_resize(betons: Betons) -> None:
    loader = betons.open("raw", kind="ffcv", augmentation=None, shuffle=False, workers=2)

    for image_id, pixels in zip(
        loader.image_ids, one_epoch(loader).images_BHWC.numpy(), strict=True
    ):
        expected = centre_square(betons.images[image_id], side_px=32).astype(int)
        assert np.abs(pixels - expected).mean() < 5


def test_an_image_that_does_not_decode_is_named_before_the_first_epoch(own_betons: Betons) -> None:
    image_id = damage_jpeg(own_betons, row=5)

    with pytest.raises(OutputDamaged, match=f"an image in the beton is damaged.*{image_id}"):
        own_betons.open("jpg", kind="ffcv")


def test_an_augmentation_that_ffcv_does_not_have_is_refused_by_name(betons: Betons) -> None:
    with pytest.raises(
        ConfigError,
        match=r"FFCV has no such augmentation \(found: rotation_deg, contrast\).*set train\.views to keyed",
    ):
        betons.open(kind="ffcv", augmentation=Augmentation(rotation_deg=3, contrast=0.1))


@pytest.mark.usefixtures("uncompiled")
def test_leaving_an_epoch_early_leaves_no_thread_behind(betons: Betons) -> None:
    loader = betons.open(kind="ffcv", augmentation=KNOWN, batch_size=4)
    before = threading.active_count()

    for epoch in range(4):  # FFCV's thread looks twice a second
        for _ in loader.epoch(epoch):
            break

    assert threading.active_count() <= before


@pytest.mark.usefixtures("uncompiled")
def test_an_error_in_ffcvs_thread_reaches_the_caller(
    betons: Betons, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FFCV's own epoch thread would end, and the trainer wait forever."""

    def broken(*_: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(EpochIterator, "run_pipeline", broken)

    with pytest.raises(MemoryError, match="no more"):
        one_epoch(betons.open(kind="ffcv", augmentation=KNOWN))


@pytest.mark.usefixtures("uncompiled")
def test_batches_may_be_kept(betons: Betons) -> None:
    """FFCV uses its buffers again after five batches."""
    copies, kept = [], []
    for batch in betons.open("small", kind="ffcv", augmentation=None, batch_size=3).epoch(0):
        copies.append(batch.images_BHWC.clone())
        kept.append(batch.images_BHWC)

    assert all(torch.equal(*pair) for pair in zip(kept, copies, strict=True))


@pytest.mark.usefixtures("uncompiled")
def test_an_epoch_may_be_resumed_at_any_step_and_shared_between_processes(betons: Betons) -> None:
    """The order is ours, where FFCV's own starts anew and its distributed loading pads."""
    options: dict[str, Any] = {"kind": "ffcv", "augmentation": None, "batch_size": 5}
    whole = [digest(batch) for batch in betons.open(**options).epoch(2)]
    ranks = [betons.open(**options, rank=rank, world=3) for rank in range(3)]

    assert [digest(batch) for batch in betons.open(**options).epoch(2, 4)] == whole[4:]
    shown = [
        at for loader in ranks for batch in loader.epoch(2) for at in batch.positions_B.tolist()
    ]
    assert sorted(shown) == list(range(70))


SCRIPT = """
import sys, torch
import pandas as pd
from pathlib import Path
from typing import Any
from pipeline_lib.loader import Augmentation, open_loader
torch.set_num_threads(3)
loader = open_loader(Path(sys.argv[1]), pd.read_pickle(sys.argv[2]), batch_size=8, side_px=32, kind="ffcv",
                     augmentation=Augmentation(flip=True), shuffle=True, seed=7, drop_last=False, workers=2)
for epoch in range(2):
    for batch in loader.epoch(epoch):
        pass
del loader
print(torch.get_num_threads())
"""


def test_it_says_no_more_than_that_to_its_end_and_leaves_torchs_threads_alone(
    betons: Betons, tmp_path: Path
) -> None:
    betons.selection("small").to_pickle(tmp_path / "selection")
    command = [sys.executable, "-c", SCRIPT, str(betons.folder), str(tmp_path / "selection")]

    ended = subprocess.run(
        command, capture_output=True, text=True, cwd=Path(__file__).parents[3], check=False
    )

    said = "FFCV's own Loader draws the views: a training with it cannot be repeated\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "3\n", said)


def test_it_says_that_a_training_cannot_be_repeated(
    betons: Betons, caplog: pytest.LogCaptureFixture
) -> None:
    betons.open(kind="ffcv", augmentation=KNOWN)

    assert [record.getMessage() for record in caplog.records] == [
        "FFCV's own Loader draws the views: a training with it cannot be repeated"
    ]


def test_without_ffcv_asking_for_it_is_an_error(
    betons: Betons, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pipeline_lib.loader.ffcv_loader", None)

    with pytest.raises(
        DependencyMissing,
        match=r"ffcv cannot be used \(found: .*\)\. Remedy: run `make setup`, or set train\.views",
    ):
        betons.open(kind="ffcv")


def test_params_refuse_at_once_what_ffcv_does_not_have() -> None:
    """Before the first stage, and for exactly the augmentations that its loader would refuse."""
    ours: dict[str, Any] = {name: 0.5 for name in ViewParams.model_fields if name not in IN_FFCV}
    with pytest.raises(
        ConfigError, match="FFCV has no such augmentation .found: " + ", ".join(ours)
    ):
        operations_of(Augmentation(**{**ours, "cutout_px": 1}), side_px=32)

    with pytest.raises(
        ValidationError,
        match="views = ffcv has no rotation_deg, contrast: set them to 0, or views to",
    ):
        TrainParams(views="ffcv", rotation_deg=3, contrast=0.1)
