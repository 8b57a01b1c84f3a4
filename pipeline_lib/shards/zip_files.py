"""Read the directory of a zip strictly. Stored members can be read by offset; compressed ones must be repacked."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline_lib.errors import ArchiveDamaged, BadData
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.found import Found
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.names import encode_name
from pipeline_lib.shards.tar_files import CHUNK_BYTES, REMEDY, write_end, write_member_of

LOCAL_HEADER = struct.Struct("<4s22xHH")  # APPNOTE.TXT 4.3.7: signature, ..., lengths of name and extra field
ENCRYPTED = 0x1 | 0x40 | 0x2000  # APPNOTE.TXT 4.4.4: members, by strong encryption, the directory
MOST_BYTES = 1 << 62  # a zip64 field may claim four times that, which no table can hold
# zipfile asks bzip2 and LZMA for all that the read bytes unpack to: few bytes at a time keep that below 100 MB
CAREFUL_BYTES = 4096
# What zipfile raises for damaged data; NotImplementedError: a compression method that it does not know.
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError, NotImplementedError)


def is_stored_zip(path: Path, *, name: str) -> bool:
    """Whether every member is stored uncompressed, so that the zip can stay as received."""
    with open_zip(path, name=name) as archive:
        return all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def walk_zip(file: BinaryIO, *, name: str, size_bytes: int) -> list[Found]:
    """Every member of a stored zip that is no folder, in the order of its bytes. Raises ArchiveDamaged."""
    found = []
    with open_zip(file, name=name) as archive:
        for info, offset in _members(file, archive, name=name, size_bytes=size_bytes):
            if info.file_size != info.compress_size:
                raise _damaged(name, info, f"stored, yet {info.compress_size} bytes hold {info.file_size}")
            is_special = _is_special(info)
            fault = Reason.TAR_UNSAFE_MEMBER if is_special else None
            found.append(Found(_stored_name(info), -1 if is_special else offset, info.file_size, fault, info.CRC))
    return found


def repack_zip(path: Path, target: BinaryIO, *, name: str, limits: ArchiveLimits) -> list[Found]:
    """Write the images of a compressed zip into a tar, once; what is refused is listed and not written.

    Raises ArchiveDamaged when a member does not decompress to what the directory promises; BadData, before a byte is
    written, when it promises too much.
    """
    size_bytes = path.stat().st_size
    found = []
    with path.open("rb") as file, open_zip(file, name=name) as archive:
        members = [info for info, _ in _members(file, archive, name=name, size_bytes=size_bytes)]
        listed = [(info, _listed(info)) for info in members]
        taken = [info for info, one in listed if one.refusal(limits.max_file_bytes) is None]
        limits.refuse_bomb(sum(info.file_size for info in taken), received_bytes=size_bytes, name=name)
        for info, one in listed:
            if one.refusal(limits.max_file_bytes):
                found.append(one)
                continue
            offset = write_member_of(target, one.name, info.file_size, _chunks(archive, info, name=name))
            found.append(Found(one.name, offset, info.file_size))
    write_end(target)
    return found


def open_zip(file: Path | BinaryIO, *, name: str) -> zipfile.ZipFile:
    """The directory of a zip. Raises ArchiveDamaged; BadData when it is encrypted."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, struct.error, ValueError, EOFError, NotImplementedError) as error:
        raise ArchiveDamaged(
            "the zip archive is cut off or damaged at its directory", file=name, value=str(error), remedy=REMEDY
        ) from error
    if any(info.flag_bits & ENCRYPTED for info in archive.infolist()):
        archive.close()
        raise BadData("the zip archive is encrypted", file=name, remedy="decrypt it and name the plain archive")
    return archive


def member_start(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size_bytes: int, *, name: str) -> bytes:
    """The first bytes of a member, unpacked. Raises ArchiveDamaged."""
    start = bytearray()
    for chunk in _chunks(archive, info, name=name):
        start += chunk
        if len(start) >= size_bytes:
            break
    return bytes(start[:size_bytes])


def _members(
    file: BinaryIO, archive: zipfile.ZipFile, *, name: str, size_bytes: int
) -> Iterator[tuple[zipfile.ZipInfo, int]]:
    """Every member that is no folder, in the order of the bytes, with the offset of its data. Raises ArchiveDamaged.

    No two may share bytes: a small zip whose members overlap unpacks to terabytes at any ratio (Fifield, "A better zip
    bomb", 2019; CVE-2024-0450).
    """
    behind = 0
    for info in sorted(archive.infolist(), key=lambda info: info.header_offset):
        if info.header_offset < behind:
            raise _damaged(name, info, "it overlaps the member before it")
        file.seek(info.header_offset)
        header = file.read(LOCAL_HEADER.size)
        if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
            raise _damaged(name, info, "no local header there")
        _, name_bytes, extra_bytes = LOCAL_HEADER.unpack(header)
        offset = info.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes
        behind = offset + info.compress_size
        if behind > size_bytes:
            raise _damaged(name, info, "its data go beyond the end of the file")
        if info.file_size > MOST_BYTES:
            raise _damaged(name, info, f"it promises {info.file_size} bytes")
        if not info.filename.endswith("/"):  # a folder; Python's `is_dir` fails at an empty name
            yield info, offset


def _listed(info: zipfile.ZipInfo) -> Found:
    return Found(_stored_name(info), -1, info.file_size, Reason.TAR_UNSAFE_MEMBER if _is_special(info) else None)


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, name: str) -> Iterator[bytes]:
    """The unpacked bytes of a member, as many as promised and with its checksum. Raises ArchiveDamaged."""
    is_bounded = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    left = info.file_size
    try:
        with archive.open(info) as member:
            while chunk := member.read(CHUNK_BYTES if is_bounded else CAREFUL_BYTES):
                left -= len(chunk)
                yield chunk
    except UNREADABLE as error:
        raise _damaged(name, info, str(error)) from error
    if left:
        raise _damaged(name, info, f"{left} of {info.file_size} bytes are absent")


def _stored_name(info: zipfile.ZipInfo) -> str:
    return encode_name(info.filename.encode("utf-8", "surrogateescape")).removeprefix("./")


def _is_special(info: zipfile.ZipInfo) -> bool:
    """A link or device: the upper half of external_attr is a Unix mode where a Unix tool wrote it."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind not in (0, stat.S_IFREG)


def _damaged(name: str, info: zipfile.ZipInfo, detail: str) -> ArchiveDamaged:
    what = f"the zip archive is damaged at byte {info.header_offset}, member {info.filename}"
    return ArchiveDamaged(what, file=name, value=detail, remedy=REMEDY)
