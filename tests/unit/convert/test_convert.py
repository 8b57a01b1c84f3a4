"""The stage on real images: what it writes, what it remembers, and how it ends when something is wrong."""

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline_lib.betons.layout import JPG, RAW, Array
from pipeline_lib.betons.read import open_beton
from pipeline_lib.convert import run as stage
from pipeline_lib.convert.run import run
from pipeline_lib.errors import OutputDamaged
from pipeline_lib.harness import shard_engine, shards_once
from pipeline_lib.pixels import KeptSize, PixelRules, decode, shrink_to
from pipeline_lib.tables.beton_index import BETON_INDEX
from pipeline_lib.tables.images import IMAGES

from .conftest import Inspected

Photo = Callable[[int, int, int], Array]
Encoded = Callable[..., bytes]


@pytest.fixture
def mixed(inspected: Inspected, photo: Photo, encoded: Encoded) -> Inspected:
    """Three shards: small and large, JPEG and PNG, grey, alpha, rotated, damaged, and one with nothing to show."""
    turned = Image.Exif()
    turned[0x0112] = 6
    large = encoded(photo(1, 120, 200))
    first = {f"s/a/{n}.png": encoded(photo(n, 32, 32), "PNG") for n in range(5)}
    second = {
        "s/b/large.jpg": large,
        "s/b/turned.jpg": encoded(photo(2, 120, 200), exif=turned.tobytes()),
        "s/b/grey.png": encoded(photo(3, 90, 90)[..., 0], "PNG"),
        "s/b/alpha.png": encoded(
            np.dstack([photo(4, 90, 90), np.full((90, 90), 128, np.uint8)]), "PNG"
        ),
        "s/b/cut.jpg": large[:3000],
    }
    inspected.put(
        {"aa": first, "bb": second, "cc": {"s/c/page.jpg": b"<html>", "s/c/none.jpg": b""}}
    )
    return inspected


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_decodable_image_is_one_row_and_no_other_is(mixed: Inspected) -> None:
    run(mixed.job("betons"))

    index = BETON_INDEX.read(mixed.folder / "betons" / "bb.index.parquet")
    assert index["image_id"].tolist() == [
        "s/b/large.jpg",
        "s/b/turned.jpg",
        "s/b/grey.png",
        "s/b/alpha.png",
    ]
    assert len(open_beton(mixed.folder / "betons" / "bb.beton").samples_N) == 4


def test_a_shard_without_a_decodable_image_has_an_empty_index_and_no_beton(
    mixed: Inspected,
) -> None:
    run(mixed.job("betons"))

    assert BETON_INDEX.read(mixed.folder / "betons" / "cc.index.parquet").empty
    assert not (mixed.folder / "betons" / "cc.beton").exists()


def test_raw_rows_hold_exactly_the_pixels_that_the_decode_policy_gives(mixed: Inspected) -> None:
    run(mixed.job("betons", mode="raw", short_side_px=60))

    beton, container = (
        open_beton(mixed.folder / "betons" / "bb.beton"),
        mixed.folder / "shards" / "bb.bin",
    )
    expected = shrink_to(decode(container.read_bytes(), PixelRules()).pixels_HWC, short_side_px=60)
    assert beton.stored(0).tobytes() == expected.tobytes()
    assert [tuple(sample["image"])[1:3] for sample in beton.samples_N] == [
        (100, 60),
        (60, 100),
        (60, 60),
        (60, 60),
    ]


def test_auto_keeps_small_images_raw_and_passes_fitting_jpegs_on(mixed: Inspected) -> None:
    run(mixed.job("betons"))

    small, large = (
        open_beton(mixed.folder / "betons" / f"{shard}.beton") for shard in ("aa", "bb")
    )
    assert set(small.samples_N["image"]["mode"]) == {RAW}
    assert set(large.samples_N["image"]["mode"]) == {JPG}
    received = (mixed.folder / "shards" / "bb.bin").read_bytes()
    assert large.stored(0).tobytes()[-1000:] in received
    assert large.stored(1).tobytes()[-1000:] not in received


def test_the_bytes_are_the_same_with_any_number_of_workers_and_any_memo(
    mixed: Inspected, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shard_engine, "SMALL_BYTES", 0)
    caplog.set_level(logging.INFO)

    run(mixed.job("one", workers=1))
    run(mixed.job("remembered", workers=1))
    run(mixed.job("two", workers=2, state="elsewhere"))
    run(mixed.job("four", workers=4, state="nowhere"))

    one, *others = (contents(mixed.folder / name) for name in ("one", "remembered", "two", "four"))
    assert all(other == one for other in others)
    assert [record.args for record in caplog.records if record.name == shards_once.__name__] == [
        (3, 0),
        (3, 3),
        (3, 0),
        (3, 0),
    ]


