"""How convert ends when something is wrong: one line that names the image, nothing under the final name, no hang."""

import logging
import os
import pickle
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.betons.layout import Array
from pipeline_lib.convert import estimate, shard
from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.convert.run import run
from pipeline_lib.convert.shard import Task, convert_shard
from pipeline_lib.convert.stored import ReceivedImage, stored_form
from pipeline_lib.errors import BadData, CodeFailed, Interrupted, NoSpace
from pipeline_lib.harness import shard_engine
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.pixels import PixelRules
from testing.images import progressive_jpeg

from .conftest import Inspected

Photo = Callable[[int, int, int], Array]
Encoded = Callable[..., bytes]
SIDE_PX = 80  # kept as JPEG


@pytest.fixture
def two_shards(inspected: Inspected, photo: Photo, encoded: Encoded) -> Inspected:
    """Five images in each of two shards."""
    names = {name: [f"s/{name}/{number}.jpg" for number in range(5)] for name in ("aa", "bb")}
    inspected.put(
        {
            name: {one: encoded(photo(1, SIDE_PX, SIDE_PX)) for one in ids}
            for name, ids in names.items()
        }
    )
    return inspected


def test_an_image_that_breaks_our_code_is_named_with_a_traceback(
    two_shards: Inspected, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def break_at_three(data: bytes, image: ReceivedImage, *rest: Any, **shards: Any) -> Any:
        return (
            1 // 0 if image.image_id == "s/bb/3.jpg" else stored_form(data, image, *rest, **shards)
        )

    monkeypatch.setattr(shard, "stored_form", break_at_three)

    with pytest.raises(
        CodeFailed,
        match=r"^shard bb, s/bb/3\.jpg: ZeroDivisionError in our code .*Remedy: report this",
    ):
        run(two_shards.job("betons"))

    assert "break_at_three" in capfd.readouterr().err
    assert not (two_shards.folder / "betons").exists()


def test_an_image_that_keeps_its_decoder_busy_is_named_with_the_remedy(
    inspected: Inspected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with another version of a decoder than `inspect` had. One shard: one worker, and the limit all the same."""
    inspected.put(
        {"aa": {"s/0.jpg": progressive_jpeg(1024, 4), "s/bomb.jpg": progressive_jpeg(5600, 32)}}
    )
    monkeypatch.setattr("pipeline_lib.harness.cpu_clock.IMAGE_CPU_S", 0.2)

    with pytest.raises(
        Interrupted, match=r"^shard aa, s/bomb.jpg: .*SIGPROF.*dvc repro --force inspect`"
    ):
        run(inspected.job("betons", short_side_px=64))

    assert not (inspected.folder / "betons").exists()


def test_a_disk_that_fills_up_in_a_worker_is_told_and_nothing_is_left_under_the_final_name(
    two_shards: Inspected, tiny_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of a beton takes 2 MiB at least, twice what the disk holds."""
    monkeypatch.setattr(shard_engine, "SMALL_BYTES", 0)
    job = replace(
        two_shards.job("betons", workers=2, mode="raw"), writes={"betons": tiny_disk / "betons"}
    )
    (tiny_disk / "most of it").write_bytes(bytes(900_000))

    with pytest.raises(
        NoSpace, match=r"\.beton: the disk is full \(found: \d+ MB left\)\. Remedy: free some space"
    ):
        run(job)

    assert not (tiny_disk / "betons").exists()


def test_an_image_too_large_for_any_page_is_named_before_it_is_decoded(tmp_path: Path) -> None:
    """A strip of 60,000 px becomes 10.8 GB with bars around it."""
    strip = ReceivedImage("s/strip.png", "aa.bin", 0, 1, 60_000, 8, 1)
    task = Task("aa", tmp_path, (strip,), tmp_path, ConvertParams(shape="square_pad"), PixelRules())

    with pytest.raises(
        BadData,
        match=r"^s/strip\.png: a beton holds images of at most 2147483648 bytes \(found: 10800360003 bytes\)\. "
        r"Remedy: set convert\.long_side_px",
    ):
        convert_shard(task, print)

    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten images are worth an estimate."""
    monkeypatch.setattr(estimate, "SHARE", 2)


@pytest.mark.usefixtures("measured")
def test_space_and_time_are_told_before_the_work(
    two_shards: Inspected, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    run(two_shards.job("betons", workers=1))

    said = [record.getMessage() for record in caplog.records if record.name == estimate.__name__]
    assert [line.partition(", about")[0] for line in said] == ["10 images in 2 shards to do"]
    assert said[0].endswith("with 1 workers (measured on 5)")


def test_the_estimate_of_images_of_one_size_is_exact(two_shards: Inspected) -> None:
    image = ReceivedImage(
        "s/aa/0.jpg",
        "aa.bin",
        0,
        (two_shards.folder / "shards/aa.bin").stat().st_size,
        SIDE_PX,
        SIDE_PX,
        1,
    )
    task = Task(
        "aa",
        two_shards.folder,
        (image,) * 100,
        two_shards.folder / "shards",
        ConvertParams(mode="raw"),
        PixelRules(),
    )

    found = estimate.estimate([task])

    assert found.n == 5
    assert found.size_bytes == 100 * SIDE_PX * SIDE_PX * 3
    assert found.work_s > 0


@pytest.mark.usefixtures("measured")
def test_a_disk_that_is_clearly_too_small_is_told_before_the_work(
    two_shards: Inspected, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten images of 80 x 80 take 192,000 bytes as raw pixels; the disk has half of them."""
    usage = shutil.disk_usage(two_shards.folder)._replace(free=96_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)

    with pytest.raises(
        NoSpace,
        match=r"betons\.partial: the disk is too small: 10 images take about 0 MB \(found: 0 MB free\)\. "
        r"Remedy: free some space .*, or set convert\.short_side_px",
    ):
        run(two_shards.job("betons", mode="raw"))

    assert not (two_shards.folder / "betons.partial").exists()


@pytest.fixture
def stuck(two_shards: Inspected) -> Inspected:
    """The second shard never ends: its container is a pipe that nobody writes to."""
    (two_shards.folder / "shards" / "bb.bin").unlink()
    os.mkfifo(two_shards.folder / "shards" / "bb.bin")
    return two_shards


OUTPUTS = ("betons", "undisturbed")
SCRIPT = """
import pickle, sys
from pipeline_lib.convert import run
run.run(pickle.load(open(sys.argv[1], "rb")))
"""


def start(job: StageRun[ConvertParams]) -> subprocess.Popen[str]:
    (job.checkout / "job").write_bytes(pickle.dumps(job))
    command = [sys.executable, "-c", SCRIPT, str(job.checkout / "job")]
    return subprocess.Popen(
        command, text=True, stderr=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def kill_when_stuck(inspected: Inspected) -> None:
    started = start(inspected.job("betons"))
    wait_for(lambda: (inspected.folder / "betons.partial" / "bb.beton.partial").exists())
    started.kill()
    started.communicate()


def test_kill_9_leaves_nothing_under_the_final_name(stuck: Inspected) -> None:
    kill_when_stuck(stuck)

    assert (stuck.folder / "betons.partial" / "aa.beton").exists()
    assert not (stuck.folder / "betons").exists()


def test_after_two_kills_the_betons_are_those_of_an_undisturbed_run(two_shards: Inspected) -> None:
    run(two_shards.job("undisturbed", state="elsewhere"))
    container, whole = two_shards.folder / "shards" / "bb.bin", two_shards.folder / "whole"
    container.rename(whole)
    os.mkfifo(container)

    kill_when_stuck(two_shards)
    kill_when_stuck(two_shards)
    whole.replace(container)
    run(two_shards.job("betons"))

    written = [
        {path.name: path.read_bytes() for path in (two_shards.folder / name).iterdir()}
        for name in OUTPUTS
    ]
    assert written[0] == written[1]
    assert not (two_shards.folder / "betons.partial").exists()
