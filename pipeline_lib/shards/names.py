"""Names of members: made safe to store, and judged before a byte is read.

A stored name is UTF-8 text in which `%`, `#`, control characters and bytes that are not UTF-8 stand as %XX, so that
every name of every file system and archive has one spelling, which `decode_name` turns back.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from pipeline_lib.reasons import Reason

PICTURE_ENDINGS = frozenset(
    {"jpg", "jpeg", "jpe", "jfif", "png", "webp", "bmp", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "pnm"}
    | {"avif", "heic", "heif", "jp2", "j2k", "jxl", "tga", "psd", "ico", "svg"}
)
ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
SYSTEM_NAMES = frozenset({"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir"})
# C0 and C1 controls, line and paragraph separators, bidirectional overrides (they hide an ending), undecodable bytes
_UNSAFE_CHARACTERS = re.compile("[%#\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def encode_name(raw: bytes) -> str:
    """The stored name of a path given as bytes."""
    return _UNSAFE_CHARACTERS.sub(_percent, raw.decode("utf-8", "surrogateescape"))


def decode_name(name: str) -> bytes:
    """The bytes that `encode_name` was given."""
    return unquote_to_bytes(name)


def refusal(name: str) -> Reason | None:
    """Why a file of this stored name is not taken; None when it is.

    A name without an ending is taken: object stores are full of them, and the decoder decides.
    """
    parts = name.split("/")
    if name.startswith("/") or ".." in parts or not parts[-1]:
        return Reason.TAR_UNSAFE_MEMBER
    if any(part.startswith(".") or part.lower() in SYSTEM_NAMES for part in parts):
        return Reason.IGNORED_SYSTEM_FILE
    _, dot, ending = parts[-1].rpartition(".")
    return Reason.NOT_A_PICTURE_NAME if dot and ending.lower() not in PICTURE_ENDINGS else None


def is_archive(name: str) -> bool:
    """Whether a name's ending is that of an archive we read."""
    return name.lower().endswith(ARCHIVE_ENDINGS)


def without_archive_ending(name: str) -> str:
    """`train/n01440764.tar` -> `train/n01440764`."""
    for ending in sorted(ARCHIVE_ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))
