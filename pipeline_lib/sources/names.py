"""Encode names of members for safe storage, and refuse files by name before a byte is read.

A stored name is UTF-8 text in which `%`, `#`, control characters and bytes that are not UTF-8 stand as %XX, so that
every name of every file system and archive has one spelling, which `decode_name` turns back.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterable
from urllib.parse import unquote_to_bytes

from pipeline_lib.reasons import Reason

IMAGE_ENDINGS = frozenset(
    {
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "mpo",
        "png",
        "webp",
        "bmp",
        "gif",
        "tif",
        "tiff",
        "ppm",
        "pgm",
        "pbm",
        "pnm",
    }
    | {"avif", "heic", "heif", "hif", "jp2", "j2k", "jxl", "tga", "psd", "ico", "svg"}
)
# What a camera saw before it made an image of it. Most are TIFFs whose first image is a stamp-sized preview.
RAW_ENDINGS = frozenset(
    {
        "dng",
        "cr2",
        "cr3",
        "crw",
        "nef",
        "nrw",
        "arw",
        "srf",
        "sr2",
        "orf",
        "rw2",
        "raf",
        "pef",
        "srw",
        "3fr",
        "fff",
    }
    | {"iiq", "erf", "kdc", "dcr", "mrw", "rwl", "x3f", "gpr"}
)
# Of files that lie beside images. Any other ending, and none, says nothing: `x.jpg?size=large`, `x.jpg_large`.
OTHER_ENDINGS = frozenset(
    {
        "txt",
        "md",
        "rst",
        "rtf",
        "csv",
        "tsv",
        "json",
        "jsonl",
        "cls",
        "list",
        "names",
        "ndjson",
        "xml",
        "yaml",
        "yml",
        "toml",
        "ini",
        "cfg",
    }
    | {
        "conf",
        "log",
        "html",
        "htm",
        "css",
        "js",
        "py",
        "pyc",
        "ipynb",
        "sh",
        "bat",
        "exe",
        "c",
        "h",
        "cpp",
        "m",
        "r",
    }
    | {
        "pdf",
        "doc",
        "docx",
        "xls",
        "xlsx",
        "ppt",
        "pptx",
        "odt",
        "ods",
        "odp",
        "tex",
        "bib",
        "eps",
        "ps",
        "ai",
    }
    | {
        "mat",
        "npy",
        "npz",
        "h5",
        "hdf5",
        "pkl",
        "pickle",
        "pt",
        "pth",
        "onnx",
        "safetensors",
        "parquet",
        "arrow",
    }
    | {
        "feather",
        "db",
        "sqlite",
        "sqlite3",
        "mp4",
        "mov",
        "avi",
        "mkv",
        "webm",
        "mpg",
        "mpeg",
        "m4v",
        "wmv",
        "flv",
    }
    | {
        "3gp",
        "mts",
        "mp3",
        "wav",
        "flac",
        "ogg",
        "m4a",
        "aac",
        "7z",
        "rar",
        "gz",
        "bz2",
        "xz",
        "zst",
        "iso",
        "dmg",
    }
    | {
        "tar",
        "tgz",
        "tbz2",
        "txz",
        "zip",
    }  # in an archive: those of a source are told before, by `is_archive`
    | {
        "xmp",
        "aae",
        "thm",
        "lnk",
        "url",
        "torrent",
        "md5",
        "sha1",
        "sha256",
        "sig",
        "asc",
        "lock",
        "dvc",
        "lst",
        "manifest",
        "labels",
        "dcm",
        "dicom",
        "nii",
        "tfrecord",
        "tfrecords",
        "lmdb",
        "mdb",
        "rec",
    }
)
OTHER_NAMES = frozenset(
    {
        "license",
        "licence",
        "copying",
        "copyright",
        "notice",
        "readme",
        "authors",
        "contributors",
        "changelog",
    }
    | {
        "changes",
        "makefile",
        "dockerfile",
        "version",
        "manifest",
        "todo",
        "install",
        "citation",
        "_success",
    }
    | {"md5sums", "sha256sums"}
)
ARCHIVE_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".zip")
SYSTEM_NAMES = frozenset(
    {"__macosx", "thumbs.db", "desktop.ini", "$recycle.bin", "@eadir", "lost+found"}
)
# C0 and C1 controls, line and paragraph separators, bidirectional overrides (they hide an ending), undecodable bytes
_MISLEADING = "\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff"
_UNSAFE_CHARACTERS = re.compile(f"[%#{_MISLEADING}]")
_UNSHOWABLE_CHARACTERS = re.compile(f"[{_MISLEADING}]")


def encode_name(raw: bytes) -> str:
    """The stored name of a path given as bytes."""
    return _UNSAFE_CHARACTERS.sub(_percent, raw.decode("utf-8", "surrogateescape"))


def decode_name(name: str) -> bytes:
    """The bytes that `encode_name` was given."""
    return unquote_to_bytes(name)


def class_name(folder: str) -> str:
    """The name of a class from the stored name of its folder: as people write it, `50%` and not `50%25`.

    Only what would mislead an eye stays escaped. Composed (Unicode's NFC), since the same name comes composed from a
    keyboard and decomposed (NFD) from macOS's file system and its zips.
    """
    text = decode_name(folder).decode("utf-8", "surrogateescape")
    return unicodedata.normalize("NFC", _UNSHOWABLE_CHARACTERS.sub(_percent, text))


def respelled(folders: Iterable[str]) -> list[str]:
    """A sentence for each class whose folders (stored names) are spelled in several ways."""
    spellings: dict[str, set[str]] = {}
    for folder in folders:
        spellings.setdefault(class_name(folder), set()).add(folder)
    return [
        f"{len(found)} folders whose names look the same are one class, {name}: {', '.join(map(ascii, sorted(found)))}"
        for name, found in sorted(spellings.items())
        if len(found) > 1
    ]


def refusal(name: str) -> Reason | None:
    """The reason for refusing a file of this stored name; None if it is accepted, or if its bytes decide (`is_undecided`)."""
    parts = name.lower().split("/")
    if name.startswith("/") or ".." in parts or not parts[-1]:
        return Reason.TAR_UNSAFE_MEMBER
    if "/." in f"/{name}" or not SYSTEM_NAMES.isdisjoint(parts):
        return Reason.IGNORED_SYSTEM_FILE
    ending = _ending(name)
    if ending in RAW_ENDINGS:
        return Reason.UNSUPPORTED_FORMAT
    is_other = ending in OTHER_ENDINGS or parts[-1] in OTHER_NAMES
    return Reason.NOT_A_PICTURE_NAME if is_other else None


def is_companion(name: str, images: Container[str]) -> bool:
    """Whether a file that is not an image by its name belongs to one: `a.json` and `a.jpg.json` to `a.jpg`.

    images: the last parts of the names of images, each also without its ending. Folders may differ (annotations/a.xml).
    """
    last = name.rpartition("/")[2]
    dots = [at for at, character in enumerate(last) if character == "."]
    return any(last[:at] in images for at in dots)


def with_and_without_ending(names: Iterable[str]) -> frozenset[str]:
    """The last parts of names, each with and without file extension, for `is_companion`."""
    lasts = {name.rpartition("/")[2] for name in names}
    return frozenset(lasts | {last.rpartition(".")[0] for last in lasts if "." in last})


def is_undecided(name: str) -> bool:
    """Whether a name does not tell the kind of the file: such names are common in object stores and on the web."""
    return refusal(name) is None and _ending(name) not in IMAGE_ENDINGS


def is_image_name(name: str) -> bool:
    """Whether a name has the file extension of an image."""
    return _ending(name) in IMAGE_ENDINGS


def is_archive(name: str) -> bool:
    """Whether a name has the file extension of an archive format that we read."""
    return name.lower().endswith(ARCHIVE_ENDINGS)


def without_archive_ending(name: str) -> str:
    """`train/n01440764.tar` -> `train/n01440764`."""
    for ending in sorted(ARCHIVE_ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def without_image_ending(name: str) -> str:
    """`cat/1.jpg` -> `cat/1`; `cat/1.5` stays, since `5` is no ending of an image."""
    return name.rpartition(".")[0] if _ending(name) in IMAGE_ENDINGS else name


def _percent(match: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape"))


def _ending(name: str) -> str:
    """What follows the last full stop, in lower case; "" without one."""
    _, dot, ending = name.rpartition("/")[2].rpartition(".")
    return ending.lower() if dot else ""
