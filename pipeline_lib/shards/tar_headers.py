"""Read the headers of a tar strictly: ustar, pax, GNU's long names (POSIX.1-2017, pax; GNU tar, Basic Tar Format).

Python's tarfile writes tars here and reads none: hostile headers keep it busy forever (a negative size, CVE-2025-8194;
cut-off sparse maps), fill the memory (a header may claim any length) or end in a RecursionError, and at a damaged
header it ends without a word (cpython issue 120740). Here every header moves forward, and what it may hold is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Final

BLOCK_BYTES: Final = 512
ZEROS: Final = bytes(BLOCK_BYTES)
CHUNK_BYTES: Final = 1 << 20
MAX_EXTENSION_BYTES: Final = (
    1 << 20
)  # of all extended headers before one member; names and attributes take a few KB
REGULAR: Final = b"\x000" + b"7"
WITHOUT_DATA: Final = (
    b"123456"  # links, devices, folders, pipes: whatever size they state, no data follow
)
FOLDER, GNU_SPARSE = ord("5"), ord("S")
PAX, PAX_OF_ALL, SOLARIS_PAX, GNU_LONG_NAME, GNU_LONG_LINK = b"xgXLK"
OCTAL: Final = re.compile(rb" *([0-7]*) *\Z")


class BrokenTar(Exception):
    """A header that cannot be trusted, nor anything after it. offset_bytes: where it begins."""

    def __init__(self, offset_bytes: int, detail: str) -> None:
        self.offset_bytes, self.detail = offset_bytes, detail
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class TarMember:
    """name: as stored, in bytes. is_file: a plain file, whose size_bytes lie at offset_bytes; else link, device, ..."""

    name: bytes
    offset_bytes: int
    size_bytes: int
    is_file: bool
    is_folder: bool


@dataclass(frozen=True, slots=True)
class _Extensions:
    """The content of extended headers, for the next member or for all that follow."""

    path: bytes | None = None
    size_bytes: int | None = None
    is_sparse: bool = False


@dataclass(slots=True)
class _Reader:
    file: BinaryIO
    end: int
    for_all: _Extensions = field(default_factory=_Extensions)

    def read(self, at: int, size_bytes: int, header_at: int) -> bytes:
        self.file.seek(at)
        data = self.file.read(size_bytes) if at + size_bytes <= self.end else b""
        if len(data) < size_bytes:
            raise BrokenTar(header_at, "it ends without the closing block of zeros")
        return data


def read_members(file: BinaryIO, *, start: int, end: int | None) -> Iterator[TarMember]:
    """Yield every member between two offsets. Raises BrokenTar.

    end: None for a stream of unknown length, which is read forward only and not beyond the closing block of zeros;
    else nothing but zeros may follow that block.
    """
    reader = _Reader(file, 1 << 62 if end is None else end)
    at = start
    while (block := reader.read(at, BLOCK_BYTES, at)) != ZEROS:
        member, at = _member(reader, block, at)
        yield member
    if end is not None:
        _refuse_more_than_zeros(file, stop=at, end=end)


def _member(reader: _Reader, block: bytes, at: int) -> tuple[TarMember, int]:
    """The member whose headers begin at an offset, and the offset after its data."""
    begins, said = at, reader.for_all
    long_name: bytes | None = None
    while (kind := _kind(block, at)) in b"xgXLK":
        size_bytes = _number(block[124:136], at, "size")
        if at + BLOCK_BYTES + size_bytes - begins > MAX_EXTENSION_BYTES:
            raise BrokenTar(
                begins,
                f"extended headers of more than {MAX_EXTENSION_BYTES} bytes before one member",
            )
        content = reader.read(at + BLOCK_BYTES, size_bytes, at)
        if kind == PAX_OF_ALL:
            reader.for_all = said = _pax(content, said, at)
        elif kind in (PAX, SOLARIS_PAX):
            said = _pax(content, said, at)
        elif kind == GNU_LONG_NAME:
            long_name = content.partition(b"\0")[0]
        at += BLOCK_BYTES + _padded(size_bytes)
        block = reader.read(at, BLOCK_BYTES, at)
        if block == ZEROS:
            raise BrokenTar(begins, "no member follows an extended header")
    return _plain(reader, block, at, said, long_name)


def is_header(block: bytes) -> bool:
    """Whether a block is the header of a member."""
    try:
        return len(block) == BLOCK_BYTES and _kind(block, 0) >= 0
    except BrokenTar:
        return False


def _plain(
    reader: _Reader, block: bytes, at: int, said: _Extensions, long_name: bytes | None
) -> tuple[TarMember, int]:
    kind, data_at = block[156], at + BLOCK_BYTES
    name = (
        long_name if long_name is not None else said.path if said.path is not None else _name(block)
    )
    size_bytes = (
        said.size_bytes if said.size_bytes is not None else _number(block[124:136], at, "size")
    )
    if kind in WITHOUT_DATA:
        size_bytes = 0
    if kind == GNU_SPARSE:
        data_at = _after_sparse_map(reader, block, data_at)
    ends = data_at + size_bytes
    if ends > reader.end:
        raise BrokenTar(at, f"its last member ends at byte {ends} of {reader.end}")
    is_folder = kind == FOLDER or (
        kind == 0 and _name(block).endswith(b"/")
    )  # 0: before POSIX, a slash says folder
    is_file = kind in REGULAR and not is_folder and not said.is_sparse
    member = TarMember(name, data_at, size_bytes, is_file, is_folder)
    return member, data_at + (0 if is_folder else _padded(size_bytes))


def _kind(block: bytes, at: int) -> int:
    """The type flag, once the checksum has shown that this is a header."""
    stated = _number(block[148:156], at, "checksum")
    rest = block[:148] + block[156:]
    unsigned = 256 + sum(rest)  # as if the checksum's own eight bytes were blanks
    # some old programs added signed bytes
    if stated != unsigned and stated != unsigned - 256 * sum(byte > 127 for byte in rest):
        raise BrokenTar(at, "a member's header is broken")
    return block[156]


def _name(block: bytes) -> bytes:
    name, prefix = block[:100].partition(b"\0")[0], block[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix and block[156] != GNU_SPARSE else name


def _number(cell: bytes, at: int, what: str) -> int:
    """Octal digits, or after a byte of 0x80 an integer to the base 256 (GNU), which may be no negative one."""
    if cell[0] == 0x80:
        return int.from_bytes(cell[1:], "big")
    octal = OCTAL.match(cell.partition(b"\0")[0])
    if octal is None:
        raise BrokenTar(
            at, f"the {what} in a member's header is not a number of 0 or more: {cell!r}"
        )
    return int(octal[1] or b"0", 8)


def _pax(content: bytes, said: _Extensions, at: int) -> _Extensions:
    """Records of the form `<length> <key>=<value>\\n`; the length counts itself."""
    path, size_bytes, is_sparse = said.path, said.size_bytes, said.is_sparse
    start, written = 0, len(content.rstrip(b"\0"))
    while start < written:
        digits, _, _ = content[start : start + 20].partition(b" ")
        stop = start + int(digits) if digits.isdigit() else 0
        key, equals, value = content[start + len(digits) + 1 : stop - 1].partition(b"=")
        if not equals or stop > len(content) or content[stop - 1 : stop] != b"\n":
            raise BrokenTar(at, f"a pax record is broken at byte {start} of its header")
        if key == b"size" and not (value.isdigit() and len(value) < 20):
            raise BrokenTar(
                at, f"the size in a pax header is not a number of 0 or more: {value[:40]!r}"
            )
        if key in (b"path", b"GNU.sparse.name"):
            path = value.rstrip(b"/")
        elif key == b"size":
            size_bytes = int(value)
        is_sparse = is_sparse or key.startswith(b"GNU.sparse.")
        start = stop
    return _Extensions(path, size_bytes, is_sparse)


def _after_sparse_map(reader: _Reader, block: bytes, data_at: int) -> int:
    """Further blocks of an old GNU sparse map stand between header and data; each says whether one more follows."""
    goes_on = block[482]
    while goes_on:
        goes_on = reader.read(data_at, BLOCK_BYTES, data_at)[504]
        data_at += BLOCK_BYTES
    return data_at


def _padded(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES) * BLOCK_BYTES


def _refuse_more_than_zeros(file: BinaryIO, *, stop: int, end: int) -> None:
    file.seek(stop)
    position = stop
    while position < end:
        chunk = file.read(min(CHUNK_BYTES, end - position))
        if not chunk or chunk.count(0) != len(chunk):
            raise BrokenTar(stop, "a member's header is broken" if chunk else "the file ends early")
        position += len(chunk)
