"""What files hold that are neither images nor labels to us, and what a person can do about it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pipeline_lib.labels.columns import ANNOTATOR, has_file_column, is_surely_class, plain
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.sniff import sniff
from pipeline_lib.sources.names import (
    RAW_ENDINGS,
    SYSTEM_NAMES,
    is_archive,
    refusal,
    without_image_ending,
)
from pipeline_lib.sources.places import TABLE_ENDINGS
from pipeline_lib.survey.contents import Seen

LOOKED_INTO = 200  # files
HEAD_BYTES = 4096
MANY_COLUMNS = 64  # a table of pixels has as many
LFS = b"version https://git-lfs.github.com/spec/"
NAMED = 2  # images that a file of labels names near its beginning

_ARRAYS = (
    "write its arrays out as image files, in one folder per class, and name the folder above them"
)
_UNPACK = "unpack it, and name the folder"


@dataclass(frozen=True)
class Kind:
    """A kind of file. endings: of its names. remedy: how its images become a source. labels_too: it may hold labels alone."""

    what: str
    endings: tuple[str, ...]
    remedy: str
    labels_too: bool = False


KINDS = (
    Kind("MATLAB", (".mat",), _ARRAYS, labels_too=True),
    Kind("HDF5", (".h5", ".hdf5", ".h5.gz"), _ARRAYS, labels_too=True),
    Kind("NumPy arrays", (".npy", ".npz"), _ARRAYS, labels_too=True),
    Kind("a Python pickle", (".pkl", ".pickle"), _ARRAYS, labels_too=True),
    Kind("MXNet's RecordIO", (".rec",), _ARRAYS),
    Kind("MNIST's IDX", ("-ubyte", "-ubyte.gz", ".idx", ".idx.gz"), _ARRAYS),
    Kind("TensorFlow records", (".tfrecord", ".tfrecords"), _ARRAYS),
    Kind("an LMDB database", (".mdb", ".lmdb"), _ARRAYS),
    Kind("an SQLite database", (".sqlite", ".sqlite3", ".db"), _ARRAYS, labels_too=True),
    Kind(
        "an Arrow table",
        (".arrow", ".feather"),
        "write it as Parquet, and name that",
        labels_too=True,
    ),
    Kind(
        "RAW of cameras",
        tuple(f".{one}" for one in sorted(RAW_ENDINGS)),
        "develop them to JPEG, PNG or TIFF",
    ),
    Kind("a 7z archive", (".7z",), _UNPACK),
    Kind("a RAR archive", (".rar",), _UNPACK),
    Kind("a Zstandard archive", (".zst",), _UNPACK),
    Kind(
        "a part of a divided archive",
        (".001", ".002", ".z01", ".z02", ".partaa", ".partab", ".part1", ".part01"),
        "join the parts, and name the whole",
    ),
    Kind("DICOM", (".dcm", ".dicom"), "save its slices as PNG or TIFF"),
    Kind("NIfTI", (".nii", ".nii.gz"), "save its slices as PNG or TIFF"),
    Kind("video", (".mp4", ".avi", ".mov", ".mkv", ".webm", ".mpg"), "save frames of it as images"),
    Kind("a spreadsheet", (".xlsx", ".xls", ".ods"), "", labels_too=True),
)
_PART = re.compile(r"-\d{5}-of-\d{5}$")
NOT_LABELS = (
    "submission",
    "readme",
    "license",
    "licence",
    "attribution",
    "citation",
    "changelog",
    "requirements",
)
OTHER_TEXTS = (".xml", ".yaml", ".yml", ".toml", ".html")
SAVE_AS_CSV = (
    "save its labels as CSV (filename,label) and name it with --labels, or say --layout flat to go "
    "without"
)


def instead_of_images(files: Sequence[Seen]) -> tuple[str, str] | None:
    """What most files of a source without images are, with an example, and the remedy; None for nothing known."""
    broken = [one.name for one in files if one.fault is Reason.BROKEN_LINK]
    if broken and len(broken) == len(files):
        remedy = "fetch or mount what they point to, such as by `git annex get .`"
        return f"links to nothing: {broken[0]}", remedy
    found: Counter[Kind] = Counter()
    example: dict[Kind, str] = {}
    for one in files[:LOOKED_INTO]:
        if kind := _kind_of(one):
            found[kind] += 1
            example.setdefault(kind, one.name)
    if not found:
        return None
    kind, n = max(
        found.items(), key=lambda one: (one[1], -KINDS.index(one[0]) if one[0] in KINDS else 0)
    )
    return f"{kind.what}: {example[kind]}" + (f" and {n - 1} more" if n > 1 else ""), kind.remedy


def are_pointers(heads: Sequence[bytes]) -> bool:
    """Whether files hold pointers of Git LFS in place of images, by their first bytes."""
    return bool(heads) and all(head.startswith(LFS) for head in heads)


def unread_archives(files: Iterable[Seen]) -> list[str]:
    """Names of archives beside images that we cannot open."""
    return [
        one.name
        for one in files
        if (kind := _by_ending(one.name)) and kind.remedy == _UNPACK and refusal(one.name)
    ]


def unread_labels(files: Sequence[Seen], images: Sequence[str]) -> tuple[str, str] | None:
    """(file, what it is) of the likeliest file of labels that no format reads; None where nothing seems to hold labels.

    images: none of which has a class.
    """
    for one in files:
        if (kind := _by_ending(one.name)) and kind.labels_too:
            return one.name, kind.what
    stems = {without_image_ending(name.rpartition("/")[2]) for name in images}
    texts = [one for one in files if one.name.lower().endswith((*TABLE_ENDINGS, *OTHER_TEXTS))]
    for one in texts[:LOOKED_INTO]:
        if any(word in one.name.rpartition("/")[2].lower() for word in NOT_LABELS):
            continue
        if ANNOTATOR in map(plain, _columns(one)):
            continue  # votes have a key of their own
        if len(set(_words(one)) & stems) >= NAMED:
            return one.name, _why_unread(one)
        if _has_columns(one):
            return one.name, "none of its lines names an image as the source spells it"
    described = [one.name for one in texts if _describes(one.name, stems)]
    if len(described) >= len(images) / 2:
        return described[0], "a file of this kind lies beside each image"
    return None


def _why_unread(one: Seen) -> str:
    head = one.first(HEAD_BYTES) if one.first else b""
    if sniff(head) == "unknown":
        return "it is not UTF-8 text"
    return "it names images, but no class by which they could be sorted"


def _columns(one: Seen) -> list[str]:
    """The cells of the first line."""
    head = one.first(HEAD_BYTES).decode("utf-8", "replace") if one.first else ""
    return re.split(r"[,;\t|]", head.partition("\n")[0].strip("\ufeff\r "))


def _has_columns(one: Seen) -> bool:
    """Whether a table's columns are named like image and class."""
    first = _columns(one)
    return len(first) > 1 and has_file_column(first) and any(map(is_surely_class, first))


