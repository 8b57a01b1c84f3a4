"""Read the directory of a zip strictly. Stored members can be read by offset; compressed ones must be repacked."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

from pipeline_lib.errors import ArchiveDamaged, BadData
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.found import Found
from pipeline_lib.shards.names import encode_name, is_undecided, refusal
from pipeline_lib.shards.sniff import HEAD_BYTES, may_be_picture
from pipeline_lib.shards.tar_files import REMEDY, write_end, write_member

LOCAL_HEADER = struct.Struct("<4s22xHH")  # APPNOTE.TXT 4.3.7: signature, ..., lengths of name and extra field
ENCRYPTED, UTF_8 = 0x1, 0x800  # bits of the general purpose flag
# What zipfile raises for damaged data; NotImplementedError: a compression method that it does not know.
UNREADABLE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, OSError, NotImplementedError)


def is_stored_zip(path: Path, *, name: str) -> bool:
    """Whether every member is stored uncompressed, so that the zip can stay as received."""
    with _open(path, name=name) as archive:
        return all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())


def walk_zip(file: BinaryIO, *, name: str, size_bytes: int) -> list[Found]:
    """Every member of a stored zip that is no folder, in the order of its bytes. Raises ArchiveDamaged."""
    with _open(file, name=name) as archive:
        members = files_of(archive)
    return [_found(file, info, stored, name=name, size_bytes=size_bytes) for info, stored in members]


def files_of(archive: zipfile.ZipFile) -> list[tuple[zipfile.ZipInfo, str]]:
    """Every member that is no folder with its stored name, in the order of their bytes.

    Two tools write names against the standard (APPNOTE.TXT 4.4.17, appendix D): old .NET puts backslashes between
    folders, so they are taken for that where no name has a slash; macOS writes UTF-8 without the flag that says so.
    """
    members = sorted(archive.infolist(), key=lambda info: info.header_offset)
    names = [_name(info) for info in members]
    if not any("/" in name for name in names):
        names = [name.replace("\\", "/") for name in names]
    stored = [encode_name(name.encode("utf-8", "surrogateescape")).removeprefix("./") for name in names]
    return [(info, name) for info, name in zip(members, stored, strict=True) if not name.endswith("/")]


def repack_zip(path: Path, target: BinaryIO, *, name: str) -> list[Found]:
    """Write the pictures of a compressed zip into a tar, once; what is refused by name is listed and not written.

    Raises ArchiveDamaged when a member does not decompress to what the directory promises.
    """
    found = []
    with _open(path, name=name) as archive:
        for info, member in files_of(archive):
            fault = Reason.TAR_UNSAFE_MEMBER if _is_special(info) else None
            if fault or refusal(member):
                found.append(Found(member, -1, info.file_size, fault))
                continue
            data = _decompress(archive, info, name=name)
            if is_undecided(member) and not may_be_picture(data[:HEAD_BYTES]):
                found.append(Found(member, -1, info.file_size, Reason.NOT_IMAGE))
                continue
            found.append(Found(member, write_member(target, member, data), len(data)))
    write_end(target)
    return found


def _open(file: Path | BinaryIO, *, name: str) -> zipfile.ZipFile:
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, struct.error, ValueError, EOFError) as error:
        raise ArchiveDamaged(
            "the zip archive is cut off or damaged at its directory", file=name, value=str(error), remedy=REMEDY
        ) from error
    if any(info.flag_bits & ENCRYPTED for info in archive.infolist()):
        archive.close()
        raise BadData("the zip archive is encrypted", file=name, remedy="decrypt it and name the plain archive")
    return archive


def _found(file: BinaryIO, info: zipfile.ZipInfo, stored: str, *, name: str, size_bytes: int) -> Found:
    if _is_special(info):
        return Found(stored, -1, info.file_size, Reason.TAR_UNSAFE_MEMBER)
    file.seek(info.header_offset)
    header = file.read(LOCAL_HEADER.size)
    if len(header) < LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
        raise _damaged(name, info, "no local header there")
    _, name_bytes, extra_bytes = LOCAL_HEADER.unpack(header)
    offset = info.header_offset + LOCAL_HEADER.size + name_bytes + extra_bytes
    if offset + info.file_size > size_bytes:
        raise _damaged(name, info, "its data go beyond the end of the file")
    return Found(stored, offset, info.file_size, None, info.CRC)


def _decompress(archive: zipfile.ZipFile, info: zipfile.ZipInfo, *, name: str) -> bytes:
    try:
        return archive.read(info)
    except UNREADABLE as error:
        raise _damaged(name, info, str(error)) from error


def _name(info: zipfile.ZipInfo) -> str:
    """The name; without the flag for UTF-8 zipfile reads code page 437, whatever the bytes say."""
    if info.flag_bits & UTF_8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:  # some other code page: nothing says which
        return info.filename


def _is_special(info: zipfile.ZipInfo) -> bool:
    """A link or device: the upper half of external_attr is a Unix mode where a Unix tool wrote it."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    return kind not in (0, stat.S_IFREG)


def _damaged(name: str, info: zipfile.ZipInfo, detail: str) -> ArchiveDamaged:
    what = f"the zip archive is damaged at byte {info.header_offset}, member {info.filename}"
    return ArchiveDamaged(what, file=name, value=detail, remedy=REMEDY)
