"""What a run means does not depend on how its images came, in which order and in which shards."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline_lib.sources import known_files
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from testing.curated import small_image
from testing.nightly_line import NightlyLine
from testing.small_line import trained_bytes
from testing.sources import tar_of

PACKING = ("shard", "row_in_shard", "container", "offset_bytes")
SAME_BYTES = ("selection", "classes", "review", "soft_labels", "balance", "votes", "curation")
FIRST = 24


def add(line: NightlyLine, n: int) -> None:
    """A new image, somewhere among the names of the others."""
    path = line.pics / f"class{n % 2}" / f"{(37 * n) % 100:02d}-{n}.png"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(small_image(n))


def images(line: NightlyLine) -> list[Path]:
    return sorted(path for path in line.pics.rglob("*.png"))


def replace(line: NightlyLine, n: int) -> None:
    images(line)[n % len(images(line))].write_bytes(small_image(1000 + n))


def withdraw(line: NightlyLine, n: int) -> None:
    if len(images(line)) > FIRST:
        images(line)[n % len(images(line))].unlink()


def touch(line: NightlyLine, n: int) -> None:
    for path in images(line)[n % 3 :: 3]:
        os.utime(path, (n, n))


def copy(line: NightlyLine, n: int) -> None:
    """A copy in place of the folder, as after a move to another machine."""
    shutil.copytree(line.pics, line.folder / "copied")
    shutil.rmtree(line.pics)
    (line.folder / "copied").rename(line.pics)


def lose_state(line: NightlyLine, n: int) -> None:
    shutil.rmtree(line.folder / ".perennial", ignore_errors=True)


def archive(line: NightlyLine, n: int) -> None:
    """An archive of a class comes, or is replaced by a longer one."""
    members = {f"class{n % 2}/a{one}.png": small_image(2000 + one) for one in range(2 + n % 3)}
    tar_of(line.pics / "more.tar", members)


Event = Callable[[NightlyLine, int], None]
EVENTS = (add, add, add, replace, withdraw, touch, copy, lose_state, archive)
nights = st.lists(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(FIRST, 99)), min_size=1, max_size=5),
    min_size=1,
    max_size=5,
)


def lived(folder: Path, history: list[list[tuple[Event, int]]]) -> NightlyLine:
    """A line with this history, downloaded every night."""
    line = NightlyLine(folder).set_up()
    for n in range(FIRST):
        add(line, n)
    line.night()
    for events in history:
        for event, n in events:
            event(line, n)
        line.night()
    return line


def fresh(folder: Path, of: NightlyLine) -> NightlyLine:
    """A line that meets the same images for the first time, with other dates."""
    line = NightlyLine(folder).set_up()
    shutil.rmtree(line.pics)
    shutil.copytree(of.pics, line.pics, copy_function=shutil.copy)
    line.night()
    return line


def meaning(line: NightlyLine) -> dict[str, object]:
    """All that `curate` decided and all that later stages read of it; packing apart."""
    found: dict[str, object] = {}
    for role, table in (("members", MEMBERS), ("images", IMAGES), ("manifest", MANIFEST)):
        frame = table.read(line.line.path(role))
        found[role] = frame.drop(columns=[name for name in PACKING if name in frame]).to_csv()
    for role in SAME_BYTES:
        path = line.line.path(role)
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        found |= {file.name: file.read_bytes() for file in files}
    return found


@settings(max_examples=4, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(nights)
def test_any_history_ends_in_the_tables_and_the_selection_of_one_fresh_download(
    history: list[list[tuple[Event, int]]],
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(known_files, "CLOCK_GRAIN_NS", -1)
        line = lived(Path(folder) / "lived", history)
        other = fresh(Path(folder) / "fresh", line)
        for one in (line, other):
            one.run("inspect", "curate")

        assert meaning(line) == meaning(other)


def test_two_packings_of_the_same_images_train_the_same_weights(tmp_path: Path) -> None:
    history: list[list[tuple[Event, int]]] = [
        [(add, n) for n in range(30 + 4 * night, 34 + 4 * night)] for night in range(4)
    ]
    line = lived(tmp_path / "lived", history)
    other = fresh(tmp_path / "fresh", line)

    for one in (line, other):
        one.run("inspect", "curate", "convert", "train")

    packed: list[pd.DataFrame] = [MEMBERS.read(one.line.path("members")) for one in (line, other)]
    assert set(packed[0]["shard"]).isdisjoint(packed[1]["shard"])
    assert meaning(line) == meaning(other)
    assert trained_bytes(line.folder / "line/train") == trained_bytes(other.folder / "line/train")
