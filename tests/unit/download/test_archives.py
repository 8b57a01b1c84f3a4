"""Tar archives as users have them: whole, hostile, damaged, compressed, nested; several in a folder."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from pipeline_lib.errors import ArchiveDamaged, BadData
from pipeline_lib.settings import Settings
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey.contents import look_into
from testing.sources import Take, images, tar_of


def test_members_of_a_tar_are_read_where_they_lie(take: Take, tmp_path: Path) -> None:
    files = images(30)
    archive = tar_of(tmp_path / "pics.tar", files)

    taken = take({"uri": "pics.tar"})

    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive.read_bytes()
    assert {name: taken.read(f"pics/{name}") for name in files} == files
    assert taken.members["shard"].nunique() > 1
    assert container.stat().st_ino != archive.stat().st_ino


def test_hostile_members_are_refused_one_by_one_and_nothing_is_written_outside(
    take: Take, tmp_path: Path
) -> None:
    with tarfile.open(tmp_path / "pics.tar", "w") as tar:
        for name in (
            "a/ok.jpg",
            "/abs.jpg",
            "../up.jpg",
            "a/._x.jpg",
            "a/.DS_Store",
            "a/notes.txt",
            "a/ok.jpg",
        ):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"data"))
        for name, kind in (
            ("a/sym.jpg", tarfile.SYMTYPE),
            ("a/hard.jpg", tarfile.LNKTYPE),
            ("a/dev.jpg", tarfile.CHRTYPE),
            ("a/fifo.jpg", tarfile.FIFOTYPE),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            tar.addfile(info)
        folder = tarfile.TarInfo("b")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
    before = set(tmp_path.rglob("*"))

    members = take({"uri": "pics.tar"}).members

    assert members["refusal"].fillna("").to_dict() == {
        "pics/a/ok.jpg": "",
        "pics/a/ok.jpg#2": "name_collision",
        "pics//abs.jpg": "tar_unsafe_member",
        "pics/../up.jpg": "tar_unsafe_member",
        "pics/a/sym.jpg": "tar_unsafe_member",
        "pics/a/hard.jpg": "tar_unsafe_member",
        "pics/a/dev.jpg": "tar_unsafe_member",
        "pics/a/fifo.jpg": "tar_unsafe_member",
        "pics/a/._x.jpg": "ignored_system_file",
        "pics/a/.DS_Store": "ignored_system_file",
        "pics/a/notes.txt": "not_a_picture_name",
    }
    written = {path.relative_to(tmp_path).parts[0] for path in set(tmp_path.rglob("*")) - before}
    assert written <= {"out", ".perennial", "listing.parquet", "sources.json", "params.yaml"}


def test_a_name_that_is_not_utf8_is_kept_percent_encoded(take: Take, tmp_path: Path) -> None:
    tar_of(tmp_path / "pics.tar", {"a/caf\udce9.jpg": b"1", "b/x.jpg": b"2"})

    assert take({"uri": "pics.tar"}).read("pics/a/caf%E9.jpg") == b"1"


@pytest.mark.parametrize("blocks", [2, 20, 41])
def test_a_tar_cut_at_a_member_boundary_stops_the_run(
    take: Take, tmp_path: Path, blocks: int
) -> None:
    """Python's tarfile reads such an archive to its end without a word: each member takes two blocks here."""
    archive = tar_of(tmp_path / "pics.tar", images(40))
    archive.write_bytes(archive.read_bytes()[: blocks * 512])

    with pytest.raises(
        ArchiveDamaged,
        match=r"pics.tar: the tar archive is cut off or damaged at byte .*Remedy: fetch",
    ):
        take({"uri": "pics.tar"})


def test_a_flipped_bit_in_a_header_stops_the_run_and_names_the_byte(
    take: Take, tmp_path: Path
) -> None:
    archive = tar_of(tmp_path / "pics.tar", images(40))
    data = bytearray(archive.read_bytes())
    data[20 * 1024 + 3] ^= 1
    archive.write_bytes(bytes(data))

    with pytest.raises(
        ArchiveDamaged, match=r"damaged at byte 20480 \(found: a member's header is broken\)"
    ):
        take({"uri": "pics.tar"})


