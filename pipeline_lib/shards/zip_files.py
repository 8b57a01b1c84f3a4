"""Read the directory of a zip strictly. Stored members can be read by offset; compressed ones must be repacked."""

from __future__ import annotations

import contextlib
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO

from pipeline_lib.errors import ArchiveDamaged, BadData
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.found import Found, refusal_of
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.sniff import HEAD_BYTES
from pipeline_lib.shards.tar_files import CHUNK_BYTES, REMEDY, write_end, write_member_of
from pipeline_lib.sources.names import encode_name

LOCAL_HEADER = struct.Struct(
    "<4s22xHH"
)  # APPNOTE.TXT 4.3.7: signature, ..., lengths of name and extra field
# Bits of the general purpose flag, APPNOTE.TXT 4.4.4. Encrypted: members, by strong encryption, the directory
ENCRYPTED, UTF_8 = 0x1 | 0x40 | 0x2000, 0x800
END_BYTES = 22 + (
    1 << 16
)  # the end of the directory and the longest comment behind it, APPNOTE.TXT 4.3.16
NO_DISK = 0xFFFF  # zip64 has the number elsewhere
# Methods of APPNOTE.TXT 4.4.5 that we do not read. Another number is damage.
UNREAD_METHODS = {
    1: "shrink",
    6: "implode",
    9: "Deflate64",
    93: "Zstandard",
    95: "xz",
    96: "JPEG",
    98: "PPMd",
}
MOST_BYTES = 1 << 62  # a zip64 field may claim four times that, which no table can hold
# zipfile asks bzip2 and LZMA for all that the read bytes unpack to: few bytes at a time keep that below 100 MB
CAREFUL_BYTES = 4096
# What zipfile raises for damaged data; NotImplementedError: a compression method that it does not know.
UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    OSError,
    NotImplementedError,
)


def is_stored_zip(path: Path, *, name: str) -> bool:
    """Whether every member is stored uncompressed, so that the zip can stay as received."""
    with open_zip(path, name=name) as archive:
        return all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def walk_zip(file: BinaryIO, *, name: str, size_bytes: int) -> list[Found]:
    """Every member of a stored zip that is not a folder, in the order of its bytes. Raises ArchiveDamaged."""
    found = []
    with open_zip(file, name=name) as archive:
        for info, one in _members(file, archive, name=name, size_bytes=size_bytes):
            if info.file_size != info.compress_size:
                raise _damaged(
                    name, info, f"stored, yet {info.compress_size} bytes hold {info.file_size}"
                )
            found.append(one)
    return found


def files_of(archive: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    """Every member that is not a folder, with its stored name, in the order of their bytes.

    Two tools write names against the standard (APPNOTE.TXT 4.4.17, appendix D): old .NET puts backslashes between
    folders, so they are taken for that where no name has a slash; macOS writes UTF-8 without the flag that says so.
    """
    members = sorted(archive.infolist(), key=lambda info: info.header_offset)
    names = [_name(info) for info in members]
    if not any("/" in name for name in names):
        names = [name.replace("\\", "/") for name in names]
    # Python's `is_dir` fails at an empty name
    files = [
        (info, name) for info, name in zip(members, names, strict=True) if not name.endswith("/")
    ]
    return [
        (info, encode_name(name.encode("utf-8", "surrogateescape")).removeprefix("./"))
        for info, name in files
    ]


def repack_zip(path: Path, target: BinaryIO, *, name: str, limits: ArchiveLimits) -> list[Found]:
    """Write the images of a compressed zip into a tar, once; what is refused is listed and not written.

    Raises as `unpack_zip` does.
    """
    found = []
    with path.open("rb") as file:
        members = unpack_zip(file, name=name, size_bytes=path.stat().st_size, limits=limits)
        for one, chunks in members:
            if one.fault:
                found.append(one)
                continue
            offset = write_member_of(target, one.name, one.size_bytes, chunks)
            found.append(Found(one.name, offset, one.size_bytes))
    write_end(target)
    return found


def unpack_zip(
    file: BinaryIO, *, name: str, size_bytes: int, limits: ArchiveLimits
) -> Iterator[tuple[Found, Iterator[bytes]]]:
    """Yield every member that is not a folder and its unpacked bytes, none if it has a fault, in the order of its bytes.

    Raises ArchiveDamaged, also when a member does not decompress to what the directory promises; BadData, before the
    first member, when it promises too much.
    """
    with open_zip(file, name=name) as archive:
        promised_bytes = sum(
            info.file_size
            for info, stored in files_of(archive)
            if not _is_special(info)
            and refusal_of(stored, info.file_size, limits.max_file_bytes) is None
        )
        limits.refuse_bomb(promised_bytes, received_bytes=size_bytes, name=name)
        for info, one in _members(file, archive, name=name, size_bytes=size_bytes):
            reason = one.refusal(
                limits.max_file_bytes, partial(member_start, archive, info, HEAD_BYTES, name=name)
            )
            if reason:
                yield Found(one.name, -1, one.size_bytes, reason), iter(())
            else:
                yield one, _chunks(archive, info, name=name)


def open_zip(file: Path | BinaryIO, *, name: str) -> zipfile.ZipFile:
    """The directory of a zip. Raises ArchiveDamaged; BadData when it is encrypted, the last part of a divided one, or
    compressed as we do not read it.
    """
    refuse_last_part(file, name=name)
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, struct.error, ValueError, EOFError, NotImplementedError) as error:
        raise ArchiveDamaged(
            "the zip archive is cut off or damaged at its directory",
            file=name,
            value=str(error),
            remedy=REMEDY,
        ) from error
    members = archive.infolist()
    if any(info.flag_bits & ENCRYPTED for info in members):
        archive.close()
        raise BadData(
            "the zip archive is encrypted",
            file=name,
            remedy="decrypt it and name the plain archive",
        )
    if other := next((info for info in members if info.compress_type in UNREAD_METHODS), None):
        archive.close()
        method = UNREAD_METHODS[other.compress_type]
        raise BadData(
            "the zip archive is compressed by a method that is not read",
            file=name,
            value=f"{method} ({other.compress_type}), member {other.filename}",
            remedy="unpack it (`7z x`) and name the folder, or pack it anew as a tar or zip",
        )
    return archive


