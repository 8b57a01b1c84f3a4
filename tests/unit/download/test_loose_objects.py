"""Loose files packed into shards: what changes when the source does, and what never does."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.download.store import require_space
from pipeline_lib.errors import (
    BadData,
    CredentialsRefused,
    DataCheckFailed,
    NoSpace,
    OutputDamaged,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.harness.memo import digest
from pipeline_lib.settings import Settings
from pipeline_lib.shards.read import MemberBytes
from pipeline_lib.sources.local import LocalPlace
from pipeline_lib.sources.objects import SourceObject
from testing.sources import SMALL_SHARDS, Take, images, tar_of


def folder_of(folder: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def order_of_shards(members: pd.DataFrame, names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(members.loc[[f"pics/{name}" for name in sorted(names)], "shard"]))


def test_files_are_packed_by_name_into_tars_that_any_tool_reads(take: Take, tmp_path: Path) -> None:
    files = images(60)
    folder_of(tmp_path / "pics", files)

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


def test_a_limit_on_the_size_of_files_stops_the_run_in_one_line_and_the_next_goes_on(
    take: Take, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    folder_of(tmp_path / "pics", images(60))
    tar_of(tmp_path / "large.tar", images(4, size_bytes=60_000))
    sources = ({"uri": "pics"}, {"uri": "large.tar", "name": "large"})
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, unlimited[1]))  # as `ulimit -f`
    try:
        with pytest.raises(NoSpace, match=r"shards: a file became larger than is allowed .*ulimit"):
            take(*sources)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    assert list((tmp_path / "out").iterdir()) == []
    assert len(take(*sources).members) == 64
    assert int(re.findall(r"(\d+) units from the memo", caplog.text)[-1]) > 3


def test_one_large_shard_keeps_the_order_of_the_names_though_threads_read_it_in_batches(
    take: Take, tmp_path: Path
) -> None:
    files = images(150) | {
        f"1/{n:04d}.png": bytes(300_000) for n in range(3)
    }  # more than a batch holds
    folder_of(tmp_path / "pics", files)

    taken = take({"uri": "pics"}, params=DownloadParams(), workers=1)

    members = taken.members.sort_values("offset_bytes")
    assert list(members.index) == [f"pics/{name}" for name in sorted(files)]
    assert {name: taken.read(f"pics/{name}") for name in files} == files


def test_one_and_four_workers_full_and_empty_memo_write_the_same_bytes(
    take: Take, tmp_path: Path
) -> None:
    folder_of(tmp_path / "pics", images(60))
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
    folder_of(tmp_path / "pics", images(60))
    n_shards = take({"uri": "pics"}, out="first").members["shard"].nunique()
    caplog.set_level("INFO")

    take({"uri": "pics"}, out="second")

    assert f"{n_shards} shards, {n_shards} units from the memo" in caplog.text


def test_a_damaged_memo_entry_is_fetched_again(take: Take, tmp_path: Path) -> None:
    folder_of(tmp_path / "pics", images(60))
    first = take({"uri": "pics"}, out="first").bytes_by_file()
    for file in (tmp_path / ".perennial" / "memo").rglob("*.tar"):
        file.unlink()
        file.write_bytes(b"damaged")

    assert take({"uri": "pics"}, out="second").bytes_by_file() == first


def test_new_files_change_no_shard_wherever_their_names_stand(
    nightly: Take, tmp_path: Path
) -> None:
    files = images(100)
    folder_of(tmp_path / "pics", files)
    before = set(nightly({"uri": "pics"}).members["shard"])
    folder_of(tmp_path / "pics", {"0/0000a.jpg": b"1" * 300, "1/new2.jpg": b"2" * 300})

    after = set(nightly({"uri": "pics"}).members["shard"])

    assert len(before) >= 8
    assert before < after and len(after - before) == 1


def test_copied_and_touched_files_move_nothing(nightly: Take, tmp_path: Path) -> None:
    folder_of(tmp_path / "pics", images(60))
    tar_of(tmp_path / "pics" / "more.tar", images(20))
    first = nightly({"uri": "pics", "layout": "leaf_folders"}).bytes_by_file()
    listing = (tmp_path / "listing.parquet").read_bytes()
    shutil.copytree(tmp_path / "pics", tmp_path / "copy")
    shutil.rmtree(tmp_path / "pics")
    shutil.move(tmp_path / "copy", tmp_path / "pics")

    again = nightly({"uri": "pics", "layout": "leaf_folders"}).bytes_by_file()

    assert (tmp_path / "listing.parquet").read_bytes() == listing
    assert again == first


def test_a_withdrawn_file_changes_its_shard_only(nightly: Take, tmp_path: Path) -> None:
    folder_of(tmp_path / "pics", images(100))
    members = nightly({"uri": "pics"}).members
    (tmp_path / "pics" / "1" / "0033.jpg").unlink()

    after = nightly({"uri": "pics"}).members

    assert set(members["shard"]) - set(after["shard"]) == {members.loc["pics/1/0033.jpg", "shard"]}


def test_a_replaced_file_changes_its_shard_only(nightly: Take, tmp_path: Path) -> None:
    folder_of(tmp_path / "pics", images(100))
    before = nightly({"uri": "pics"}).members
    folder_of(tmp_path / "pics", {"1/0033.jpg": b"better"})

    taken = nightly({"uri": "pics"})

    assert taken.read("pics/1/0033.jpg") == b"better"
    gone = set(before["shard"]) - set(taken.members["shard"])
    assert gone == {before.loc["pics/1/0033.jpg", "shard"]}


def test_other_sizes_of_shards_pack_everything_again(nightly: Take, tmp_path: Path) -> None:
    folder_of(tmp_path / "pics", images(100))
    nightly({"uri": "pics"})
    larger = DownloadParams(shard_min_bytes=1000, shard_target_bytes=8000, shard_max_bytes=16000)

    after = nightly({"uri": "pics"}, params=larger).bytes_by_file()

    (tmp_path / "dvc.lock").unlink()
    assert nightly({"uri": "pics"}, params=larger).bytes_by_file() == after


def test_objects_that_are_no_images_are_packed_by_themselves_and_read_once(
    nightly: Take, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A name such as `x.php?id=1` says nothing: the bytes do, once they are read."""
    pages = {f"{n % 2}/page.php?id={n}": b"<html>" for n in range(40)}
    folder_of(tmp_path / "pics", images(60) | pages)
    before = nightly({"uri": "pics"}).members
    nightly({"uri": "pics"})  # plans the pages by themselves
    caplog.set_level("INFO")
    caplog.clear()
    folder_of(tmp_path / "pics", {"1/new.jpg": b"2" * 300})

    after = nightly({"uri": "pics"}).members

    assert (before["refusal"] == "not_image").sum() == (after["refusal"] == "not_image").sum() == 40
    n_shards = before["shard"].nunique()
    assert after["shard"].nunique() == n_shards + 1
    assert f"{n_shards + 1} shards, {n_shards + 1} units from the memo" in caplog.text


