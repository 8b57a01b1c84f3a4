"""Loose files packed into shards: names, order, sizes, and what is no image."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.errors import BadData, OutputDamaged
from pipeline_lib.harness.memo import digest
from pipeline_lib.shards.read import MemberBytes
from testing.curated import write_files
from testing.sources import Take, images, tar_of


def order_of_shards(members: pd.DataFrame, names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(members.loc[[f"pics/{name}" for name in sorted(names)], "shard"]))


def test_files_are_packed_by_name_into_tars_that_any_tool_reads(take: Take, tmp_path: Path) -> None:
    files = images(60)
    write_files(tmp_path / "pics", files)

    taken = take({"uri": "pics"})

    shards = order_of_shards(taken.members, files)
    assert len(shards) > 3
    packed: dict[str, bytes] = {}
    for shard in shards:
        with tarfile.open(taken.folder / "shards" / f"{shard}.tar") as tar:
            packed |= {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
    assert packed == files
    assert list(packed) == sorted(files)
    assert {name: taken.read(f"pics/{name}") for name in files} == files


def test_one_large_shard_keeps_the_order_of_the_names_though_threads_read_it_in_batches(
    take: Take, tmp_path: Path
) -> None:
    files = images(150) | {
        f"1/{n:04d}.png": bytes(300_000) for n in range(3)
    }  # more than a batch holds
    write_files(tmp_path / "pics", files)

    taken = take({"uri": "pics"}, params=DownloadParams(), workers=1)

    members = taken.members.sort_values("offset_bytes")
    assert list(members.index) == [f"pics/{name}" for name in sorted(files)]
    assert {name: taken.read(f"pics/{name}") for name in files} == files


def test_objects_that_are_no_images_are_packed_by_themselves_and_read_once(
    nightly: Take, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A name such as `x.php?id=1` says nothing: the bytes do, once they are read."""
    pages = {f"{n % 2}/page.php?id={n}": b"<html>" for n in range(40)}
    write_files(tmp_path / "pics", images(60) | pages)
    before = nightly({"uri": "pics"}).members
    nightly({"uri": "pics"})  # plans the pages by themselves
    caplog.set_level("INFO")
    caplog.clear()
    write_files(tmp_path / "pics", {"1/new.jpg": b"2" * 300})

    after = nightly({"uri": "pics"}).members

    assert (before["refusal"] == "not_image").sum() == (after["refusal"] == "not_image").sum() == 40
    n_shards = before["shard"].nunique()
    assert after["shard"].nunique() == n_shards + 1
    assert f"{n_shards + 1} shards, {n_shards + 1} units from the memo" in caplog.text


def test_system_files_and_texts_are_counted_and_not_packed(take: Take, tmp_path: Path) -> None:
    write_files(
        tmp_path / "pics",
        {"0/a.jpg": b"1", "0/.DS_Store": b"2", "README.md": b"3", "1/b.jpg": b"4"},
    )

    members = take({"uri": "pics"}).members

    assert members["refusal"].dropna().to_dict() == {
        "pics/0/.DS_Store": "ignored_system_file",
        "pics/README.md": "not_a_picture_name",
    }
    assert members.loc["pics/README.md", "size_bytes"] == 1


def test_the_users_archive_stays_writable_and_its_own_file(take: Take, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "pics.tar", images(10))
    content = digest(archive)

    taken = take({"uri": "pics.tar"})
    for file in (taken.folder / "shards").iterdir():
        file.chmod(0o444)

    assert os.access(archive, os.W_OK)
    assert archive.stat().st_nlink == 1
    assert digest(archive) == content


def test_the_split_of_an_extra_test_set_is_that_of_all_its_images(
    take: Take, tmp_path: Path
) -> None:
    tar_of(tmp_path / "pics.tar", images(10))
    tar_of(tmp_path / "extra.tar", images(4))

    members = take(
        {"uri": "pics.tar"}, {"uri": "extra.tar", "name": "extra", "split": "test"}
    ).members

    assert members.loc[members["source"] == "extra", "split_received"].tolist() == ["test"] * 4
    assert members.loc[members["source"] == "pics", "split_received"].isna().all()


def test_a_source_without_images_says_what_it_holds(take: Take, tmp_path: Path) -> None:
    write_files(tmp_path / "pics", {"a.txt": b"1", ".x": b"2"})

    expected = r"pics: the source holds no image \(found: ignored_system_file: 1, not_a_picture_name: 1\). Remedy: name"
    with pytest.raises(BadData, match=expected):
        take({"uri": "pics"})


def test_shard_sizes_that_leave_no_room_are_refused() -> None:
    with pytest.raises(
        ValueError, match="shard_target_bytes must be at least twice shard_min_bytes"
    ):
        DownloadParams(shard_min_bytes=100, shard_target_bytes=150, shard_max_bytes=1000)


def test_a_container_that_ends_early_or_is_absent_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"0123456789")
    with MemberBytes(tmp_path) as shards:
        assert shards.read("x.tar", 2, 3) == b"234"
        with pytest.raises(
            OutputDamaged,
            match=r"x.tar: a container of shards ends early \(found: 2 of 5 bytes at offset 8\)",
        ):
            shards.read("x.tar", 8, 5)
        with pytest.raises(
            OutputDamaged,
            match=r"y.tar: a container of shards is missing. Remedy: run `dvc checkout`",
        ):
            shards.read("y.tar", 0, 1)
    with pytest.raises(OutputDamaged, match="the folder of shards is missing"):
        MemberBytes(tmp_path / "gone")


def test_a_broken_link_is_quarantined_by_name_and_a_date_beyond_2262_is_packed(
    take: Take, tmp_path: Path
) -> None:
    write_files(tmp_path / "pics", images(4))
    os.utime(tmp_path / "pics" / "0" / "0000.jpg", (2**33 + 2**32, 2**33 + 2**32))
    (tmp_path / "pics" / "0" / "lost.jpg").symlink_to(tmp_path / "gone.jpg")

    members = take({"uri": "pics"}).members

    assert members["refusal"].dropna().to_dict() == {"pics/0/lost.jpg": "broken_link"}
    assert members["shard"].notna().sum() == 4


def test_a_name_from_the_web_is_packed_by_its_bytes_and_what_is_no_image_is_counted(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jpeg = b"\xff\xd8\xff" + bytes(300)
    monkeypatch.setattr(
        "pipeline_lib.download.loose.READ_WHOLE_BYTES", 1000
    )  # of more only the head is read
    web = {"a/x.jpg?size=large": jpeg, "b/photo 2.0 (front)": jpeg}
    files = web | {"b/x.php?id=1": b"<html>", "b/dump.bin": b"\1" * 2000}
    write_files(tmp_path / "pics", files | images(4))
    tar_of(tmp_path / "more.tar", files)

    members = take({"uri": "pics"}, {"uri": "more.tar", "name": "more"}).members

    expected = {
        f"{name}/b/{file}": "not_image"
        for name in ("pics", "more")
        for file in ("x.php?id=1", "dump.bin")
    }
    assert members["refusal"].dropna().to_dict() == expected
    assert members.loc["pics/a/x.jpg?size=large", "label_received"] == "a"
