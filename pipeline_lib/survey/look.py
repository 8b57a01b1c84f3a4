"""Look at a source before anything is taken from it."""

from __future__ import annotations

import io
import statistics
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from pipeline_lib.errors import BadData, SourceMissing, UsageError
from pipeline_lib.harness.progress import progress
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.pixels.other_formats import PILLOW_NAME
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.shards.sniff import HEAD_BYTES as SNIFFED_BYTES
from pipeline_lib.shards.sniff import may_be_image, sniff
from pipeline_lib.sources.doubt import Doubt
from pipeline_lib.sources.layout import Detected
from pipeline_lib.sources.names import is_undecided
from pipeline_lib.sources.objects import Place
from pipeline_lib.sources.places import place_of
from pipeline_lib.survey.answers import NO_KEYS, Keys
from pipeline_lib.survey.class_words import ClassWord
from pipeline_lib.survey.contents import HEAD_BYTES, Contents, Seen, look_into
from pipeline_lib.survey.label_choice import LabelsDoubt
from pipeline_lib.survey.subjects import NO_SUBJECTS, Subjects
from pipeline_lib.survey.unread import are_pointers, instead_of_images

SAMPLED = 200
FORMATS = tuple(
    name for name in PILLOW_NAME.values() if name != "HEIF"
)  # none that starts a program, as EPS does
PNG_START, PNG_SIZE_END = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR", 24
POINTERS = 5  # files that are looked into
OPENED = 500  # files whose names do not say what they are; on S3 each is a request


@dataclass(frozen=True)
class LeftOut:
    """Files that a pattern of `include` or `exclude` leaves out. what: for people, "" where a person wrote it."""

    pattern: str
    what: str
    n_files: int


@dataclass(frozen=True)
class Survey:
    """What a source holds. Counts are of images by name; sizes and formats are of a sample of up to 200."""

    uri: str
    kind: str  # "folder", "archive", "S3 prefix", ...
    layout: Detected
    n_images: int
    size_bytes: int
    is_complete: bool  # False: only the beginning of an archive was looked at, so the counts are lower bounds
    classes: tuple[tuple[str, int], ...]  # (class, images), by name
    splits: tuple[tuple[str, int], ...]
    refused: tuple[tuple[str, int], ...]  # (reason, files)
    formats: tuple[tuple[str, int], ...]  # (format, sampled images), most first
    short_sides_px: tuple[int, ...]  # of the sample, sorted
    problems: tuple[str, ...]
    samples: tuple[Seen, ...] = field(
        default=(), compare=False, repr=False
    )  # those that were looked at
    class_of: Mapping[str, str | None] = field(default_factory=dict, compare=False, repr=False)
    split_of: Mapping[str, str | None] = field(default_factory=dict, compare=False, repr=False)
    keys: Keys = NO_KEYS  # for params.yaml
    why: str = ""  # this layout was recognised; "" where it is an ordinary one, or a person said it
    left_out: tuple[LeftOut, ...] = ()
    doubt: Doubt | None = None  # of the folders, where nobody has answered it
    labels: LabelsFile | None = None  # where the labels are, and how they are read
    labels_declined: bool = False  # a person said that the folders tell the classes
    labels_why: str = ""  # how they were recognised; "" if a person named them
    labels_doubt: LabelsDoubt | None = None  # where nobody has said which files tell the classes
    columns: str = ""  # which of their columns say what
    examples: tuple[str, ...] = ()  # names of images, spread over splits and classes
    extras: tuple[str, ...] = ()  # what else the labels say
    subjects: Subjects = NO_SUBJECTS  # said or offered
    words: tuple[
        ClassWord, ...
    ] = ()  # what the source says of its classes, for curation/classes.csv

    @property
    def short_side_px(self) -> int | None:
        """The median; None when no sampled image could be read."""
        return round(statistics.median(self.short_sides_px)) if self.short_sides_px else None


@dataclass(frozen=True)
class Header:
    """What the beginning of a file says. format: as Pillow has it; "" where it is no image. short_side_px: 0 if unknown."""

    format: str
    short_side_px: int = 0


