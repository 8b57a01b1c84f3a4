"""Predictions of many images: their order, what a hostile one does, pipes without an end, and runs that are killed."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sklearn
from PIL import Image

from pipeline_lib.harness.work_in_order import Pause
from pipeline_lib.networks.exported import Answers
from pipeline_lib.pixels import PixelRules
from pipeline_lib.predict import Model, predict_items
from pipeline_lib.prediction.inputs import named_items
from pipeline_lib.prediction.items import Held, Item, Reader
from pipeline_lib.prediction.sight import Pixels, Sight
from pipeline_lib.settings import Settings
from pipeline_lib.shards.limits import ArchiveLimits

DEADLY, SLOW = 7, 9  # the grey of images that end their worker, or keep it for a while


def seen(pixels_HWC: Pixels) -> Pixels:
    if pixels_HWC[0, 0, 0] == DEADLY:
        os.kill(os.getpid(), signal.SIGUSR1)
    if pixels_HWC[0, 0, 0] == SLOW:
        time.sleep(0.3)
    return pixels_HWC


def brightness(views_BHWC: Pixels) -> Answers:
    bright_B = views_BHWC.mean(axis=(1, 2, 3), dtype=np.float32) / 255
    return Answers(np.stack([1 - bright_B, bright_B], axis=1))


MODEL = Model(
    "brightness",
    (("d", "dark"), ("b", "bright")),
    Sight(PixelRules(), seen),
    brightness,
    in_workers=True,
)


def reader(workers: int) -> Reader:
    return Reader(Settings(workers=workers), ArchiveLimits(1 << 20, 1 << 30, 200))


def grey(value: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (2, 2), value).save(stream, "PNG")
    return stream.getvalue()


def held(values: list[int]) -> Iterator[Item]:
    return (Held(f"{n}.png", grey(value)) for n, value in enumerate(values))


@pytest.mark.parametrize("in_workers", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_rows_come_in_the_order_of_the_input(workers: int, in_workers: bool) -> None:
    values = [SLOW, *(10 + n % 240 for n in range(300))]
    model = replace(MODEL, in_workers=in_workers)

    found = list(predict_items(held(values), model, reader(workers), best=1))

    assert [one.name for one in found] == [f"{n}.png" for n in range(301)]
    p = [
        one.guesses[0].p if one.guesses[0].name == "bright" else 1 - one.guesses[0].p
        for one in found
    ]
    assert p == pytest.approx([value / 255 for value in values])


def test_an_image_that_ends_its_worker_is_a_fault_and_the_others_are_predicted() -> None:
    values = [20] * 100
    values[5] = values[50] = values[51] = DEADLY

    found = list(predict_items(held(values), MODEL, reader(3)))

    assert [n for n, one in enumerate(found) if one.fault] == [5, 50, 51]
    assert "decoder_crashed (found: decoding it ended the process twice (SIGUSR1))" in str(
        found[50].fault
    )


def test_no_more_is_read_ahead_than_workers_can_use() -> None:
    taken = 0

    def counted() -> Iterator[Item]:
        nonlocal taken
        for item in held([20] * 5000):
            taken += 1
            yield item

    answers = predict_items(counted(), MODEL, reader(2))
    next(answers)

    assert taken < 600


def test_a_pipe_that_stays_open_is_answered_as_names_come(tmp_path: Path) -> None:
    for n in (1, 2, 3):
        (tmp_path / f"{n}.png").write_bytes(grey(n * 20))
    end, start = os.pipe()
    answers = predict_items(
        named_items(["-"], reader(2), stdin=end, nul=False), MODEL, reader(2), best=1
    )

    for n in (1, 2, 3):
        os.write(start, f"{tmp_path}/{n}.png\n".encode())
        assert next(answers).name == f"{tmp_path}/{n}.png"
    del answers  # the workers hold the pipe open, too


def test_a_pause_lets_go_what_is_there() -> None:
    def some() -> Iterator[Item | Pause]:
        yield from held([20] * 3)
        for _ in range(3):
            yield Pause(end)
        yield from held([30] * 2)

    end, start = os.pipe()
    os.close(start)  # readable at once, as at the end of a pipe
    assert len(list(predict_items(some(), MODEL, reader(2)))) == 5


def test_a_run_that_was_killed_goes_on_in_archives_with_several_workers(tmp_path: Path) -> None:
    photo = Image.open(Path(sklearn.__file__).parent / "datasets/images/flower.jpg")
    with tarfile.open(tmp_path / "x.tar.gz", "w:gz") as archive:
        for n in range(70):
            stream = io.BytesIO()
            photo.crop((5 * n, 2 * n, 5 * n + 120, 2 * n + 120)).save(stream, "JPEG")
            member = tarfile.TarInfo(f"{n:02}.jpg")
            member.size = stream.tell() if n != 30 else 200
            stream.seek(0)
            archive.addfile(member, stream)
    command = [
        sys.executable,
        "-m",
        "flows.cli",
        "predict",
        "--model",
        "builtin",
        "x.tar.gz",
        "--out",
    ]
    environment = os.environ | {
        "PERENNIAL_WORKERS": "2",
        "PYTHONPATH": str(Path(__file__).parents[3]),
    }

    def run(out: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, out], cwd=tmp_path, env=environment, stdout=subprocess.PIPE
        )

    with run("whole.jsonl") as whole:
        assert whole.wait() == 65
    killed, rows = run("x.jsonl"), tmp_path / "x.jsonl.rows"
    while not rows.exists() or rows.read_bytes().count(b"\n") < 4:
        time.sleep(0.01)
    killed.kill()
    killed.communicate()
    n_kept = rows.read_bytes().count(b"\n") - 1
    again = run("x.jsonl")

    assert again.wait() == 65 and n_kept < 70
    assert f"70 images, {n_kept} of them by an earlier run" in again.communicate()[0].decode()
    assert (tmp_path / "x.jsonl").read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert not rows.exists()
