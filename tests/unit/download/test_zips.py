"""Zip archives as users have them: stored, deflated, damaged, encrypted, with names of old systems."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest

from pipeline_lib.errors import ArchiveDamaged, BadData
from testing.sources import Take, images


def zip_of(path: Path, files: dict[str, bytes], method: int) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), data, method)
    return path


def test_a_stored_zip_stays_as_received(take: Take, tmp_path: Path) -> None:
    files = images(20)
    archive = zip_of(tmp_path / "pics.zip", files, zipfile.ZIP_STORED)

    taken = take({"uri": "pics.zip"})

    [container] = (taken.folder / "shards").iterdir()
    assert container.read_bytes() == archive.read_bytes()
    assert {name: taken.read(f"pics/{name}") for name in files} == files


def test_a_deflated_zip_is_repacked_into_a_tar(take: Take, tmp_path: Path) -> None:
    files = {**images(20), "notes.txt": b"not an image"}
    zip_of(tmp_path / "pics.zip", files, zipfile.ZIP_DEFLATED)

    taken = take({"uri": "pics.zip"})

    assert all(
        taken.read(f"pics/{name}") == data for name, data in files.items() if name != "notes.txt"
    )
    assert taken.members.loc["pics/notes.txt", "refusal"] == "not_a_picture_name"
    [container] = (taken.folder / "shards").iterdir()
    with tarfile.open(container) as tar:
        assert len(tar.getnames()) == 20


def test_a_damaged_member_of_a_stored_zip_is_found_by_its_checksum(
    take: Take, tmp_path: Path
) -> None:
    archive = zip_of(
        tmp_path / "pics.zip", {"a/x.jpg": b"A" * 1000, "b/y.jpg": b"B" * 1000}, zipfile.ZIP_STORED
    )
    archive.write_bytes(archive.read_bytes().replace(b"A" * 1000, b"A" * 999 + b"C"))

    with pytest.raises(
        ArchiveDamaged, match=r"a member is damaged: its checksum does not match \(found: a/x.jpg"
    ):
        take({"uri": "pics.zip"})


def test_a_damaged_member_of_a_deflated_zip_stops_the_run(take: Take, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "pics.zip", images(5), zipfile.ZIP_DEFLATED)
    data = bytearray(archive.read_bytes())
    data[42] ^= 0xFF  # of the first member: 30 bytes of header and 10 of name come before
    archive.write_bytes(bytes(data))

    with pytest.raises(
        ArchiveDamaged, match=r"the zip archive is damaged at byte 0, member 0/0000.jpg"
    ):
        take({"uri": "pics.zip"})


def test_a_zip_that_is_cut_off_stops_the_run(take: Take, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "pics.zip", images(20), zipfile.ZIP_STORED)
    archive.write_bytes(archive.read_bytes()[:-30])

    with pytest.raises(
        ArchiveDamaged, match="the zip archive is cut off or damaged at its directory"
    ):
        take({"uri": "pics.zip"})


def test_a_zip_whose_local_header_is_overwritten_stops_the_run(take: Take, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "pics.zip", images(5), zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    second = data.index(b"PK\3\4", 1)
    data[second : second + 4] = b"XXXX"
    archive.write_bytes(bytes(data))

    expected = rf"the zip archive is damaged at byte {second}, member 1/0001.jpg \(found: no local header there\)"
    with pytest.raises(ArchiveDamaged, match=expected):
        take({"uri": "pics.zip"})


def test_a_zip_that_promises_more_than_it_holds_stops_the_run(take: Take, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "pics.zip", {"a/x.jpg": b"1"}, zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    entry = data.index(b"PK\1\2")
    data[entry + 24 : entry + 28] = (10**6).to_bytes(4, "little")  # the size, in the directory
    archive.write_bytes(bytes(data))

    with pytest.raises(ArchiveDamaged, match="stored, yet 1 bytes hold 1000000"):
        take({"uri": "pics.zip"})


def test_an_encrypted_zip_says_what_to_do(take: Take, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "pics.zip", {"a/x.jpg": b"1"}, zipfile.ZIP_STORED)
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1  # the flag in the directory
    archive.write_bytes(bytes(data))

    with pytest.raises(
        BadData, match=r"pics.zip: the zip archive is encrypted. Remedy: decrypt it"
    ):
        take({"uri": "pics.zip"})


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_backslashes_of_old_windows_zips_are_folders(
    take: Take, tmp_path: Path, method: int
) -> None:
    zip_of(
        tmp_path / "pics.zip",
        {"cat\\1.jpg": b"1" * 300, "dog\\2.jpg": b"2" * 300, "dog\\": b""},
        method,
    )

    members = take({"uri": "pics.zip"}).members

    assert members["label_received"].to_dict() == {"pics/cat/1.jpg": "cat", "pics/dog/2.jpg": "dog"}


def test_a_backslash_beside_slashes_is_a_letter(take: Take, tmp_path: Path) -> None:
    zip_of(
        tmp_path / "pics.zip",
        {"cat/1\\2.jpg": b"1" * 300, "dog/2.jpg": b"2" * 300},
        zipfile.ZIP_STORED,
    )

    assert "pics/cat/1\\2.jpg" in take({"uri": "pics.zip"}).members.index


def test_names_of_macos_zips_are_utf_8_without_the_flag(take: Take, tmp_path: Path) -> None:
    files = {"cafe\u0301/1.jpg": b"1" * 300, "tea/2.jpg": b"2" * 300}
    archive = zip_of(tmp_path / "pics.zip", files, zipfile.ZIP_STORED)
    data = archive.read_bytes()
    for signature in (b"PK\3\4\x14\0", b"PK\1\2\x14\3\x14\0"):
        assert signature + b"\0\x08" in data
        data = data.replace(signature + b"\0\x08", signature + b"\0\0")
    archive.write_bytes(data)

    assert set(take({"uri": "pics.zip"}).members["label_received"]) == {"caf\u00e9", "tea"}


@pytest.mark.parametrize(("method", "named"), [(9, "Deflate64"), (93, "Zstandard"), (98, "PPMd")])
def test_a_zip_compressed_by_another_method_says_what_to_do(
    take: Take, tmp_path: Path, method: int, named: str
) -> None:
    """Windows packs larger files by Deflate64: the archive is whole, and fetching it again would not help."""
    archive = zip_of(tmp_path / "pics.zip", {"a/x.jpg": b"1"}, zipfile.ZIP_DEFLATED)
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\1\2") + 10] = method
    archive.write_bytes(bytes(data))

    message = rf"method that is not read \(found: {named} \({method}\), member a/x.jpg\).*7z x"
    with pytest.raises(BadData, match=message) as raised:
        take({"uri": "pics.zip"})
    assert not isinstance(raised.value, ArchiveDamaged)