def test_a_block_of_zeros_inside_does_not_end_a_tar_silently(take: Take, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "pics.tar", images(40))
    data = bytearray(archive.read_bytes())
    data[20 * 1024 : 20 * 1024 + 512] = bytes(512)
    archive.write_bytes(bytes(data))

    with pytest.raises(ArchiveDamaged, match="damaged at byte 20480"):
        take({"uri": "pics.tar"})


def test_a_tar_cut_within_a_member_stops_the_run(take: Take, tmp_path: Path) -> None:
    archive = tar_of(tmp_path / "pics.tar", {"a/x.jpg": bytes(5000)})
    archive.write_bytes(archive.read_bytes()[:3000])

    with pytest.raises(ArchiveDamaged, match="its last member ends at byte 5512 of 3000"):
        take({"uri": "pics.tar"})


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("pics.tar", b"<html>sign in to download</html>" * 40, "html, which begins: <html>sign in"),
        ("pics.zip", b"<!DOCTYPE html>", "html"),
        ("pics.tar.gz", b'{"error": "expired"}', "json"),
        (
            "pics.tar",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:",
            "text, which begins",
        ),
        ("pics.tar", b"\xff\xd8\xff" + bytes(2000), "jpeg"),
        ("pics.tgz", gzip.compress(b"PK\3\4" + bytes(2000)), "zip"),
    ],
)
def test_what_is_no_archive_is_named_for_what_it_is_and_leaves_nothing(
    take: Take, tmp_path: Path, name: str, data: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(data)

    with pytest.raises(BadData, match=rf"{name}: not an archive, .*\(found: {kind}.*Git LFS"):
        take({"uri": name})

    assert not list((tmp_path / ".perennial" / "unfinished").iterdir())
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_compressed_tar_becomes_one_plain_tar(take: Take, tmp_path: Path, ending: str) -> None:
    files = images(20)
    tar_of(tmp_path / f"pics.{ending}", files, mode=f"w:{ending[4:]}")

    taken = take({"uri": f"pics.{ending}"})

    assert {name: taken.read(f"pics/{name}") for name in files} == files
    assert [file.suffix for file in (taken.folder / "shards").iterdir()] == [".tar"]


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz"])
def test_a_compressed_tar_that_is_cut_off_stops_the_run(
    take: Take, tmp_path: Path, ending: str
) -> None:
    archive = tar_of(tmp_path / f"pics.{ending}", images(20), mode=f"w:{ending[4:]}")
    archive.write_bytes(archive.read_bytes()[:-40])

    with pytest.raises(
        ArchiveDamaged, match="the compressed archive is cut off or damaged after .* unpacked bytes"
    ):
        take({"uri": archive.name})


@pytest.mark.parametrize(
    ("name", "magic", "kind"),
    [
        ("pics.7z", b"7z\xbc\xaf\x27\x1c", "7z"),
        ("pics.rar", b"Rar!\x1a\x07\x01\x00", "RAR"),
        ("pics.tar.zst", b"\x28\xb5\x2f\xfd", "Zstandard"),
        ("pics.zip", b"Rar!\x1a\x07\x01\x00", "RAR"),
        ("pics.tar", b"7z\xbc\xaf\x27\x1c", "7z"),
        ("pics.TAR.lz4", b"\x04\x22\x4d\x18", "LZ4"),
        ("pics.tar", b"LZIP", "lzip"),
        ("pics.zip.001", b"PK\3\4", "split"),
    ],
)
def test_an_archive_of_another_format_is_named_for_what_it_is(
    take: Take, tmp_path: Path, name: str, magic: bytes, kind: str
) -> None:
    (tmp_path / name).write_bytes(magic + bytes(600))
    message = rf"{name}: {kind} archives are not read. Remedy: unpack it and name the folder"

    with pytest.raises(BadData, match=message):
        take({"uri": name})
    with pytest.raises(BadData, match=message):
        look_into(place_of(name, Settings(), root=tmp_path), lambda _: None)


def test_archives_of_other_formats_in_a_folder_are_told(
    take: Take, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a/1.jpg", "b/2.jpg", "more.7z", "rest.zip.001"):
        (tmp_path / "pics" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pics" / name).write_bytes(b"1")

    take({"uri": "pics"})

    said = (
        "2 archives of formats that are not read are left out: more.7z, rest.zip.001; unpack them"
    )
    assert said in caplog.text


def test_a_tar_of_tars_is_read_by_offset_with_the_inner_name_as_class(
    take: Take, tmp_path: Path
) -> None:
    """As ImageNet's train archive: <wnid>.tar inside, each with its images."""
    inner = {
        wnid: tar_of(
            tmp_path / "in" / f"{wnid}.tar", {f"{wnid}_{n}.JPEG": wnid.encode() * n for n in (1, 2)}
        )
        for wnid in ("n01", "n02")
    }
    archive = tar_of(
        tmp_path / "train.tar", {f"{wnid}.tar": path.read_bytes() for wnid, path in inner.items()}
    )

    taken = take({"uri": archive.name})

    assert taken.read("pics/n02/n02_2.JPEG") == b"n02n02"
    assert taken.members["label_received"].to_dict() == {
        f"pics/{wnid}/{wnid}_{n}.JPEG": wnid for wnid in inner for n in (1, 2)
    }


def test_an_inner_tar_that_is_cut_off_does_not_run_on_into_its_neighbour(
    take: Take, tmp_path: Path
) -> None:
    inner = tar_of(tmp_path / "in" / "n01.tar", {"a.JPEG": b"1", "b.JPEG": b"2"}).read_bytes()
    tar_of(tmp_path / "train.tar", {"n01.tar": inner[:2048], "n02.tar": inner})

    with pytest.raises(ArchiveDamaged, match=r"train.tar:n01.tar: the tar archive is cut off"):
        take({"uri": "train.tar"})


def test_archives_of_a_folder_keep_their_names_apart(take: Take, tmp_path: Path) -> None:
    for wnid in ("n01", "n02"):
        tar_of(tmp_path / "pics" / f"{wnid}.tar", {"same.jpg": wnid.encode()})

    taken = take({"uri": "pics"})

    assert taken.read("pics/n01/same.jpg") == b"n01"
    assert taken.members["label_received"].to_dict() == {
        "pics/n01/same.jpg": "n01",
        "pics/n02/same.jpg": "n02",
    }


def test_an_archive_beside_its_own_unpacked_folder_is_refused(take: Take, tmp_path: Path) -> None:
    tar_of(tmp_path / "pics" / "cats.tar", {"x.jpg": b"1"})
    (tmp_path / "pics" / "cats").mkdir()
    (tmp_path / "pics" / "cats" / "x.jpg").write_bytes(b"1")

    with pytest.raises(BadData, match="cats.tar and cats/x.jpg would give images the same names"):
        take({"uri": "pics"})


def test_two_archives_of_one_stem_are_refused(take: Take, tmp_path: Path) -> None:
    tar_of(tmp_path / "pics" / "cats.tar", {"x.jpg": b"1"})
    tar_of(tmp_path / "pics" / "cats.tar.gz", {"x.jpg": b"1"}, mode="w:gz")

    with pytest.raises(
        BadData,
        match=r"cats.tar.gz and cats.tar would give images the same names .*Remedy: remove one",
    ):
        take({"uri": "pics"})


def test_a_change_in_an_archive_keeps_the_shards_before_and_after_it(
    take: Take, tmp_path: Path
) -> None:
    files = images(200)
    tar_of(tmp_path / "pics.tar", files)
    before = take({"uri": "pics.tar"}).members
    gone = "0/0100.jpg"
    tar_of(tmp_path / "pics.tar", {name: data for name, data in files.items() if name != gone})

    after = take({"uri": "pics.tar"}).members

    order = list(dict.fromkeys(before.loc[[f"pics/{name}" for name in files], "shard"]))
    home = order.index(before.loc[f"pics/{gone}", "shard"])
    assert len(order) >= 8
    assert set(order) - set(after["shard"]) <= {order[home], *order[home + 1 : home + 2]}
