"""The next run of a source that changed or did not: which shards move, and what is not read again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.settings import Settings
from testing.curated import write_files
from testing.sources import Take, images, tar_of


def test_one_and_four_workers_full_and_empty_memo_write_the_same_bytes(
    take: Take, tmp_path: Path
) -> None:
    write_files(tmp_path / "pics", images(60))
    tar_of(tmp_path / "more.tar", images(60))
    sources = ({"uri": "pics"}, {"uri": "more.tar", "name": "more"})

    first = take(*sources, out="first", workers=1, state_dir=tmp_path / "a").bytes_by_file()

    assert (
        take(*sources, out="second", workers=4, state_dir=tmp_path / "b").bytes_by_file() == first
    )
    assert take(*sources, out="third", workers=4, state_dir=tmp_path / "a").bytes_by_file() == first


def test_what_the_memo_holds_is_not_read_again(
    take: Take, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_files(tmp_path / "pics", images(60))
    n_shards = take({"uri": "pics"}, out="first").members["shard"].nunique()
    caplog.set_level("INFO")

    take({"uri": "pics"}, out="second")

    assert f"{n_shards} shards, {n_shards} units from the memo" in caplog.text


def test_a_damaged_memo_entry_is_fetched_again(take: Take, tmp_path: Path) -> None:
    write_files(tmp_path / "pics", images(60))
    first = take({"uri": "pics"}, out="first").bytes_by_file()
    for file in (tmp_path / ".perennial" / "memo").rglob("*.tar"):
        file.unlink()
        file.write_bytes(b"damaged")

    assert take({"uri": "pics"}, out="second").bytes_by_file() == first


def test_new_files_change_no_shard_wherever_their_names_stand(
    nightly: Take, tmp_path: Path
) -> None:
    files = images(100)
    write_files(tmp_path / "pics", files)
    before = set(nightly({"uri": "pics"}).members["shard"])
    write_files(tmp_path / "pics", {"0/0000a.jpg": b"1" * 300, "1/new2.jpg": b"2" * 300})

    after = set(nightly({"uri": "pics"}).members["shard"])

    assert len(before) >= 8
    assert before < after and len(after - before) == 1


def test_copied_and_touched_files_move_nothing(nightly: Take, tmp_path: Path) -> None:
    write_files(tmp_path / "pics", images(60))
    tar_of(tmp_path / "pics" / "more.tar", images(20))
    first = nightly({"uri": "pics"}).bytes_by_file()
    listing = (tmp_path / "listing.parquet").read_bytes()
    shutil.copytree(tmp_path / "pics", tmp_path / "copy")
    shutil.rmtree(tmp_path / "pics")
    shutil.move(tmp_path / "copy", tmp_path / "pics")

    again = nightly({"uri": "pics"}).bytes_by_file()

    assert (tmp_path / "listing.parquet").read_bytes() == listing
    assert again == first


def test_a_withdrawn_file_changes_its_shard_only(nightly: Take, tmp_path: Path) -> None:
    write_files(tmp_path / "pics", images(100))
    members = nightly({"uri": "pics"}).members
    (tmp_path / "pics" / "1" / "0033.jpg").unlink()

    after = nightly({"uri": "pics"}).members

    assert set(members["shard"]) - set(after["shard"]) == {members.loc["pics/1/0033.jpg", "shard"]}


def test_a_replaced_file_changes_its_shard_only(nightly: Take, tmp_path: Path) -> None:
    write_files(tmp_path / "pics", images(100))
    before = nightly({"uri": "pics"}).members
    write_files(tmp_path / "pics", {"1/0033.jpg": b"better"})

    taken = nightly({"uri": "pics"})

    assert taken.read("pics/1/0033.jpg") == b"better"
    gone = set(before["shard"]) - set(taken.members["shard"])
    assert gone == {before.loc["pics/1/0033.jpg", "shard"]}


def test_other_sizes_of_shards_pack_everything_again(nightly: Take, tmp_path: Path) -> None:
    write_files(tmp_path / "pics", images(100))
    nightly({"uri": "pics"})
    larger = DownloadParams(shard_min_bytes=1000, shard_target_bytes=8000, shard_max_bytes=16000)

    after = nightly({"uri": "pics"}, params=larger).bytes_by_file()

    (tmp_path / "dvc.lock").unlink()
    assert nightly({"uri": "pics"}, params=larger).bytes_by_file() == after


def test_settings_do_not_reach_the_results() -> None:
    assert "workers" not in DownloadParams.model_fields
    assert Settings(workers=3).worker_count() == 3
