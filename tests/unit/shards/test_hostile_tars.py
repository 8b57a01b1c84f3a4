"""Tar archives made to harm: headers with false sizes, sparse members, endless names; tarfile as the oracle."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
from pathlib import Path

import pytest

from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.settings import Settings
from pipeline_lib.shards.tar_headers import TarMember, read_members
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey.contents import look_into
from testing.sources import Take, tar_of

END = bytes(1024)


def header(name: bytes, kind: bytes, size: bytes, *, magic: bytes = b"ustar\x0000") -> bytes:
    """A header with any size field, and its true checksum."""
    block = bytearray(
        struct.pack(
            "100s8s8s8s12s12s8sc100s8s247x",
            name,
            *3 * [b"0000644\0"],
            size,
            *2 * [b""],
            kind,
            b"",
            magic,
        )
    )
    block[148:156] = b"%06o\0 " % (256 + sum(block[:148]) + sum(block[156:]))
    return bytes(block)


def octal(size: int) -> bytes:
    return b"%011o\0" % size


def pax(records: bytes, kind: bytes = b"x") -> bytes:
    return header(b"pax", kind, octal(len(records))) + records + bytes(-len(records) % 512)


def record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    length += len(str(length + len(str(length))))
    return b"%d %s=%s\n" % (length, key, value)


IMAGE = header(b"a/ok.jpg", b"0", octal(4)) + b"data" + bytes(508)
EMPTY_IMAGE = header(b"a/x.jpg", b"0", octal(0))
HOSTILE_TARS = {
    "a negative pax size (CVE-2025-8194)": (
        IMAGE + pax(record(b"size", b"-1048576")) + EMPTY_IMAGE,
        "size in a pax",
    ),
    "a pax size of -512": (
        IMAGE + pax(record(b"size", b"-512")) + EMPTY_IMAGE,
        "size in a pax header",
    ),
    "a pax size that is no number": (
        pax(record(b"size", b"1e3")) + EMPTY_IMAGE,
        "size in a pax header",
    ),
    "a negative size in octal": (
        IMAGE + header(b"a/x.jpg", b"0", b"-0000001000\0"),
        "the size in a member's header",
    ),
    "a negative size to the base 256": (
        IMAGE + header(b"a/x.jpg", b"0", b"\xff" * 12),
        "the size in a member's",
    ),
    "a huge size to the base 256": (
        IMAGE + header(b"a/x.jpg", b"0", b"\x80" + b"\xff" * 11),
        "its last member ends",
    ),
    "a pax header that claims 8 GB": (
        header(b"pax", b"x", octal(2**33 - 1)) + EMPTY_IMAGE,
        "extended headers of more",
    ),
    "a long name that claims 8 GB": (
        header(b"@", b"L", octal(2**33 - 1)) + EMPTY_IMAGE,
        "extended headers of more",
    ),
    "long names without end": (
        3000 * (header(b"@", b"L", octal(2)) + b"x\0" + bytes(510)),
        "extended headers of more",
    ),
    "pax records for all without end": (
        pax(record(b"a", b"b"), b"g") * 3000,
        "extended headers of more",
    ),
    "a pax record that is longer than its header": (
        pax(b"99 path=x\n") + EMPTY_IMAGE,
        "a pax record is broken",
    ),
    "a pax record of length 0": (pax(b"0 path=x\n") + EMPTY_IMAGE, "a pax record is broken"),
    "a pax record of endless digits": (pax(b"1" * 100_000) + EMPTY_IMAGE, "a pax record is broken"),
    "a pax header and no member": (IMAGE + pax(record(b"path", b"a/x.jpg")), "no member follows"),
    "a sparse map without end": (
        IMAGE
        + header(b"a/x.jpg", b"S", octal(0))[:482]
        + b"\1"
        + bytes(29)
        + (bytes(504) + b"\1" + bytes(7)) * 40,
        "a member's header is broken|without the closing block",
    ),
}


@pytest.mark.parametrize("attack", HOSTILE_TARS)
@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_hostile_tar_header_stops_the_run_and_names_the_byte(
    take: Take, tmp_path: Path, attack: str, ending: str
) -> None:
    tar, message = HOSTILE_TARS[attack]
    data = tar + END
    (tmp_path / f"pics.{ending}").write_bytes(data if ending == "tar" else gzip.compress(data))

    with pytest.raises(
        ArchiveDamaged,
        match=rf"pics\.{ending}: the tar archive is cut off or damaged at byte \d+ .*{message}",
    ):
        take({"uri": f"pics.{ending}"})

    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.tar"))


@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_init_looks_into_a_hostile_tar_and_stops(tmp_path: Path, ending: str) -> None:
    data = IMAGE + pax(record(b"size", b"-1048576")) + EMPTY_IMAGE + END
    (tmp_path / f"pics.{ending}").write_bytes(data if ending == "tar" else gzip.compress(data))

    with pytest.raises(
        ArchiveDamaged, match="the size in a pax header is not a number of 0 or more"
    ):
        look_into(place_of(f"pics.{ending}", Settings(), root=tmp_path), lambda _: None)


def test_sparse_members_are_refused_one_by_one(take: Take, tmp_path: Path) -> None:
    old = bytearray(header(b"a/old.jpg", b"S", octal(4), magic=b"ustar  \0"))
    old[482] = 1  # a further block of the map follows
    old[148:156] = b"%06o\0 " % (256 + sum(old[:148]) + sum(old[156:]))
    data = b"data" + bytes(508)
    new = pax(record(b"GNU.sparse.major", b"1") + record(b"GNU.sparse.name", b"a/new.jpg"))
    (tmp_path / "pics.tar").write_bytes(
        IMAGE
        + bytes(old)
        + bytes(512)
        + data
        + new
        + header(b"a/GNUSparse.0/new.jpg", b"0", octal(4))
        + data
        + END
    )

    members = take({"uri": "pics.tar"}).members

    assert members["refusal"].fillna("").to_dict() == {
        "pics/a/ok.jpg": "",
        "pics/a/old.jpg": "tar_unsafe_member",
        "pics/a/new.jpg": "tar_unsafe_member",
    }


NAMES = [
    b"a.jpg",
    b"b/" * 40 + b"c.jpg",
    b"d/" * 120 + b"e.jpg",
    "ü/é.jpg".encode(),
    b"\xff\xfe.jpg",
    b"x" * 5000 + b".jpg",
]


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_our_reader_finds_what_pythons_finds(kind: int) -> None:
    """tarfile as the oracle, on what it writes itself: long names, links, folders, large and old headers."""
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=kind, encoding="utf-8", errors="surrogateescape"
    ) as tar:
        for name in NAMES if kind != tarfile.USTAR_FORMAT else NAMES[:2]:
            info = tarfile.TarInfo(name.decode("utf-8", "surrogateescape"))
            info.size = len(name)
            info.pax_headers = {"SCHILY.xattr.user.note": "=\n" * 9}
            tar.addfile(info, io.BytesIO(name))
        for other, type_ in (
            ("dir/", tarfile.DIRTYPE),
            ("link", tarfile.SYMTYPE),
            ("hard", tarfile.LNKTYPE),
        ):
            info = tarfile.TarInfo(other)
            info.type, info.linkname = type_, "t" * (90 if kind == tarfile.USTAR_FORMAT else 300)
            tar.addfile(info)
    size_bytes = len(buffer.getvalue())

    ours = list(read_members(buffer, start=0, end=size_bytes))

    buffer.seek(0)
    with tarfile.open(fileobj=buffer, encoding="utf-8", errors="surrogateescape") as tar:
        theirs = [
            TarMember(
                info.name.encode("utf-8", "surrogateescape"),
                info.offset_data,
                info.size,
                info.isreg(),
                info.isdir(),
            )
            for info in tar
        ]
    assert [
        (m.name.rstrip(b"/"), m.offset_bytes, m.size_bytes, m.is_file, m.is_folder) for m in ours
    ] == [(m.name, m.offset_bytes, m.size_bytes, m.is_file, m.is_folder) for m in theirs]


def test_a_tar_in_a_tar_in_a_tar_is_not_walked(take: Take, tmp_path: Path) -> None:
    inmost = tar_of(tmp_path / "in" / "c.tar", {"c.jpg": b"1"}).read_bytes()
    inner = tar_of(tmp_path / "in" / "b.tar", {"c.tar": inmost, "b.jpg": b"2"}).read_bytes()
    tar_of(tmp_path / "a.tar", {"b.tar": inner, "z.tar.gz": gzip.compress(inner)})

    members = take({"uri": "a.tar"}).members

    assert members["refusal"].fillna("").to_dict() == {
        "pics/b/c.tar": "not_a_picture_name",
        "pics/b/b.jpg": "",
        "pics/z.tar.gz": "not_a_picture_name",
    }
