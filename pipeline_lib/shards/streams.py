"""Compressed streams and foreign archives, told by their first bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
import zlib
from collections.abc import Callable
from typing import Any, Final

from pipeline_lib.errors import BadData
from pipeline_lib.shards.sniff import sniff
from pipeline_lib.shards.tar_headers import BLOCK_BYTES, is_header

OPENERS: Final[dict[bytes, Callable[..., Any]]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ": lzma.open,
}
FOREIGN: Final = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\x28\xb5\x2f\xfd": "Zstandard",
    b"\x04\x22\x4d\x18": "LZ4",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress",
    b"MSCF": "Cabinet",
    b"070701": "cpio",
    b"!<arch": "ar",
}
_FOREIGN_NAMES: Final = (
    ("7z", r"\.7z"),
    ("RAR", r"\.rar"),
    ("Zstandard", r"\.(tar\.zst|tzst)"),
    ("LZ4", r"\.tar\.lz4"),
    ("lzip", r"\.(tar\.lz|tlz)"),
    ("LZMA", r"\.tar\.lzma"),
    ("compress", r"\.(tar\.z|taz)"),
    ("Cabinet", r"\.cab"),
    ("disk image", r"\.(iso|dmg)"),
    ("split", r"\.((zip|7z|tar(\.\w+)?|tgz)\.\d{2,3}|z\d\d|r\d\d)"),
)
FOREIGN_ENDINGS: Final = tuple(
    (kind, re.compile(rf".*{pattern}", re.IGNORECASE)) for kind, pattern in _FOREIGN_NAMES
)
# What bytes that are no archive may be known for; others may be a damaged one.
NOT_KNOWN: Final = frozenset({"unknown", "empty", "zeroed_head"})
BROKEN_STREAM: Final = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    OSError,
)  # an OSError with errno is the disk's, not its


def refuse_foreign(name: str, head: bytes = b"") -> None:
    """Raise BadData for an archive of a format that we do not read, by its first bytes or, without them, by its name."""
    by_bytes = (kind for start, kind in FOREIGN.items() if head.startswith(start))
    if kind := next(by_bytes, None) or (None if head else foreign_kind(name)):
        remedy = "unpack it and name the folder, or pack it anew as a tar or zip"
        raise BadData(f"{kind} archives are not read", file=name, remedy=remedy)


def foreign_kind(name: str) -> str | None:
    """The format, by its name, of an archive that we do not read; None for all else."""
    last = name.rpartition("/")[2]
    return next((kind for kind, ending in FOREIGN_ENDINGS if ending.fullmatch(last)), None)


def refuse_no_archive(name: str, head: bytes) -> None:
    """Raise BadData for what is no tar but known to be something else, a web page for instance.

    head: the first HEAD_BYTES, of a compressed stream unpacked.
    """
    kind = sniff(head)
    if kind in NOT_KNOWN or is_header(head[:BLOCK_BYTES]):
        return
    is_text = kind in ("text", "json", "html", "xml")
    begins = head[:60].decode("utf-8", "replace").strip().partition("\n")[0] if is_text else ""
    value = f"{kind}, which begins: {begins}" if begins else kind
    remedy = "fetch the archive again from where it came: it may need a login, or Git LFS; or name the source as what it is"
    raise BadData("not an archive, whatever its name says", file=name, value=value, remedy=remedy)


def opener_of(magic: bytes) -> Callable[..., Any] | None:
    """Return the function that opens a file with these first six bytes; None for an uncompressed one."""
    return next((opener for start, opener in OPENERS.items() if magic.startswith(start)), None)
