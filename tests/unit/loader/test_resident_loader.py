"""Images that stay on the device: the views of the other loaders, and what cannot stay."""

from typing import Any

import pytest
import torch

from pipeline_lib.errors import ConfigError
from pipeline_lib.loader import Augmentation, resident_loader

from .conftest import CROPS, Betons, joined, one_epoch

CPU = torch.device("cpu")
MOVED = Augmentation(flip=True, shift_px=5, cutout_px=9)
NAMES = ("images_BHWC", "labels_B", "weights_B", "positions_B")


@pytest.mark.parametrize("augmentation", [None, MOVED, Augmentation(shift_px=40)])
@pytest.mark.parametrize(
    "options", [{}, {"sampling": "balanced", "rank": 1, "world": 2}], ids=["alone", "one of two"]
)
def test_images_on_the_device_are_shown_as_the_decoding_loader_shows_them(
    betons: Betons, augmentation: Any, options: dict[str, Any]
) -> None:
    decoded, resident = (
        betons.open(kind=kind, augmentation=augmentation, device=CPU, **options)
        for kind in ("native", "resident")
    )

    assert (len(resident), resident.kind) == (len(decoded), "resident")
    for epoch in (0, 3):
        first, second = one_epoch(decoded, epoch), one_epoch(resident, epoch)
        assert all(torch.equal(getattr(first, name), getattr(second, name)) for name in NAMES)


def test_an_epoch_goes_on_after_any_batch(betons: Betons) -> None:
    loader = betons.open(kind="resident", augmentation=MOVED, device=CPU)
    whole = one_epoch(loader, 2)

    for start in range(1, len(loader)):
        rest = joined(list(loader.epoch(2, start)))
        assert all(
            torch.equal(getattr(rest, name), getattr(whole, name)[16 * start :]) for name in NAMES
        )
    assert list(loader.epoch(2, len(loader))) == []


def test_images_that_cannot_stay_say_why(betons: Betons, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConfigError,
        match="cannot stay on the device .*crops, turns and colours.*PERENNIAL_LOADER=auto",
    ):
        betons.open(kind="resident", augmentation=CROPS, device=CPU)

    monkeypatch.setattr(resident_loader, "MOST", 0.0)
    with pytest.raises(
        ConfigError, match=r"cannot stay on the device .*0.0 GB, where 0.0 GB are to spare"
    ):
        betons.open(kind="resident", augmentation=MOVED, device=CPU)


def test_without_a_device_to_train_on_and_on_a_cpu_auto_decodes(betons: Betons) -> None:
    kinds = [
        betons.open(kind=kind, device=device).kind
        for kind, device in (("resident", None), ("auto", CPU))
    ]

    assert kinds == ["native", "native"]
