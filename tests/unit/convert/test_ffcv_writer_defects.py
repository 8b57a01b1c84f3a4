"""Each defect of FFCV's DatasetWriter, seen in FFCV itself, and that it cannot reach the betons of `convert`.

docs/ffcv.md lists them all; what other files test is linked there.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from pipeline_lib.betons.layout import SAMPLES_AT, Array
from pipeline_lib.betons.read import open_beton
from pipeline_lib.convert.beton_writer import BetonWriter
from pipeline_lib.convert.run import run
from pipeline_lib.convert.stored import StoredForm
from pipeline_lib.errors import Interrupted, OutputDamaged
from pipeline_lib.harness import shard_engine
from pipeline_lib.pixels import PixelRules, decode
from pipeline_lib.tables.beton_index import BETON_INDEX
from pipeline_lib.tables.selection import SELECTION

from .conftest import Inspected

ROOT = Path(__file__).parents[3]
Photo = Callable[[int, int, int], Array]
Encoded = Callable[..., bytes]


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What FFCV's own writer does: see stock_ffcv_writer.py. said: its stderr."""
    command = [
        sys.executable,
        "-m",
        "tests.unit.convert.stock_ffcv_writer",
        str(tmp_path_factory.mktemp("stock")),
    ]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=600
    )
    return {**json.loads(ended.stdout), "said": ended.stderr}


@pytest.fixture
def every_mode(photo: Photo, encoded: Encoded) -> dict[str, bytes]:
    """Files in the colour modes that end FFCV's worker, and two that no one can show."""
    image = Image.fromarray(photo(1, 40, 60))
    wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    pngs = {mode: encoded(np.asarray(image.convert(mode)), "PNG") for mode in ("L", "RGBA", "LA")}
    return pngs | {
        "P": encoded(np.asarray(image.quantize()), "PNG"),
        "I;16": encoded(np.asarray(wide), "PNG"),
        "CMYK": encoded(np.asarray(image.convert("CMYK")), "TIFF"),
        "F": encoded(np.asarray(image.convert("F")), "TIFF"),
        "cut": encoded(photo(2, 120, 160))[:2000],
    }


def test_ffcvs_writer_waits_for_ever_once_a_worker_has_died(stock: dict[str, Any]) -> None:
    """Its file then lies under the final name, in place of the old one, with a header that says nothing."""
    assert len(stock["killing"]) == 14
    for case, state in stock["killing"].items():
        assert state == {"waits": True, "allocations_at": 0, "old_file": False}, case


def test_images_that_end_ffcvs_worker_are_converted_or_have_been_refused(
    inspected: Inspected, every_mode: dict[str, bytes]
) -> None:
    inspected.put({"aa": every_mode})

    run(inspected.job("betons", mode="raw"))

    beton = open_beton(inspected.folder / "betons" / "aa.beton")
    kept = BETON_INDEX.read(inspected.folder / "betons" / "aa.index.parquet")["image_id"].tolist()
    assert kept == [mode for mode in every_mode if mode not in ("F", "cut")]
    for row, mode in enumerate(kept):
        assert (
            beton.stored(row).tobytes()
            == decode(every_mode[mode], PixelRules()).pixels_HWC.tobytes()
        )


def holder_of(file: Path) -> int:
    """The worker that has a file open, as soon as one has."""
    deadline = time.monotonic() + 300
    while True:
        for worker in multiprocessing.active_children():
            if str(file) in {
                os.path.realpath(link) for link in Path(f"/proc/{worker.pid}/fd").iterdir()
            }:
                return int(worker.pid or 0)
        assert time.monotonic() < deadline, f"no worker opens {file}"
        time.sleep(0.02)