def _describes(name: str, stems: set[str]) -> bool:
    """Whether a text is named for one image: IMG_1.json, IMG_1.jpeg.json."""
    stem = name.rpartition("/")[2].rpartition(".")[0]
    return stem in stems or without_image_ending(stem) in stems


def _words(one: Seen) -> Iterator[str]:
    """The parts of the beginning of a text that may be names of images, without their endings."""
    head = one.first(HEAD_BYTES) if one.first else b""
    for word in re.split(r"[\s,;|\"'<>()\[\]{}:]+", head.decode("utf-8", "replace")):
        yield without_image_ending(word.replace("\\", "/").rpartition("/")[2])


def _kind_of(one: Seen) -> Kind | None:
    if kind := _by_ending(one.name):
        return kind
    if is_archive(one.name):
        return Kind(
            "an archive inside the archive", (), "unpack the outer one, and name the folder"
        )
    head = one.first(HEAD_BYTES) if one.first else b""
    if head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5":
        return next(kind for kind in KINDS if ".pkl" in kind.endings)
    if one.name.lower().endswith((".csv", ".tsv")) and _is_of_pixels(head):
        return Kind("a table of pixels", (), _ARRAYS)
    if sniff(head) == "zeroed_head" and head[128:132] == b"DICM":
        return next(kind for kind in KINDS if ".dcm" in kind.endings)
    return None


def _is_of_pixels(head: bytes) -> bool:
    first, _, _ = head.decode("utf-8", "replace").partition("\n")
    return "pixel" in first.lower() or len(re.split(r"[,;\t]", first)) >= MANY_COLUMNS


def _by_ending(name: str) -> Kind | None:
    """The kind of a file by its name, without the number of a part: `pets-train.tfrecord-00000-of-00002`."""
    last = name.rpartition("/")[2].lower()
    if last in SYSTEM_NAMES:
        return None
    whole = _PART.sub("", last)
    return next((kind for kind in KINDS if whole.endswith(kind.endings)), None)