def test_system_files_and_texts_are_counted_and_not_packed(take: Take, tmp_path: Path) -> None:
    folder_of(
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
    folder_of(tmp_path / "pics", {"a.txt": b"1", ".x": b"2"})

    expected = r"pics: the source holds no image \(found: ignored_system_file: 1, not_a_picture_name: 1\). Remedy: name"
    with pytest.raises(BadData, match=expected):
        take({"uri": "pics"})


def test_a_file_that_changed_after_it_was_listed_is_not_taken(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a.jpg": b"1"})
    place = LocalPlace("pics", tmp_path)
    [listed] = place.list()
    (tmp_path / "a.jpg").write_bytes(b"22")

    with pytest.raises(
        BadData,
        match=r"a.jpg: the file changed after it was listed .*Remedy: run again: `dvc repro`",
    ):
        place.read(listed)


@pytest.mark.parametrize("changes", [1, 2, 3])
def test_a_file_that_changes_while_it_is_read_is_read_again_a_few_times(
    take: Take,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    changes: int,
) -> None:
    folder_of(tmp_path / "pics", {"cats/a.jpg": b"1", "cats/b.jpg": b"2"})
    left, read = [bytes([51 + n]) for n in range(changes)], LocalPlace.read

    def change_and_read(place: LocalPlace, wanted: SourceObject) -> bytes:
        if wanted.key == "cats/a.jpg" and left:  # of the same size, and within the same tick
            (tmp_path / "pics/cats/a.jpg").write_bytes(left.pop(0))
        return read(place, wanted)

    monkeypatch.setattr(LocalPlace, "read", change_and_read)

    if changes == 3:
        with pytest.raises(
            SourceChanged, match=r"a.jpg: the file changed after it was listed .*Remedy: run again"
        ):
            take({"uri": "pics"})
        return
    # else DVC would know these bytes by the listing of the old ones, and bring them back should those return
    with pytest.raises(
        SourceChanged,
        match=r"cats/a.jpg: the source changed during the run \(found: 1 objects differ",
    ):
        take({"uri": "pics"}, out="first")

    assert (
        caplog.text.count(
            "cats/a.jpg: the file changed after it was listed; its present version is read"
        )
        == changes
    )
    assert not (tmp_path / "first" / "members.parquet").exists()
    assert take({"uri": "pics"}, out="next").read("pics/cats/a.jpg") == bytes([50 + changes])


def test_a_file_that_outgrows_the_limit_while_it_is_read_is_left_to_the_next_listing(
    take: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder_of(tmp_path / "pics", {"cats/a.jpg": b"1", "cats/b.jpg": b"2"})
    params = SMALL_SHARDS.model_copy(update={"max_file_bytes": 100})
    read = LocalPlace.read

    def grow_and_read(place: LocalPlace, wanted: SourceObject) -> bytes:
        assert wanted.size_bytes <= params.max_file_bytes
        (tmp_path / "pics/cats/a.jpg").write_bytes(bytes(101))
        return read(place, wanted)

    monkeypatch.setattr(LocalPlace, "read", grow_and_read)

    with pytest.raises(
        SourceChanged, match=r"a.jpg: the file changed after it was listed .*Remedy: run again"
    ):
        take({"uri": "pics"}, params=params)
    monkeypatch.undo()
    members = take({"uri": "pics"}, params=params).members

    assert members["refusal"].fillna("").to_dict() == {
        "pics/cats/a.jpg": "file_too_large",
        "pics/cats/b.jpg": "",
    }


def test_a_file_that_went_after_it_was_listed_is_named(tmp_path: Path) -> None:
    folder_of(tmp_path, {"a.jpg": b"1"})
    place = LocalPlace("pics", tmp_path)
    [listed] = place.list()
    (tmp_path / "a.jpg").unlink()

    with pytest.raises(BadData, match=r"a.jpg: the file disappeared after it was listed"):
        place.read(listed)


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (errno.EACCES, CredentialsRefused, r"a.jpg: not allowed to read it .*Remedy: chmod u\+rX"),
        (
            errno.EIO,
            SourceMissing,
            r"a.jpg: cannot be read \(found: Input/output error\). Remedy: check the disk",
        ),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[Exception],
    message: str,
) -> None:
    folder_of(tmp_path, {"a.jpg": b"1"})
    place = LocalPlace("pics", tmp_path)
    [listed] = place.list()

    def fail(path: Path, *_: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "open", fail)  # the test may run as root, who may read everything
    with pytest.raises(kind, match=message):
        place.read(listed)


@pytest.mark.parametrize("n_refused", [2, 3])
def test_files_that_may_not_be_read_are_quarantined_by_name_until_they_are_too_many(
    take: Take,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    n_refused: int,
) -> None:
    """As on a network disk that lets root list and not read: what is refused shows only when it is opened."""
    folder_of(tmp_path / "pics", images(10))
    open_file = Path.open
    refused = {f"{n:04d}.jpg" for n in range(n_refused)}

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name in refused:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)
    if n_refused == 3:
        expected = r"3 of 10 files are unreadable, 2 are allowed \(found: pics/0/0000.jpg \(unreadable_file\), .*chmod"
        with pytest.raises(DataCheckFailed, match=expected):
            take({"uri": "pics"})
        return
    members = take({"uri": "pics"}).members
    monkeypatch.undo()
    after = take({"uri": "pics"}).members

    assert members["refusal"].dropna().to_dict() == dict.fromkeys(
        ["pics/0/0000.jpg", "pics/1/0001.jpg"], "unreadable_file"
    )
    assert re.search(
        r"2 objects are unreadable: 0/0000.jpg, 1/0001.jpg; they are quarantined", caplog.text
    )
    assert after["refusal"].isna().all()  # a refusal is in no memo


def test_too_little_space_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(
        NoSpace,
        match=r"1000000000000000000 bytes must be fetched \(found: \d+ bytes left\). Remedy: free \d+ bytes",
    ):
        require_space(tmp_path, 10**18)


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


def test_a_failed_run_leaves_no_half_written_shards(take: Take, tmp_path: Path) -> None:
    folder_of(tmp_path / "pics", images(60))
    good = take({"uri": "pics"}).bytes_by_file()
    tar_of(tmp_path / "pics" / "broken.tar", {"a.jpg": bytes(3000)})
    (tmp_path / "pics" / "broken.tar").write_bytes(
        (tmp_path / "pics" / "broken.tar").read_bytes()[:2000]
    )

    with pytest.raises(BadData):
        take({"uri": "pics"})

    assert {
        name: data for name, data in take_files(tmp_path / "out").items() if "partial" not in name
    } == good


def take_files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_missing_source_is_found_out_at_once() -> None:
    with pytest.raises(
        SourceMissing,
        match=r"gone: no such file or folder \(found: looked at /nowhere/gone\). Remedy: fix",
    ):
        LocalPlace("gone", Path("/nowhere/gone"))


def test_settings_do_not_reach_the_results() -> None:
    assert "workers" not in DownloadParams.model_fields
    assert Settings(workers=3).worker_count() == 3


def test_a_broken_link_is_quarantined_by_name_and_a_date_beyond_2262_is_packed(
    take: Take, tmp_path: Path
) -> None:
    folder_of(tmp_path / "pics", images(4))
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
    folder_of(tmp_path / "pics", files | images(4))
    tar_of(tmp_path / "more.tar", files)

    members = take({"uri": "pics"}, {"uri": "more.tar", "name": "more"}).members

    expected = {
        f"{name}/b/{file}": "not_image"
        for name in ("pics", "more")
        for file in ("x.php?id=1", "dump.bin")
    }
    assert members["refusal"].dropna().to_dict() == expected
    assert members.loc["pics/a/x.jpg?size=large", "label_received"] == "a"
