"""Zip archives made to harm: directories that lie, members that share bytes, entries without a name."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest

from pipeline_lib.errors import ArchiveDamaged, BadData
from pipeline_lib.settings import Settings
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey.contents import look_into
from testing.sources import Take
from tests.unit.shards.zips import deflated_zip


def test_init_names_the_damaged_member_of_a_zip(tmp_path: Path) -> None:
    data = bytearray(deflated_zip(tmp_path / "pics.zip", "a/x.jpg", 5000).read_bytes())
    data[2] ^= 0xFF  # the signature of its local header
    (tmp_path / "pics.zip").write_bytes(bytes(data))
    seen = look_into(place_of("pics.zip", Settings(), root=tmp_path), lambda _: None).files

    with pytest.raises(
        ArchiveDamaged, match=r"pics\.zip: the zip archive is damaged at byte 0, member a/ok\.jpg"
    ):
        _ = [one.first(100) for one in seen if one.first]


def test_a_member_of_a_zip_without_a_name_is_refused(take: Take, tmp_path: Path) -> None:
    """Python's own is_dir() fails at it."""
    (tmp_path / "pics.zip").write_bytes(raw_zip(b"", file_size=4))

    with pytest.raises(BadData, match=r"holds no image \(found: tar_unsafe_member: 1\)"):
        take({"uri": "pics.zip"})


def changed_zip(
    path: Path, changes: dict[int, bytes], *, method: int = zipfile.ZIP_DEFLATED
) -> None:
    """A zip of one image with fields of its entry in the directory overwritten: offset in the entry -> bytes."""
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a/x.jpg", b"data" * 1000)
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2")
    for at, value in changes.items():
        data[entry + at : entry + at + len(value)] = value
    path.write_bytes(bytes(data))


@pytest.mark.parametrize(
    ("changes", "method", "message"),
    [
        (
            {24: b"\xe8\x03\0\0"},
            zipfile.ZIP_DEFLATED,
            "damaged at byte 0, member a/x.jpg",
        ),  # 1,000 of 4,000 bytes
        ({24: b"\x88\x13\0\0"}, zipfile.ZIP_DEFLATED, "damaged at byte 0, member a/x.jpg"),  # 5,000
        ({24: b"\xe8\x03\0\0"}, zipfile.ZIP_STORED, "stored, yet 4000 bytes hold 1000"),
        ({20: b"\xff\xff\xff\x7f"}, zipfile.ZIP_DEFLATED, "its data go beyond the end of the file"),
        ({10: b"\x63\0"}, zipfile.ZIP_DEFLATED, "member a/x.jpg"),  # method 99
        ({6: b"\xff\0"}, zipfile.ZIP_DEFLATED, "damaged at its directory.*zip file version"),
        ({42: b"\xff\xff\xff\x7f"}, zipfile.ZIP_DEFLATED, "no local header there"),
    ],
)
def test_a_zip_whose_directory_lies_stops_the_run(
    take: Take, tmp_path: Path, changes: dict[int, bytes], method: int, message: str
) -> None:
    changed_zip(tmp_path / "pics.zip", changes, method=method)

    with pytest.raises(ArchiveDamaged, match=message):
        take({"uri": "pics.zip"})


def raw_zip(name: bytes, *, file_size: int, extra: bytes = b"") -> bytes:
    """A zip of four deflated bytes, whose directory may claim another size (APPNOTE.TXT 4.3)."""
    data, crc = zlib.compress(b"data", wbits=-15), zlib.crc32(b"data")
    local = (
        struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0, 8, 0, 0, crc, len(data), 4, len(name), 0)
        + name
        + data
    )
    sizes = (len(data), file_size, len(name), len(extra))
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0, 8, 0, 0, crc, *sizes, 0, 0, 0, 0, 0)
    directory = entry + name + extra
    return (
        local
        + directory
        + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(directory), len(local), 0)
    )


def test_a_zip64_entry_that_promises_more_than_a_disk_holds_stops_the_run(
    take: Take, tmp_path: Path
) -> None:
    claims = struct.pack("<2HQ", 1, 8, 2**63 + 1)
    (tmp_path / "pics.zip").write_bytes(raw_zip(b"a/x.jpg", file_size=0xFFFFFFFF, extra=claims))

    with pytest.raises(ArchiveDamaged, match=r"it promises 9223372036854775809 bytes"):
        take({"uri": "pics.zip"})


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_members_of_a_zip_that_share_bytes_stop_the_run(
    take: Take, tmp_path: Path, method: int
) -> None:
    """The directory names one stretch of bytes many times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("a/x.jpg", b"data" * 1000)
    data = buffer.getvalue()
    entry_at, end_at = data.index(b"PK\1\2"), data.index(b"PK\5\6")
    entry = data[entry_at:end_at]
    end = bytearray(data[end_at:])
    end[8:12] = struct.pack("<2H", 50, 50)
    end[12:16] = struct.pack("<I", 50 * len(entry))
    (tmp_path / "pics.zip").write_bytes(data[:entry_at] + 50 * entry + bytes(end))

    with pytest.raises(ArchiveDamaged, match="it overlaps the member before it"):
        take({"uri": "pics.zip"})
