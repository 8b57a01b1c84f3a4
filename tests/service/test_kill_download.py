"""kill -9 of downloads through a proxy that breaks answers; benchmarks/robustness/kill_download.py kills twenty times."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from testing.killed_download import download_once, kill_downloads, served
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
