"""The stage: one row per image, whatever it holds; the same bytes with any number of workers and any memo."""

import faulthandler
import functools
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import pipeline_lib.inspect.image as examining
from pipeline_lib.errors import BadData, Interrupted, OutputDamaged
from pipeline_lib.harness import shard_engine, shards_once
from pipeline_lib.harness.shard_engine import map_shards
from pipeline_lib.inspect import shard
from pipeline_lib.inspect.image import Examined, examine, luminance
from pipeline_lib.inspect.memory_limit import image_memory_bytes
from pipeline_lib.inspect.params import InspectParams
from testing.images import encoded, photo, with_claimed_size
from tests.unit.inspect.made_shards import (
    CONTAINER,
    digests,
    features_of,
    images_of,
    inspect,
    make_source,
)

GPS = Image.Exif()
GPS.get_ifd(0x8825)[1] = "N"
GPS[0x0112] = 6


@functools.cache
def files() -> dict[str, bytes]:
    """Sound, odd and damaged images of small and large sizes."""
    jpeg = encoded(photo(width=320, height=240), "JPEG", quality=95)
    odd = {
        "made/a/disguised.jpg": encoded(photo(), "PNG"),
        "made/a/located.jpg": encoded(photo(width=90, height=70), "JPEG", exif=GPS),
        "made/a/cmyk.jpg": encoded(Image.fromarray(photo()).convert("CMYK"), "JPEG"),
        "made/a/moving.gif": encoded(
            photo(), "GIF", save_all=True, append_images=[Image.fromarray(photo(seed=1))]
        ),
        "made/a/zip.jpg": jpeg + b"PK\3\4",
        "made/a/truncated.jpg": jpeg[:9000],
        "made/a/page.jpg": jpeg[:8192] + bytes(4096) + jpeg[12288:],
        "made/a/html.jpg": b"<!doctype html>",
        "made/a/empty.jpg": b"",
        "made/a/bomb.jpg": with_claimed_size(jpeg, width=9000, height=9000),
        "made/a/small.png": encoded(Image.new("L", (4, 4)), "PNG"),
    }
    return odd | {
        f"made/b/{seed}.jpg": encoded(photo(width=32, height=32, seed=seed), "JPEG")
        for seed in range(9)
    }


@pytest.fixture
def source(tmp_path: Path) -> Path:
    make_source(tmp_path, files())
    return tmp_path


def test_every_member_with_bytes_has_a_row_and_every_usable_image_has_features(
    source: Path,
) -> None:
    out = inspect(source)

    images, features = images_of(out), features_of(out)
    assert set(images.index) == set(files())
    assert set(features.index) == set(images.index[images["refusal"].isna()])


def test_each_fault_has_its_reason_and_no_sound_image_has_one(source: Path) -> None:
    refused = images_of(inspect(source))["refusal"].dropna().to_dict()

    assert refused == {
        "made/a/truncated.jpg": "decode_truncated",
        "made/a/page.jpg": "decode_corrupt",
        "made/a/html.jpg": "not_image",
        "made/a/empty.jpg": "empty",
        "made/a/bomb.jpg": "too_many_pixels",
        "made/a/small.png": "too_small",
    }


def test_what_a_decode_can_tell_is_told(source: Path) -> None:
    images = images_of(inspect(source))

    assert images["ext_mismatch"].fillna(False).sum() == 1
    assert list(images.loc["made/a/disguised.jpg", ["format", "ext_mismatch"]]) == ["png", True]
    located = images.loc[
        "made/a/located.jpg", ["has_gps", "exif_orientation", "width_px", "height_px"]
    ]
    assert list(located) == [True, 6, 70, 90]
    assert images.loc["made/a/cmyk.jpg", "mode"] == "CMYK"
    assert images.loc["made/a/moving.gif", "n_frames"] == 2
    assert images.loc["made/a/zip.jpg", "trailing_bytes"] == 4


