"""When discover lists anew and when it keeps the last listing, and what it checks before hours of work."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.discover.run import run
from pipeline_lib.errors import ConfigError
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.settings import Settings
from tests.unit.discover.listed import Discover, rows, write


def test_refresh_never_keeps_the_last_listing_and_says_so(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    image = write(tmp_path / "pics" / "a.jpg")
    first = discover({"uri": "pics"})["listing"].read_bytes()
    image.write_bytes(b"changed")
    caplog.set_level("INFO")

    kept = discover({"uri": "pics"}, refresh="never")["listing"]

    assert kept.read_bytes() == first
    assert re.search(
        r"refresh: never: the sources were not listed again; the listing of 0.0 h ago is used",
        caplog.text,
    )


def test_refresh_never_needs_no_source_any_more(discover: Discover, tmp_path: Path) -> None:
    image = write(tmp_path / "pics" / "a.jpg")
    first = discover({"uri": "pics"})["listing"].read_bytes()
    image.unlink()

    assert discover({"uri": "pics"}, refresh="never")["listing"].read_bytes() == first


def test_refresh_never_lists_sources_that_were_never_listed(
    discover: Discover, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "pics" / "a.jpg")
    caplog.set_level("INFO")

    listing = discover({"uri": "pics"}, refresh="never")["listing"]

    assert rows(listing) == [("image", "a.jpg", 1)]
    assert "there is no earlier listing of these sources, so they are listed now" in caplog.text


def test_a_listing_is_kept_for_its_hours_and_made_anew_after_them(
    discover: Discover, tmp_path: Path
) -> None:
    image = write(tmp_path / "pics" / "a.jpg")
    first = discover({"uri": "pics"})["listing"].read_bytes()
    image.write_bytes(b"changed")
    assert discover({"uri": "pics"}, refresh=2)["listing"].read_bytes() == first
    [kept] = (tmp_path / ".perennial" / "listing").iterdir()
    three_hours_ago = kept.stat().st_mtime - 3 * 3600
    os.utime(kept, (three_hours_ago, three_hours_ago))

    assert rows(discover({"uri": "pics"}, refresh=2)["listing"]) == [("image", "a.jpg", 7)]


def test_a_mistake_in_another_stages_params_is_found_before_hours_of_work(tmp_path: Path) -> None:
    write(tmp_path / "pics" / "a.jpg")
    text = "discover: {sources: [{name: pics, uri: pics}]}\ndownload: {shard_max: 3}\ninspect: {}\ncurate: {}\n"
    (tmp_path / "params.yaml").write_text(
        text + "convert: {}\ntrain: {recipe: fast}\nevaluate: {}\nregister: {}\n"
    )
    params = DiscoverParams.model_validate({"sources": [{"name": "pics", "uri": "pics"}]})

    with pytest.raises(
        ConfigError, match=r"download.shard_max: no such key, nearest is .*train.recipe = 'fast'"
    ):
        run(StageRun(tmp_path, {}, {}, params, Settings()))


def test_what_training_needs_is_checked_again_only_where_something_will_run(
    discover: Discover, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checks: list[object] = []
    monkeypatch.setattr("pipeline_lib.train.preflight.look_ahead", checks.append)
    write(tmp_path / "pics" / "a" / "1.jpg")

    def n_checks(**settings: str) -> int:
        checks.clear()
        discover({"uri": "pics"}, **settings)
        return len(checks)

    assert [n_checks(), n_checks()] == [1, 0]
    write(tmp_path / "pics" / "a" / "2.jpg")
    assert [n_checks(), n_checks()] == [1, 0]
    assert n_checks(device="cpu") == 1
