"""Somebody's own images: recognised as `perennial init` recognises them, some drawn by a hash, and those copied."""

from __future__ import annotations

import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.errors import BadData, NoSpace, UsageError
from pipeline_lib.files.atomic import translate_full_disk
from pipeline_lib.settings import Settings
from pipeline_lib.shards.sniff import HEAD_BYTES, may_be_image
from pipeline_lib.shards.streams import opener_of
from pipeline_lib.shards.tar_headers import read_members
from pipeline_lib.sources.names import encode_name, is_undecided, without_archive_ending
from pipeline_lib.sources.range_file import RangeFile
from pipeline_lib.survey import (
    SourceAnswer,
    describe_doubt,
    describe_labels_doubt,
    look_at,
    survey_of,
)
from pipeline_lib.survey.contents import Seen
from pipeline_lib.survey.look import Looked

COMMAND = "make demo-photographs SOURCE=folder-or-archive"
FEWEST = 50  # curate judges no labels by fewer, see pipeline_lib/curate/label_issues.py
OF_A_CLASS = 20  # so many are drawn of each class before any class gets more
MOST_BYTES = 1 << 28  # of one image that is drawn
# The copy, its shards and what training reads, in times the bytes of the images; and the models, as init estimates them
ROOM, MODELS_BYTES = 3, 150_000_000


@dataclass(frozen=True)
class OwnImage:
    """name: as stored in the source. split: "" where the source publishes none."""

    name: str
    size_bytes: int
    class_id: str
    split: str


@dataclass(frozen=True)
class Drawn:
    """The images that were drawn, in the order of the draw; and how many images and classes the source has."""

    looked: Looked
    images: tuple[OwnImage, ...]
    n_images: int
    n_classes: int


def find_images(
    uri: str, settings: Settings, *, root: Path, answer: SourceAnswer, count: int, seed: int
) -> Drawn:
    """Draw at most `count` images of the source. answer: what a person says of its layout and labels.

    Raises UsageError, naming the choices, where the folders can be read in several ways; BadData for fewer than 50
    images or 2 classes; and what `perennial init` raises for a source that it cannot read.
    """
    looked = look_at(uri, settings, root=root)
    found = survey_of(looked, settings, root=root, answer=answer)
    if found.labels_doubt is not None:
        print(f"{uri}: {describe_labels_doubt(found.labels_doubt)}", flush=True)
        remedy = f"choose one: `{COMMAND} LABELS=FILE`"
        what = "several things can tell the classes, and nothing was planted"
        raise UsageError(what, file=uri, value=found.labels_doubt.why, remedy=remedy)
    if found.doubt is not None:
        print(f"{uri}: {describe_doubt(found.doubt)}", flush=True)
        choices = ", ".join(one.layout for one in found.doubt.readings)
        remedy = f"choose one: `{COMMAND} LAYOUT=NAME` with NAME one of {choices}"
        what = "the folders can be read in several ways, and nothing was planted"
        raise UsageError(what, file=uri, value=found.doubt.why, remedy=remedy)

    # Each image with its class, as the survey reads folders and labels.
    by_name: dict[str, OwnImage] = {}  # the first of equal names, which an archive may have
    for one in looked.taken:
        label, split = found.class_of.get(one.name), found.split_of.get(one.name) or ""
        if label is not None and one.size_bytes <= MOST_BYTES and _is_named_or_looks_so(one):
            by_name.setdefault(one.name, OwnImage(one.name, one.size_bytes, label, split))
    publishes_splits = any(image.split for image in by_name.values())
    images = [image for image in by_name.values() if image.split or not publishes_splits]
    drawn = draw(images, count=count, seed=seed)
    _check(uri, images, drawn, remarks=found.problems)
    classes = {image.class_id for image in images}
    return Drawn(looked, tuple(drawn), n_images=len(images), n_classes=len(classes))


