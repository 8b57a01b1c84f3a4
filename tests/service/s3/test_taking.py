"""A prefix or an archive on S3 (moto, on loopback), listed and packed: pages, keys, what is not fetched again."""

from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.settings import Settings
from pipeline_lib.sources import arriving, s3
from pipeline_lib.sources.objects import SourceObject
from pipeline_lib.sources.places import BucketPlace, s3_place
from pipeline_lib.survey import survey
from testing.s3_server import BUCKET, S3Server
from testing.sources import Taken, images, tar_of
from tests.service.s3.asking import listed

pytestmark = pytest.mark.service


def test_a_prefix_is_listed_packed_and_read_back(
    server: S3Server, take: Callable[..., Taken]
) -> None:
    files = images(12)
    server.put(files, "set/")
    server.put({"set-old/9/other.jpg": b"other", "set/": b"", "set/0/caf\u00e9 #1.jpg": b"name"})

    taken = take({"uri": f"s3://{BUCKET}/set"})

    assert {name: taken.read(f"pics/{name}") for name in files} == files
    assert taken.read("pics/0/caf\u00e9 %231.jpg") == b"name"
    assert len(taken.members) == 13
    assert set(taken.members["label_received"]) == {"0", "1"}


def test_every_page_of_a_long_listing_is_read(
    server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PAGE_KEYS", 4)
    server.put({f"set/{n}.jpg": b"" for n in range(10)})

    assert len(listed(f"s3://{BUCKET}/set", server.url)) == 10


def test_an_unchanged_prefix_gives_the_same_bytes_with_other_workers_and_no_memo(
    server: S3Server, take: Callable[..., Taken], tmp_path: Path
) -> None:
    server.put(images(12), "set/")

    first = take(
        {"uri": f"s3://{BUCKET}/set"}, "first", workers=1, state_dir=tmp_path / "a"
    ).bytes_by_file()

    assert (
        take(
            {"uri": f"s3://{BUCKET}/set"}, "second", workers=4, state_dir=tmp_path / "b"
        ).bytes_by_file()
        == first
    )


def test_what_the_last_run_packed_is_not_fetched_again_even_without_a_memo(
    server: S3Server,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on another machine after `dvc pull`, or after an upgrade: the objects' ETags are still those of that run."""
    server.put(images(60), "set/")
    first = take({"uri": f"s3://{BUCKET}/set"})
    before = first.members
    first.keep()
    shutil.rmtree(tmp_path / ".perennial")
    server.client.delete_object(Bucket=BUCKET, Key="set/0/0010.jpg")
    server.put({"set/0/0020.jpg": b"replaced", "set/1/new.jpg": b"new"})
    read, fetched = BucketPlace.read, []

    def read_and_note(place: BucketPlace, wanted: SourceObject) -> bytes:
        fetched.append(wanted.key)
        return read(place, wanted)

    monkeypatch.setattr(BucketPlace, "read", read_and_note)

    after = take({"uri": f"s3://{BUCKET}/set"})

    assert sorted(fetched) == ["0/0020.jpg", "1/new.jpg"]
    assert after.read("pics/0/0020.jpg") == b"replaced" and after.read("pics/1/new.jpg") == b"new"
    changed = set(before.loc[["pics/0/0010.jpg", "pics/0/0020.jpg"], "shard"])
    assert set(before["shard"]) - set(after.members["shard"]) == changed


@pytest.mark.parametrize("piece_bytes", [arriving.PIECE_BYTES, 4096])
def test_an_archive_key_is_fetched_in_parts_and_kept_as_received(
    server: S3Server,
    take: Callable[..., Taken],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    piece_bytes: int,
) -> None:
    monkeypatch.setattr(arriving, "PIECE_BYTES", piece_bytes)
    files = images(40)
    archive = tar_of(tmp_path / "pics.tar", files).read_bytes()
    server.put(
        {"sets/pics.tar": archive, "sets/votes.csv": b"member,annotator,label\n0/0000.jpg,ana,0\n"}
    )

    taken = take({"uri": f"s3://{BUCKET}/sets/pics.tar", "votes": f"s3://{BUCKET}/sets/votes.csv"})

    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive
    assert {name: taken.read(f"pics/{name}") for name in files} == files
    assert taken.votes["label"].tolist() == ["0"]


def test_a_truncated_archive_key_stops_the_run(
    server: S3Server, take: Callable[..., Taken], tmp_path: Path
) -> None:
    archive = tar_of(tmp_path / "pics.tar", images(40)).read_bytes()
    server.put({"pics.tar": archive[:20480]})

    with pytest.raises(
        ArchiveDamaged,
        match=rf"s3://{BUCKET}/pics.tar: the tar archive is cut off or damaged at byte 20480",
    ):
        take({"uri": f"s3://{BUCKET}/pics.tar"})


@pytest.mark.parametrize(
    "key", ["a//b.jpg", "./b.jpg", "a/../b.jpg", "a%20b.jpg", "a+b c.jpg", "~b.jpg"]
)
def test_every_key_that_s3_allows_is_read(server: S3Server, key: str) -> None:
    server.put({f"set/{key}": b"0123456789", "set/z": b""})
    place = s3_place(f"s3://{BUCKET}/set", Settings(s3_endpoint_url=server.url))
    by_size = {one.size_bytes: one for one in place.list()}

    assert place.read(by_size[10]) == b"0123456789"
    assert place.read_part(by_size[10], start=3, size_bytes=4) == b"3456"
    assert place.read(by_size[0]) == b""


def test_keys_that_climb_or_end_in_a_slash_are_refused_by_name(
    server: S3Server, take: Callable[..., Taken]
) -> None:
    files = images(10)
    odd = {"../b.jpg": b"1", "/c.jpg": b"2", "0/full.jpg/": b"3", "0/empty/": b"", "0//d.jpg": b"4"}
    server.put(files | odd, "set/")

    members = take({"uri": f"s3://{BUCKET}/set"}).members

    refused = members["refusal"].dropna()
    assert sorted(refused.index) == ["pics/../b.jpg", "pics//c.jpg", "pics/0/full.jpg/"]
    assert set(refused) == {"tar_unsafe_member"}
    assert len(members) == 10 + 4, "only the marker of an empty folder is no object"


def test_a_survey_looks_into_archives_on_s3_without_fetching_them(
    server: S3Server, tmp_path: Path
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (90, 70)).save(file, "PNG")
    files = {f"{label}/{n}.png": file.getvalue() for label in ("cat", "dog") for n in range(20)}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    server.put(
        {
            "a/pics.tar": tar_of(tmp_path / "pics.tar", files).read_bytes(),
            "b/pics.zip": packed.getvalue(),
        }
    )

    for uri, kind in (
        (f"s3://{BUCKET}/a/pics.tar", "S3 archive"),
        (f"s3://{BUCKET}/b", "S3 prefix of 1 archives"),
    ):
        found = survey(uri, Settings(s3_endpoint_url=server.url), root=tmp_path)
        assert (found.kind, found.n_images, found.short_side_px, len(found.classes)) == (
            kind,
            40,
            70,
            2,
        )
