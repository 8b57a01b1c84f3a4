"""Read the directory of a tar strictly, and write deterministic ones.

Python's tarfile ends without a word at a damaged or missing header (cpython issue 120740), so its stop is checked here:
it must be a block of zeros, with nothing but zeros after it. Members are never extracted.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import BinaryIO

from pipeline_lib.errors import ArchiveDamaged
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.found import Found
from pipeline_lib.shards.names import encode_name, without_archive_ending

CHUNK_BYTES = 1 << 20
REMEDY = "fetch the archive again from where it came, and compare its size and checksum"


def walk_tar(file: BinaryIO, *, name: str, size_bytes: int) -> Iterator[Found]:
    """Yield every member that is no folder, in archive order; members of tars inside come as `<inner stem>/<member>`.

    name: for messages. Raises ArchiveDamaged at a header that is broken or cut off.
    """
    for found in _walk(file, name=name, start=0, end=size_bytes):
        if found.fault is None and found.name.lower().endswith(".tar"):
            yield from _walk_inner(file, found, name=name)
        else:
            yield found


def _walk_inner(file: BinaryIO, outer: Found, *, name: str) -> Iterator[Found]:
    """A tar of tars, as ImageNet's train archive is: the inner stem stands for the folder."""
    stem = without_archive_ending(outer.name)
    inner_name = f"{name}:{outer.name}"
    for found in _walk(file, name=inner_name, start=outer.offset_bytes, end=outer.offset_bytes + outer.size_bytes):
        yield Found(f"{stem}/{found.name}", found.offset_bytes, found.size_bytes, found.fault)


def _walk(file: BinaryIO, *, name: str, start: int, end: int) -> Iterator[Found]:
    file.seek(start)
    try:
        tar = tarfile.open(fileobj=file, mode="r:", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115 - the file is not ours
        while (info := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # it would keep every member of a million
            if info.offset_data + info.size > end and info.isreg():
                raise _damaged(
                    name, info.offset, f"its last member ends at byte {info.offset_data + info.size} of {end}"
                )
            if not info.isdir():
                yield _found(info)
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise _damaged(name, file.tell(), str(error)) from error
    _check_end(file, name=name, stop=tar.offset, end=end)


def _found(info: tarfile.TarInfo) -> Found:
    stored = encode_name(info.name.encode("utf-8", "surrogateescape"))
    while stored.startswith("./"):
        stored = stored[2:]
    if not info.isreg() or info.issparse():
        return Found(stored, -1, info.size, Reason.TAR_UNSAFE_MEMBER)
    return Found(stored, info.offset_data, info.size)


def _check_end(file: BinaryIO, *, name: str, stop: int, end: int) -> None:
    """Demand the block of zeros that ends a tar, and nothing but zeros behind it."""
    file.seek(stop)
    if stop + tarfile.BLOCKSIZE > end:
        raise _damaged(name, stop, "it ends without the closing block of zeros")
    position = stop
    while position < end:
        chunk = file.read(min(CHUNK_BYTES, end - position))
        if not chunk or chunk.count(0) != len(chunk):
            what = "the file ends early" if not chunk else "a member's header is broken"
            raise _damaged(name, stop, what)
        position += len(chunk)


def _damaged(name: str, offset_bytes: int, detail: str) -> ArchiveDamaged:
    return ArchiveDamaged(
        f"the tar archive is cut off or damaged at byte {offset_bytes}", file=name, value=detail, remedy=REMEDY
    )


def write_member(file: BinaryIO, name: str, data: bytes) -> int:
    """Append one member with a header that depends on name and size only; returns the offset of its data."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(data), 0o644, 0
    file.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    offset = file.tell()
    file.write(data)
    file.write(bytes(-len(data) % tarfile.BLOCKSIZE))
    return offset


def write_end(file: BinaryIO) -> None:
    """Close a tar: two blocks of zeros."""
    file.write(bytes(2 * tarfile.BLOCKSIZE))