def test_a_killed_worker_ends_convert_with_the_shard_it_held(
    inspected: Inspected, photo: Photo, encoded: Encoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second shard never ends: its container is a pipe that nobody writes to."""
    monkeypatch.setattr(shard_engine, "SMALL_BYTES", 0)
    inspected.put(
        {shard: {f"{shard}.png": encoded(photo(1, 8, 8), "PNG")} for shard in ("aa", "bb")}
    )
    (inspected.folder / "shards" / "bb.bin").unlink()
    os.mkfifo(inspected.folder / "shards" / "bb.bin")
    held = inspected.folder / "betons.partial" / "bb.beton.partial"

    def kill_its_worker() -> None:
        os.kill(
            holder_of(held), signal.SIGKILL
        )  # and no join: `run` is the one to learn how it ended

    with ThreadPoolExecutor(1) as beside:
        killing = beside.submit(kill_its_worker)
        with pytest.raises(
            Interrupted,
            match=r"^shard bb(, bb\.png)?: a worker process was killed \(found: SIGKILL\)\. Remedy: .*",
        ):
            run(inspected.job("betons", workers=2))
        killing.result()

    assert multiprocessing.active_children() == []
    assert not (inspected.folder / "betons").exists()


def test_ctrl_c_at_the_end_leaves_no_beton_where_ffcv_leaves_one_without_its_table(
    stock: dict[str, Any],
    inspected: Inspected,
    every_mode: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(_: BetonWriter) -> None:
        raise KeyboardInterrupt

    inspected.put({"aa": every_mode})
    monkeypatch.setattr(BetonWriter, "finish", interrupted)

    with pytest.raises(Interrupted):  # Ctrl-C reaches the worker too
        run(inspected.job("betons"))

    assert stock["rows after Ctrl-C"] == 0
    assert not (inspected.folder / "betons").exists()


PROGRAM = """
import pickle, sys
from pipeline_lib.convert import run
if __name__ == "__main__":
    run.run(pickle.load(open(sys.argv[1], "rb")))
    print({"ffcv", "multiprocessing.shared_memory"} & set(sys.modules))
"""


def test_convert_uses_neither_ffcv_nor_shared_memory_which_ffcvs_writer_leaves_behind(
    stock: dict[str, Any], inspected: Inspected, every_mode: dict[str, bytes]
) -> None:
    inspected.put({"aa": every_mode})
    (inspected.folder / "job").write_bytes(pickle.dumps(inspected.job("betons")))

    command = [sys.executable, "-c", PROGRAM, str(inspected.folder / "job")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)

    assert "leaked shared_memory objects" in stock["said"]
    assert ended.stdout == "set()\n"


@pytest.mark.parametrize("label", [None, "cat", 2**63, 1.7])
def test_a_label_that_is_no_class_number_gets_into_no_selection(
    label: Any, stock: dict[str, Any], tmp_path: Path
) -> None:
    """Betons hold no labels. FFCV's writer hangs at the first three and stores 1.7 as 1."""
    assert stock["label 1.7"] == 1
    rows = pd.DataFrame({"image_id": ["a"], "label": [label], "class_id": "c", "weight": 1.0})

    with pytest.raises((AssertionError, pa.ArrowException, TypeError, OverflowError)):
        SELECTION.write(rows, tmp_path / "train.parquet")

    assert not (tmp_path / "train.parquet").exists()


def test_an_image_without_rows_cannot_be_written_or_opened(
    stock: dict[str, Any], inspected: Inspected, encoded: Encoded, photo: Photo, tmp_path: Path
) -> None:
    inspected.put({"aa": {"a.png": encoded(photo(1, 8, 8), "PNG")}})
    run(inspected.job("betons"))
    path = inspected.folder / "betons" / "aa.beton"
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, SAMPLES_AT + 3, 0)
    path.write_bytes(content)

    assert stock["rows of an image 0 px high"] == 1
    with (tmp_path / "x").open("wb") as file, pytest.raises(AssertionError):
        BetonWriter(file, n_max=1, page_size=2**21).add(
            StoredForm.raw(np.zeros((0, 8, 3), np.uint8)), name="a"
        )
    with pytest.raises(OutputDamaged, match=r"aa\.beton: pointers in a beton do not fit together"):
        open_beton(path)


@pytest.mark.parametrize(
    ("params", "size"), [({"short_side_px": 8}, (1, 5000)), ({"long_side_px": 500}, (1, 500))]
)
def test_a_line_of_pixels_stays_one_when_it_shrinks(
    params: dict[str, Any],
    size: tuple[int, int],
    stock: dict[str, Any],
    inspected: Inspected,
    encoded: Encoded,
) -> None:
    """FFCV's `max_resolution` makes its short side 0."""
    inspected.put({"aa": {"line.png": encoded(np.full((1, 5000, 3), 9, np.uint8), "PNG")}})

    run(inspected.job("betons", **params))

    image = open_beton(inspected.folder / "betons" / "aa.beton").samples_N["image"][0]
    assert stock["error of shrinking 1 x 5000 px to 500"] == "error"
    assert (image["height"], image["width"]) == size


def test_how_an_image_is_kept_depends_on_nothing_but_the_image(
    stock: dict[str, Any], inspected: Inspected, encoded: Encoded, photo: Photo
) -> None:
    """FFCV's `proportion` draws lots in each worker; its `smart` compares a ratio with a number of bytes."""
    large = encoded(photo(1, 200, 200), "PNG")
    others = {f"{n}.png": encoded(photo(n, 70 + n, 90), "PNG") for n in range(5)}
    inspected.put({"aa": {"alone.png": large}, "bb": {**others, "last.png": large}})

    run(inspected.job("betons"))

    alone, last = (
        open_beton(inspected.folder / "betons" / f"{shard}.beton") for shard in ("aa", "bb")
    )
    assert (stock["bytes, smart without threshold"], stock["bytes, smart with threshold 0.5"]) == (
        30_000,
        823,
    )
    assert alone.stored(0).tobytes() == last.stored(5).tobytes()


def test_ffcv_reads_our_two_fields_by_their_names_and_loses_one_of_two_long_ones(
    stock: dict[str, Any], inspected: Inspected, encoded: Encoded, photo: Photo
) -> None:
    from pipeline_lib.loader.ffcv_loader import Reader

    inspected.put({"aa": {"a.png": encoded(photo(1, 8, 8), "PNG")}})
    run(inspected.job("betons"))

    assert stock["fields of two long names"] == ["annotator_number"]
    assert Reader(str(inspected.folder / "betons" / "aa.beton")).field_names == ["image", "row"]