def refuse_last_part(file: Path | BinaryIO, *, name: str) -> None:
    """Raise BadData for the last part of a divided zip, which holds the directory of all."""
    if _is_last_part(file):
        raise BadData(
            "the last part of a divided zip archive",
            file=name,
            value=f"{Path(name).stem}.z01 and so on belong before it",
            remedy="join the parts (`zip -s 0 parts.zip --out whole.zip`), and name the whole",
        )


def _is_last_part(file: Path | BinaryIO) -> bool:
    """Whether the end of a zip says that its directory began on an earlier disk (APPNOTE.TXT 4.3.16)."""
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(file.open("rb")) if isinstance(file, Path) else file
        size_bytes = opened.seek(0, io.SEEK_END)
        opened.seek(max(size_bytes - END_BYTES, 0))
        end = opened.read()
    at = end.rfind(b"PK\5\6")
    disk = int.from_bytes(end[at + 4 : at + 6], "little") if at >= 0 else 0
    return 0 < disk < NO_DISK


def member_start(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, size_bytes: int, *, name: str
) -> bytes:
    """The first bytes of a member, unpacked. Raises ArchiveDamaged."""
    start = bytearray()
    for chunk in _chunks(archive, info, name=name):
        start += chunk
        if len(start) >= size_bytes:
            break
    return bytes(start[:size_bytes])


def _members(
    file: BinaryIO, archive: zipfile.ZipFile, *, name: str, size_bytes: int
) -> Iterator[tuple[zipfile.ZipInfo, Found]]:
    """As `files_of`, with where the data of each lie in the zip, packed or not. Raises ArchiveDamaged.

    No two may share bytes: a small zip whose members overlap unpacks to terabytes at any ratio (Fifield, "A better zip
    bomb", 2019; CVE-2024-0450).
    """
    behind = 0
    for info, stored in files_of(archive):
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
        if _is_special(info):
            yield info, Found(stored, -1, info.file_size, Reason.TAR_UNSAFE_MEMBER)
        else:
            yield info, Found(stored, offset, info.file_size, None, info.CRC)


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


def _name(info: zipfile.ZipInfo) -> str:
    """The name; without the flag for UTF-8 zipfile reads code page 437, whatever the bytes say."""
    if info.flag_bits & UTF_8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:  # some other code page: nothing says which
        return info.filename


def is_guessed(info: zipfile.ZipInfo) -> bool:
    """Whether nothing says in which code page a name is written, so that it is read as the first one, 437."""
    if info.flag_bits & UTF_8 or info.filename.isascii():
        return False
    try:
        info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return True
    return False


def _is_special(info: zipfile.ZipInfo) -> bool:
    """A link or device: the upper half of external_attr is a Unix mode where a Unix tool wrote it."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind not in (0, stat.S_IFREG)


def _damaged(name: str, info: zipfile.ZipInfo, detail: str) -> ArchiveDamaged:
    what = f"the zip archive is damaged at byte {info.header_offset}, member {info.filename}"
    return ArchiveDamaged(what, file=name, value=detail, remedy=REMEDY)
