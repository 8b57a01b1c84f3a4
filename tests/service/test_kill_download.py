"""kill -9 of downloads through a proxy that breaks answers; benchmarks/robustness/kill_download.py kills twenty times."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from pipeline_lib.sources.arriving import PIECE_BYTES
from testing.killed_download import download_once, kill_amid_an_archive, kill_downloads, served
from tests.support.flaky_proxy import FlakyProxy, at_random

pytestmark = pytest.mark.service


def test_after_two_kills_behind_a_flaky_proxy_the_tables_are_those_of_an_undisturbed_run(
    tmp_path: Path,
) -> None:
    with served(tmp_path, 100) as url:
        undisturbed = download_once(tmp_path / "undisturbed", url)
        with FlakyProxy(url, at_random(0, share=0.1)) as proxy:
            done = kill_downloads(tmp_path / "killed", proxy, kills=2, rng=random.Random(0))

    assert done.killed == 2 and not done.half_written
    assert done.taken.bytes_by_file() == undisturbed.bytes_by_file()


def test_after_a_kill_amid_an_archive_the_second_run_moves_the_missing_part_alone(
    tmp_path: Path,
) -> None:
    with served(tmp_path, 0, large_bytes=5 * PIECE_BYTES) as url:
        with FlakyProxy(url, lambda _: None) as proxy:
            done = kill_amid_an_archive(tmp_path / "killed", proxy, after_pieces=3)

    assert done.there_bytes == 3 * PIECE_BYTES
    assert done.moved_bytes == done.whole_bytes - done.there_bytes
    [container] = (done.taken.folder / "shards").iterdir()
    assert container.read_bytes() == (tmp_path / "large.tar").read_bytes()
    assert list((tmp_path / "killed" / ".perennial" / "unfinished").iterdir()) == []