@dataclass(frozen=True)
class Looked:
    """The files of a source, before it is said how to read their folders.

    taken: by name, and by their first bytes where a name does not tell; n_unopened: files whose names do not tell and
    that were not opened. headers: of the samples, by name.
    """

    uri: str
    place: Place
    contents: Contents
    taken: tuple[Seen, ...]
    refused: Counter[str]
    n_unopened: int
    samples: tuple[Seen, ...]
    headers: Mapping[str, Header]


def look_at(uri: str, settings: Settings, *, root: Path) -> Looked:
    """List a folder, archive, bucket or web address, and read the headers of a sample.

    Raises BadData when it has no image, UsageError for a single file that is no archive, and what listing raises.
    """
    named = "name the folder, archive, s3://, gs:// or az:// prefix, or https://host/archive that holds images"
    try:
        place = place_of(uri, settings, root=root)
    except SourceMissing as error:
        raise SourceMissing(error.what, file=uri, value=error.value, remedy=named) from error
    with progress("list", "files", None, settings) as step:
        contents = look_into(place, step)
    if place.is_single and not contents.archives:
        kind, remedy = instead_of_images(contents.files) or ("", named)
        what = "this is one file, and not an archive of images"
        raise UsageError(what, file=uri, value=kind, remedy=remedy or named)
    files, n_unopened = _opened(contents.files)
    taken = tuple(one for one in files if one.refused is None)
    refused = Counter(str(one.refused) for one in files if one.refused is not None)
    if not taken:
        counts = (
            ", ".join(f"{reason}: {count}" for reason, count in sorted(refused.items()))
            or "no files"
        )
        if instead := instead_of_images(contents.files):
            counts, named = f"{counts}; {instead[0]}", instead[1] or named
        raise BadData("no image is there", file=uri, value=counts, remedy=named)
    samples = _samples(taken)
    with progress("read", "headers", len(samples), settings) as step:
        headers = {one.name: _header_of(one, step) for one in samples}
    heads = [one.first(SNIFFED_BYTES) for one in samples[:POINTERS] if one.first]
    if not any(one.format for one in headers.values()) and are_pointers(heads):
        raise BadData(
            "the images are pointers of Git LFS",
            file=uri,
            value=samples[0].name,
            remedy="run `git lfs pull` in their repository",
        )
    return Looked(uri, place, contents, taken, refused, n_unopened, samples, headers)


def _opened(files: Sequence[Seen]) -> tuple[list[Seen], int]:
    """The files, those refused whose bytes are no image's, as `download` will; and how many were not looked at."""
    undecided = [one for one in files if one.first and is_undecided(one.name)]
    no_images: set[str] = set()
    for one in undecided[:OPENED]:
        head = one.first(SNIFFED_BYTES) if one.first else b""
        if not may_be_image(head):
            no_images.add(one.name)
    sniffed = [
        replace(one, fault=Reason.NOT_IMAGE) if one.name in no_images else one for one in files
    ]
    return sniffed, max(len(undecided) - OPENED, 0)


def _samples(taken: Sequence[Seen]) -> tuple[Seen, ...]:
    """Up to SAMPLED images, evenly spread."""
    within_reach = [one for one in taken if one.first]
    return tuple(within_reach[:: -(-len(within_reach) // SAMPLED) or 1])


def _header_of(one: Seen, step: Callable[[int], object]) -> Header:
    head = one.first(HEAD_BYTES) if one.first else b""
    step(1)
    if sniff(head) == "heic":
        return Header("HEIC")
    found = _header(head)
    return Header(*found) if found else Header("")


def _header(head: bytes) -> tuple[str, int] | None:
    """(format, short side in pixels) as the header says; None for what has no header of an image."""
    if head.startswith(
        PNG_START
    ):  # its size comes first, and what Pillow may stumble over is ignored later on too
        return "PNG", min(
            struct.unpack_from(">II", head.ljust(PNG_SIZE_END, b"\0"), len(PNG_START))
        )
    try:
        with Image.open(io.BytesIO(head), formats=FORMATS) as image:
            return image.format or "?", min(image.size)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