def test_a_dask_cluster_writes_the_same_bytes(
    mixed: Inspected, dask_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(mixed.job("alone"))
    monkeypatch.setenv("PERENNIAL_DASK_ADDRESS", dask_address)

    run(mixed.job("cluster", state="elsewhere"))

    assert contents(mixed.folder / "cluster") == contents(mixed.folder / "alone")


def test_other_parameters_do_not_find_the_old_betons_in_the_memo(mixed: Inspected) -> None:
    run(mixed.job("large"))
    run(mixed.job("small", short_side_px=16))

    assert (
        open_beton(mixed.folder / "small" / "aa.beton").samples_N["image"]["width"].tolist()
        == [16] * 5
    )


def test_raw_betons_are_frozen(inspected: Inspected, encoded: Encoded) -> None:
    """When this hash changes, memos would give old bytes: raise convert.run.FORMAT_VERSION with it."""
    images = {
        f"{n}.png": encoded(np.full((4 + n, 5, 3), 40 * n, np.uint8), "PNG") for n in range(6)
    }
    inspected.put({"aa": images})

    run(inspected.job("betons", mode="raw"))

    digest = hashlib.sha256((inspected.folder / "betons" / "aa.beton").read_bytes()).hexdigest()
    assert (stage.FORMAT_VERSION, digest[:16]) == (4, "ff22d8ec7bd166a9")


def test_pixels_json_says_all_that_prediction_must_repeat(mixed: Inspected) -> None:
    run(mixed.job("betons", short_side_px=64))

    assert json.loads((mixed.folder / "betons" / "pixels.json").read_text()) == {
        "pixel_rules": {"exif_orientation": "apply", "max_pixels": 64_000_000},
        "short_side_px": 64,
        "long_side_px": None,
        "shape": "as_is",
        "mode": "auto",
        "jpeg_quality": 90,
        "raw_up_to_px": 64,
    }


def test_square_rows_hold_exactly_what_the_rules_of_kept_sizes_give(mixed: Inspected) -> None:
    run(mixed.job("betons", mode="raw", long_side_px=60, shape="square_pad"))

    beton, container = (
        open_beton(mixed.folder / "betons" / "bb.beton"),
        mixed.folder / "shards" / "bb.bin",
    )
    expected = KeptSize(long_side_px=60, shape="square_pad").apply(
        decode(container.read_bytes(), PixelRules()).pixels_HWC
    )
    assert beton.stored(0).tobytes() == expected.tobytes()
    assert (
        beton.samples_N["image"]["width"].tolist()
        == beton.samples_N["image"]["height"].tolist()
        == [60] * 4
    )


def test_auto_mixes_raw_and_jpeg_by_the_short_side_that_is_kept(mixed: Inspected) -> None:
    run(mixed.job("betons", raw_up_to_px=90))
    run(mixed.job("none_raw", raw_up_to_px=0))

    modes = [
        open_beton(mixed.folder / name / "bb.beton").samples_N["image"]["mode"]
        for name in ("betons", "none_raw")
    ]
    assert [mode.tolist() for mode in modes] == [[JPG, JPG, RAW, RAW], [JPG] * 4]


def test_an_image_of_another_size_than_inspect_saw_is_told(mixed: Inspected) -> None:
    table = IMAGES.read(mixed.folder / "images.parquet")
    IMAGES.write(
        table.assign(width_px=table["width_px"].replace(32, 31)), mixed.folder / "images.parquet"
    )

    with pytest.raises(
        OutputDamaged,
        match=r"aa\.bin: an image is no longer 31 x 32, .* \(found: s/a/0\.png: 32 x 32\)\. Remedy: run",
    ):
        run(mixed.job("betons"))


def test_a_shard_that_changed_since_inspect_is_told_with_the_image(mixed: Inspected) -> None:
    container = mixed.folder / "shards" / "aa.bin"
    container.write_bytes(bytes(100) + container.read_bytes()[100:])

    with pytest.raises(
        OutputDamaged,
        match=r"aa\.bin: an image no longer decodes \(found: s/a/0\.png: decode_corrupt",
    ):
        run(mixed.job("betons"))

    assert not (mixed.folder / "betons").exists()