def test_gradients_of_small_and_large_images_can_be_compared(source: Path) -> None:
    features = features_of(inspect(source, InspectParams(embedding_weights=None)))

    assert set(features["kind"]) == {"hog"}
    assert features["vector"].map(len).nunique() == 1


def test_the_thumbnail_of_a_32_px_image_is_its_luminance(tmp_path: Path) -> None:
    make_source(tmp_path, {"made/a/1.png": encoded(photo(width=32, height=32), "PNG")})

    thumbnail: Any = features_of(inspect(tmp_path)).loc["made/a/1.png", "thumbnail"]

    assert np.array_equal(
        np.frombuffer(thumbnail, np.uint8).reshape(32, 32), luminance(photo(width=32, height=32))
    )


def test_one_and_two_workers_with_and_without_a_memo_write_the_same_bytes(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shard_engine, "SMALL_BYTES", 0)
    alone = digests(inspect(source, workers=1, out="alone"))
    shutil.rmtree(source / "state")
    two = digests(inspect(source, workers=2, out="two"))
    remembered = digests(inspect(source, workers=2, out="remembered"))

    assert alone == two == remembered
    assert len(alone) == 2 + 5  # images, pixel rules, and features of five shards


def test_a_dask_cluster_writes_the_same_bytes(
    source: Path, dask_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = digests(inspect(source, out="alone"))
    shutil.rmtree(source / "state")
    monkeypatch.setenv("PERENNIAL_DASK_ADDRESS", dask_address)

    assert digests(inspect(source, out="cluster")) == alone


def test_known_shards_are_not_decoded_again(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inspect(source)
    monkeypatch.setattr(
        shards_once,
        "map_shards",
        lambda task, units, **_: iter(units.items() if not units else pytest.fail(str(units))),
    )

    inspect(source, out="again")


def test_a_run_that_was_interrupted_continues_with_the_shards_it_had_done(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def interrupted_after_two(task: Any, units: Any, **options: Any) -> Iterator[tuple[str, Any]]:
        yield from islice(map_shards(task, units, **options), 2)
        raise Interrupted(
            "a worker process was killed", file="shard x", remedy="run again; finished work is kept"
        )

    with (
        monkeypatch.context() as patched,
        pytest.raises(Interrupted, match="finished work is kept"),
    ):
        patched.setattr(shards_once, "map_shards", interrupted_after_two)
        inspect(source)
    caplog.set_level("INFO")

    out = inspect(source)

    assert "5 shards, 2 of them in the memo of earlier runs" in caplog.text
    assert len(images_of(out)) == len(files())


def test_an_image_whose_decoder_crashes_is_quarantined_by_name_and_tried_again_in_the_next_run(
    source: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    def crash_at_one(image_id: str, data: bytes, params: InspectParams) -> Examined:
        if image_id == "made/a/zip.jpg":
            faulthandler.disable()  # pytest's would print every stack
            os.kill(os.getpid(), signal.SIGSEGV)
        return examine(image_id, data, params)

    with monkeypatch.context() as patched:
        patched.setattr(shard, "examine", crash_at_one)
        crashed = images_of(inspect(source))
    fixed = images_of(inspect(source, out="again"))

    verdict = list(crashed.loc["made/a/zip.jpg", ["refusal", "detail"]])
    assert verdict == ["decoder_crashed", "decoding it ended the process twice (SIGSEGV)"]
    assert (
        "made/a/zip.jpg ended the process that decoded it, twice (SIGSEGV); it is skipped"
        in caplog.text
    )
    assert crashed.drop(index="made/a/zip.jpg").equals(fixed.drop(index="made/a/zip.jpg"))
    assert fixed["refusal"].isna()["made/a/zip.jpg"]
    assert "5 shards, 4 of them in the memo of earlier runs" in caplog.text


def test_an_image_with_a_name_of_any_length_that_never_ends_is_quarantined_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends its worker by the signal of an image's CPU time, twice; the other name is equal for 5,000 bytes."""
    long_name = "made/a/" + "x" * 5000
    make_source(tmp_path, {f"{long_name}{n}.jpg": encoded(photo(seed=n), "JPEG") for n in (1, 2)})

    def never_end_at_two(image_id: str, data: bytes, params: InspectParams) -> Examined:
        if image_id.endswith("2.jpg"):
            os.kill(os.getpid(), signal.SIGPROF)
        return examine(image_id, data, params)

    monkeypatch.setattr(shard, "examine", never_end_at_two)
    images = images_of(inspect(tmp_path))

    assert images["refusal"].dropna().to_dict() == {f"{long_name}2.jpg": "too_much_work"}


def refusals_within_30_mb(encoded_images: list[bytes]) -> list[tuple[Any, Any]]:
    """Each image's refusal and detail at that limit, then without it; for a process with no freed memory to reuse."""
    found = []
    for image in encoded_images:
        for allowed in (lambda max_pixels: 30_000_000, image_memory_bytes):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(examining, "image_memory_bytes", allowed)
                findings = examine("a", image, InspectParams()).findings
            found.append((findings["refusal"], findings["detail"]))
    return found


def test_an_image_that_takes_too_much_memory_is_refused_and_the_process_goes_on() -> None:
    large = photo(width=250, height=250).repeat(16, 0).repeat(16, 1)
    images = [encoded(large, kind) for kind in ("JPEG", "PNG", "TIFF")]

    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        found = fresh.apply(refusals_within_30_mb, (images,))

    assert found == 3 * [("too_much_memory", "more than 30 MB"), (None, None)]


def test_a_file_larger_than_the_memory_of_an_image_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_source(tmp_path, {"made/a/1.jpg": encoded(photo(), "JPEG"), "made/a/2.jpg": bytes(20_000)})
    monkeypatch.setattr(shard, "image_memory_bytes", lambda max_pixels: 19_999)

    images = images_of(inspect(tmp_path))

    verdict = list(images.loc["made/a/2.jpg", ["refusal", "detail"]])
    assert verdict == ["too_much_memory", "the file alone has 20000 bytes"]


def test_other_parameters_are_another_memo_entry(source: Path) -> None:
    inspect(source)

    images = images_of(inspect(source, InspectParams(min_side_px=64), out="again"))

    assert (images["refusal"] == "too_small").sum() == 10


def test_outputs_hold_the_pixel_rules_and_nothing_else_lies_beside_them(source: Path) -> None:
    out = inspect(source, InspectParams(exif_orientation="ignore"))

    assert json.loads((out / "pixel_rules.json").read_text()) == {
        "exif_orientation": "ignore",
        "max_pixels": 64_000_000,
    }
    assert sorted(path.name for path in out.iterdir()) == [
        "features",
        "images.parquet",
        "pixel_rules.json",
    ]


def test_what_a_killed_run_left_behind_is_cleared_away(source: Path) -> None:
    rubbish = source / "out" / "shards.partial" / "0000000000000000"
    rubbish.mkdir(parents=True)
    (rubbish / "images.parquet").write_bytes(b"half")

    assert len(images_of(inspect(source))) == len(files())


def test_a_shard_whose_bytes_changed_on_disk_stops_the_stage_and_names_the_file(
    source: Path,
) -> None:
    container = source / "shards" / CONTAINER
    data = bytearray(container.read_bytes())
    data[300] ^= 1
    container.write_bytes(data)

    message = rf"{CONTAINER}: a member's bytes differ .* \(found: made/a/disguised\.jpg\)\. Remedy: .*dvc checkout"
    with pytest.raises(OutputDamaged, match=message):
        inspect(source)


def test_a_source_without_one_usable_image_stops_the_line(tmp_path: Path) -> None:
    make_source(tmp_path, {"made/a/1.jpg": b"<html>", "made/a/2.jpg": b""})

    message = r"images\.parquet: none of 2 images can be used \(found: empty 1, not_image 1\)\. Remedy: fetch these"
    with pytest.raises(BadData, match=message):
        inspect(tmp_path)
