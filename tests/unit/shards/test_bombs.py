"""Archives that would never end, or fill memory or disk: each attack, and its refusal."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.errors import ArchiveDamaged, BadData
from pipeline_lib.settings import Settings
from pipeline_lib.shards import limits
from pipeline_lib.shards.tar_headers import TarMember, read_members
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey.contents import look_into
from testing.sources import SMALL_SHARDS, Take, tar_of

END = bytes(1024)
TIGHT = SMALL_SHARDS.model_copy(
    update={"max_file_bytes": 1_000_000, "max_unpacked_bytes": 3_000_000}
)


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


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "zip", "folder"])
def test_a_file_over_the_limit_is_refused_by_name_and_never_read(
    take: Take, tmp_path: Path, ending: str
) -> None:
    files = {"a/big.jpg": bytes(1_000_001), "a/ok.jpg": b"data", "a/most.jpg": bytes(1_000_000)}
    if ending == "zip":
        with zipfile.ZipFile(tmp_path / "pics.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    elif ending == "folder":
        for name, data in files.items():
            (tmp_path / "pics.folder" / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "pics.folder" / name).write_bytes(data)
    else:
        tar_of(tmp_path / f"pics.{ending}", files, mode="w:gz" if ending == "tar.gz" else "w")

    taken = take({"uri": f"pics.{ending}"}, params=TIGHT)

    assert taken.members["refusal"].dropna().to_dict() == {"pics/a/big.jpg": "file_too_large"}
    assert taken.members.loc["pics/a/big.jpg", "size_bytes"] == 1_000_001
    assert taken.read("pics/a/most.jpg") == files["a/most.jpg"]


def test_an_inner_tar_over_the_limit_is_no_file_and_is_walked(take: Take, tmp_path: Path) -> None:
    inner = tar_of(tmp_path / "in" / "n01.tar", {f"{n}.JPEG": bytes(400_000) for n in range(4)})
    tar_of(tmp_path / "train.tar", {"n01.tar": inner.read_bytes()})

    assert take({"uri": "train.tar"}, params=TIGHT).members["refusal"].isna().all()


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


def deflated_zip(path: Path, name: str, size_bytes: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/ok.jpg", b"data" * 100)
        archive.writestr(name, bytes(size_bytes))
    return path


@pytest.mark.parametrize("ending", ["tar.gz", "tar.bz2", "tar.xz", "zip"])
def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused_with_the_key_to_raise(
    take: Take, tmp_path: Path, ending: str
) -> None:
    files = {f"a/{n}.jpg": bytes(900_000) for n in range(4)}
    if ending == "zip":
        with zipfile.ZipFile(tmp_path / "pics.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        tar_of(tmp_path / f"pics.{ending}", files, mode=f"w:{ending[4:]}")

    expected = (
        r"unpacks to more than 3000000 bytes.*raise download\.max_unpacked_bytes in params\.yaml"
    )
    with pytest.raises(BadData, match=expected):
        take({"uri": f"pics.{ending}"}, params=TIGHT)

    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


@pytest.mark.parametrize("ending", ["tar.gz", "zip"])
def test_an_archive_that_unpacks_to_200_times_its_size_is_refused(
    take: Take, tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SMALL_BYTES", 1_000_000)
    if ending == "zip":
        deflated_zip(tmp_path / "pics.zip", "a/x.jpg", 2_000_000)
    else:
        tar_of(tmp_path / "pics.tar.gz", {"a/x.jpg": bytes(2_000_000)}, mode="w:gz")

    with pytest.raises(
        BadData, match=r"more than 200 times its size.*raise download\.max_unpacked_ratio in params"
    ):
        take({"uri": f"pics.{ending}"})

    assert (
        take(
            {"uri": f"pics.{ending}"}, params=DownloadParams(max_unpacked_ratio=1100)
        ).members.shape[0]
        <= 2
    )


def test_a_deflated_member_is_never_whole_in_memory(take: Take, tmp_path: Path) -> None:
    deflated_zip(tmp_path / "pics.zip", "a/x.jpg", 200_000_000)

    peak = peak_bytes(lambda: take({"uri": "pics.zip"}, params=DownloadParams()))

    assert peak < 80_000_000


def peak_bytes(work: Callable[[], object]) -> int:
    import tracemalloc

    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


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
