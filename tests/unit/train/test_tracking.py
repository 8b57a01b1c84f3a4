"""TensorBoard and Weights & Biases (offline), read back; MLflow stands in tests/unit/registry."""

from __future__ import annotations

import logging
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.errors import ConfigError, DependencyMissing
from pipeline_lib.harness.tracking import open_trackers
from pipeline_lib.settings import Settings, load_settings
from pipeline_lib.train.run import run
from testing.small_line import SmallLine

CURVE = {1: 0.5, 2: 0.25}
PARAMS = {"network": "mini_resnet", "epochs": 2}


def _tell(folder: Path, trackers: str, curve: dict[int, float] = CURVE) -> None:
    settings = load_settings(folder).model_copy(update={"trackers": trackers})
    with open_trackers("mini_resnet-0f", PARAMS, settings=settings, checkout=folder) as tell:
        for epoch, loss in curve.items():
            tell(epoch, {"val_loss": loss})


def test_tensorboard_shows_the_curve_of_the_train_stage(
    small_line: SmallLine, tmp_path: Path
) -> None:
    from tensorboard.backend.event_processing import (  # type: ignore[import-untyped]
        event_accumulator,
    )

    settings = small_line.settings().model_copy(
        update={"trackers": "tensorboard", "state_dir": tmp_path}
    )
    run(small_line.train(tmp_path, settings=settings, epochs=2))

    (folder,) = (tmp_path / "tracking/tensorboard").glob("mini_resnet-*")
    events = event_accumulator.EventAccumulator(str(folder)).Reload()
    curves = pd.read_csv(tmp_path / "curves.csv")
    assert [event.step for event in events.Scalars("val_loss")] == [1, 2]
    assert [event.value for event in events.Scalars("val_loss")] == pytest.approx(
        curves["val_loss"]
    )


def _records(file: Path) -> Iterator[bytes]:
    """The records of a wandb file: LevelDB's log format after a header of 7 bytes, here in one block."""
    data = file.read_bytes()[7:]
    while data:
        _, size, kind = struct.unpack("<IHB", data[:7])
        assert kind == 1, "a record in one piece"
        yield data[7 : 7 + size]
        data = data[7 + size :]


def test_wandb_keeps_the_curve_on_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wandb.proto.wandb_internal_pb2 import Record  # type: ignore[attr-defined]

    monkeypatch.delenv("WANDB_MODE", raising=False)
    _tell(tmp_path, "wandb")

    (file,) = (tmp_path / ".perennial/tracking/wandb").glob(
        "offline-run-*/run-mini_resnet-0f.wandb"
    )
    items = [item for data in _records(file) for item in Record.FromString(data).history.item]
    assert [item.value_json for item in items if "val_loss" in (item.key, *item.nested_key)] == [
        "0.5",
        "0.25",
    ]


def test_a_tracker_that_fails_is_named_and_told_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from torch.utils.tensorboard import SummaryWriter

    told: list[int] = []

    def fail(*arguments: object) -> None:
        told.append(1)
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(SummaryWriter, "add_scalar", fail)
    caplog.set_level(logging.WARNING)

    _tell(tmp_path, "tensorboard")

    assert told == [1]
    assert caplog.messages == [
        "tensorboard failed and is not used any more, training goes on: ZeroDivisionError: division by zero"
    ]


@pytest.mark.parametrize("package", ["tensorboard", "wandb"])
def test_a_package_that_is_absent_is_named_before_training_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    for module in [
        one
        for one in sys.modules
        if one.startswith(("torch.utils.tensorboard", "tensorboard", "wandb"))
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(
        DependencyMissing, match=rf"{package}: a tracker's package is not installed.*WITH=trackers"
    ):
        _tell(tmp_path, package)


def test_another_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text('trackers = "tensorboard,neptune"\n')

    with pytest.raises(
        ConfigError,
        match=r"settings.toml: 1 wrong settings \(found: trackers = 'tensorboard,neptune'",
    ):
        load_settings(tmp_path)
    assert Settings(trackers="tensorboard,mlflow,wandb").trackers
