"""Two images appended, one replaced, one withdrawn: only the shards that DESIGN.md names are worked again."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from demo.images import jpeg, load_scans
from demo.plant_list import read_plants
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from testing.archive import edit_archive, read_archive
from testing.checkout import Checkout


def betons(checkout: Checkout) -> dict[str, str]:
    """sha256 of each beton, by file name."""
    folder = checkout.folder / "line/convert/betons"
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.glob("*.beton")
    }


def members(checkout: Checkout) -> pd.DataFrame:
    return MEMBERS.read(checkout.folder / "line/download/members.parquet").set_index("image_id")


def shard_order(table: pd.DataFrame, archive: Path) -> list[str]:
    """Shards in the order of the archive."""
    shards = table["shard"].dropna()
    names = [f"digits/{member.name}" for member, _ in read_archive(archive)]
    return list(dict.fromkeys(shards[name] for name in names if name in shards.index))


@pytest.fixture(scope="module")
def changed(finished: Checkout, tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The finished line after its archive was edited and all stages before `train` run again."""
    checkout = finished.copy_to(tmp_path_factory.mktemp("changed") / "line")
    archive = checkout.folder / "demo/out/digits.tar"
    replaced, withdrawn = touched(finished)
    scan = load_scans().images[7]
    edit_archive(
        archive,
        append={"7/90001.jpg": jpeg(scan), "7/90002.jpg": jpeg(np.flipud(scan).copy())},
        replace={replaced: jpeg(load_scans().images[11], quality=90)},
        withdraw=frozenset({withdrawn}),
    )
    checkout.repro("curate", "convert")
    return checkout


def touched(finished: Checkout) -> tuple[str, str]:
    """Two unplanted members of different shards, neither in the last one: one to replace, one to withdraw."""
    archive, plants = (
        finished.folder / "demo/out/digits.tar",
        read_plants(finished.folder / "demo/out/plants.json"),
    )
    table = members(finished)
    order = shard_order(table, archive)
    sound = [
        member.name for member, _ in read_archive(archive) if member.name in plants.true_labels
    ]
    sound = [name for name in sound if name not in plants.involved()]
    first = next(name for name in sound if table.loc[f"digits/{name}", "shard"] == order[1])
    second = next(name for name in sound if table.loc[f"digits/{name}", "shard"] == order[4])
    return first, second


def test_the_demo_has_eight_shards_or_more(finished: Checkout) -> None:
    assert len(betons(finished)) >= 8
    assert members(finished)["shard"].nunique() == len(betons(finished))


def test_only_the_touched_shards_and_their_neighbours_are_written_again(
    finished: Checkout, changed: Checkout
) -> None:
    before, after = betons(finished), betons(changed)
    order = shard_order(members(finished), finished.folder / "demo/out/digits.tar")
    may_change = {order[1], order[2], order[4], order[5], order[-1]}

    gone = {name.removesuffix(".beton") for name in before.keys() - after.keys()}

    assert {order[1], order[4]} <= gone <= may_change
    assert {name: after[name] for name in before.keys() & after.keys()} == {
        name: before[name] for name in before.keys() & after.keys()
    }


def test_rows_of_the_other_shards_are_the_same(finished: Checkout, changed: Checkout) -> None:
    path = "line/inspect/images.parquet"
    before, after = (
        IMAGES.read(checkout.folder / path).set_index("image_id")
        for checkout in (finished, changed)
    )
    common = sorted(set(before["shard"]) & set(after["shard"]))

    same = [table[table["shard"].isin(common)].sort_index() for table in (before, after)]

    assert len(common) >= len(set(before["shard"])) - 5
    pd.testing.assert_frame_equal(same[0], same[1])


def test_appended_images_are_in_and_the_withdrawn_one_is_out(
    finished: Checkout, changed: Checkout
) -> None:
    _, withdrawn = touched(finished)

    manifest = MANIFEST.read(changed.folder / "line/curate/manifest.parquet").set_index("image_id")

    assert {"digits/7/90001.jpg", "digits/7/90002.jpg"} <= set(manifest.index)
    assert f"digits/{withdrawn}" not in manifest.index


def test_images_that_stayed_keep_their_split(finished: Checkout, changed: Checkout) -> None:
    path = "line/curate/manifest.parquet"
    before, after = (
        MANIFEST.read(checkout.folder / path).set_index("image_id")
        for checkout in (finished, changed)
    )
    both = before[before["decision"] == "keep"].index.intersection(
        after[after["decision"] == "keep"].index
    )

    moved = both[(before.loc[both, "split"] != after.loc[both, "split"]).to_numpy()]

    assert list(moved) == []