def draw(images: Sequence[OwnImage], *, count: int, seed: int) -> list[OwnImage]:
    """At most `count` of the images: the same for the same names and seed, whatever their order.

    20 of each class come first, then every class in proportion to its size. Of more than count / 20 classes only as
    many are drawn, by a hash too: a class of one image says nothing about the line.
    """
    by_class: dict[str, list[OwnImage]] = defaultdict(list)
    for image in sorted(images, key=lambda one: (_hash(seed, one.name), one.name)):
        by_class[image.class_id].append(image)
    classes = sorted(by_class, key=lambda name: (_hash(seed, name), name))
    ranked = []
    for name in classes[: max(2, count // OF_A_CLASS)]:
        for rank, image in enumerate(by_class[name]):
            is_first = rank < OF_A_CLASS
            place = rank if is_first else (rank + 0.5) / len(by_class[name])
            ranked.append(((not is_first, place, _hash(seed, image.name), image.name), image))
    return [image for _, image in sorted(ranked, key=lambda pair: pair[0])[:count]]


def check_room(drawn: Drawn, folder: Path, free_bytes: int) -> None:
    """Raise NoSpace where the disk has less than the trial will take, about."""
    needed = ROOM * sum(image.size_bytes for image in drawn.images) + MODELS_BYTES
    if free_bytes < needed:
        remedy = f"free some, or try fewer: `{COMMAND} COUNT={max(FEWEST, len(drawn.images) // 4)}`"
        value = f"{free_bytes / 1e6:,.0f} MB free, about {needed / 1e6:,.0f} MB needed"
        raise NoSpace("too little room for the trial", file=folder, value=value, remedy=remedy)


def copy_images(drawn: Drawn, target: Path) -> Iterator[Path]:
    """Copy the drawn images to `target`, each named by its number in the draw; the source is only read.

    Yields each file as it is written, in any order.
    """
    number = {image.name: n for n, image in enumerate(drawn.images)}
    with translate_full_disk(target):
        for name, data in _bytes_of(drawn.looked, number):
            file = target / f"{number[name]:06d}"
            file.write_bytes(data)
            yield file


def _bytes_of(looked: Looked, wanted: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The bytes of the files of these names; a compressed tar is read once, from its beginning."""
    names, place = set(wanted), looked.place
    in_streams: set[str] = set()
    for archive in looked.contents.archives:
        prefix = "" if place.is_single else without_archive_ending(archive.key) + "/"
        file = io.BufferedReader(RangeFile(place, archive), 1 << 20)
        opener = opener_of(file.peek(6)[:6])
        if opener is None:
            continue
        with opener(file, "rb") as stream:
            for member in read_members(stream, start=0, end=None):
                name = prefix + encode_name(member.name.removeprefix(b"./"))
                if member.is_file and name in names - in_streams:
                    in_streams.add(name)
                    yield name, stream.read(member.size_bytes)
                if names <= in_streams:
                    return
    done: set[str] = set()
    for one in looked.contents.files:
        if one.name in names - in_streams - done and one.first:
            done.add(one.name)
            yield one.name, one.first(one.size_bytes)


def _is_named_or_looks_so(one: Seen) -> bool:
    """Whether the ending says that it is an image, or else its first bytes."""
    if not is_undecided(one.name):
        return True
    return one.first is not None and may_be_image(one.first(HEAD_BYTES))


def _check(
    uri: str, images: Sequence[OwnImage], drawn: Sequence[OwnImage], *, remarks: Sequence[str]
) -> None:
    classes = {image.class_id for image in drawn}
    why = f"{len(images)} images with a class, {len(classes)} classes"
    if len(classes) < 2:
        said = f"; {remarks[0].rstrip('.')}" if remarks and not images else ""
        what, remedy = (
            "there are no two classes to tell apart",
            "name images of two classes or more",
        )
        raise BadData(what, file=uri, value=why + said, remedy=f"{remedy} (LABELS=FILE: a table)")
    if len(drawn) < FEWEST:
        remedy = f"name a source with {FEWEST} or more, and leave COUNT at {FEWEST} or above"
        raise BadData("too few images to judge the line by", file=uri, value=why, remedy=remedy)


def _hash(seed: int, name: str) -> bytes:
    return hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest()
