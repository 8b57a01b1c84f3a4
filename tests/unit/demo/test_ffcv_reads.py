"""The scorecard's row on FFCV's own Loader: every image of real betons, and a difference is counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from demo import ffcv_reads
from pipeline_lib.convert.params import ConvertParams
from testing.damaged_betons import smooth
from tests.unit.loader.conftest import write_beton


@pytest.fixture(scope="module")
def betons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two betons of raw images: of two sizes, and of one."""
    folder = tmp_path_factory.mktemp("line")
    raw = {f"raw/{number}.png": smooth(number, 24 if number % 3 else 40, 32) for number in range(9)}
    wide = {f"wide/{number}.png": smooth(number, 48, 64) for number in range(7)}
    write_beton(folder, "aa", raw, ConvertParams(mode="raw"))
    write_beton(folder, "bb", wide, ConvertParams(mode="raw"))
    return folder / "betons"


def test_ffcvs_own_loader_shows_every_image_as_ours_do(betons: Path) -> None:
    assert ffcv_reads.compare(betons) == ffcv_reads.Equal(16, of=16)


def test_an_image_that_is_shown_otherwise_is_counted(
    betons: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = ffcv_reads.read_image

    def other(images: Any, position: int) -> Any:
        pixels_HWC = read(images, position)
        return (
            np.flip(pixels_HWC, axis=1) if images.image_ids[position] == "raw/4.png" else pixels_HWC
        )

    monkeypatch.setattr(ffcv_reads, "read_image", other)

    assert ffcv_reads.compare(betons) == ffcv_reads.Equal(15, of=16)
