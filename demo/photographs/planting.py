"""Plant: write the drawn images with their faults into a folder, and the list of what is wrong with them beside it."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from demo.photographs.faults import File, as_received, plan
from demo.photographs.source import Drawn, OwnImage, copy_images
from pipeline_lib.files.atomic import atomic_folder, link_or_copy, remove_tree
from pipeline_lib.harness.progress import progress
from pipeline_lib.settings import Settings
from pipeline_lib.sources.names import decode_name, encode_name

PLANTER_VERSION = 1  # raised when the same seed gives other files
IMAGES, LIST = "images", "planted.json"
SPLIT_FIRST, CLASS_FIRST = "split_class_folders", "class_folders"
LONGEST_NAME_BYTES = 200
EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)


@dataclass(frozen=True)
class PlantedFile:
    """One file of the trial. member: its name below the folder of images, as in image ids. yours: the one it is made of.

    received: the class folder it lies in. truth: "" where it shows none of the classes. kind: "" where nothing was
    done to it. copy_of: the member that it copies. code: the reason or remark it should get.
    """

    member: str
    yours: str
    received: str
    truth: str
    split: str
    kind: str = ""
    copy_of: str = ""
    code: str = ""


@dataclass(frozen=True)
class Planted:
    """A trial's files. key: says whether a later trial is the same. n_images, n_classes: of the source."""

    key: str
    uri: str
    seed: int
    n_images: int
    n_classes: int
    files: tuple[PlantedFile, ...]

    @property
    def layout(self) -> str:
        """How the folder of images is read."""
        return SPLIT_FIRST if any(file.split for file in self.files) else CLASS_FIRST

    def of_kind(self, start: str) -> list[PlantedFile]:
        """The files whose kind begins so; "" gives those without a fault."""
        return [
            file for file in self.files if (file.kind.startswith(start) if start else not file.kind)
        ]


def trial_key(drawn: Drawn, *, seed: int) -> str:
    """The same as long as the same images would be planted the same way."""
    facts = [seed, PLANTER_VERSION, drawn.looked.uri, *map(asdict, drawn.images)]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def plant(drawn: Drawn, settings: Settings, *, folder: Path, seed: int) -> Planted:
    """Write images/ and planted.json into `folder`, which appears whole or not at all. The source is only read."""
    rng = np.random.default_rng(seed)
    with atomic_folder(folder) as partial:
        originals = partial / "originals"
        originals.mkdir()
        with progress("copy", "images", len(drawn.images), settings) as step:
            for _ in copy_images(drawn, originals):
                step(1)
        files = plan(drawn.images, lambda at: _format(originals / f"{at:06d}"), rng)
        members = _members(files, rng)
        entries = []
        with progress("plant", "files", len(files), settings) as step:
            for file, member in zip(files, members, strict=True):
                entries.append(_entry(file, member, members, drawn.images))
                _write(file, originals, file_of(partial, member))
                step(1)
        remove_tree(originals)
        planted = Planted(
            trial_key(drawn, seed=seed),
            drawn.looked.uri,
            seed,
            drawn.n_images,
            drawn.n_classes,
            tuple(entries),
        )
        text = json.dumps(asdict(planted), indent=0) + "\n"
        (partial / LIST).write_text(text, encoding="utf-8")
    return planted


def read_planted(folder: Path) -> Planted | None:
    """The list of an earlier trial; None without one."""
    file = folder / LIST
    if not file.exists():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    entries: Iterable[dict[str, str]] = content.pop("files")
    return Planted(files=tuple(PlantedFile(**entry) for entry in entries), **content)


def file_of(folder: Path, member: str) -> Path:
    """The file of a member, in the folder that `plant` wrote."""
    return folder / IMAGES / os.fsdecode(decode_name(member))


def _members(files: Sequence[File], rng: np.random.Generator) -> list[str]:
    """Split, class folder and a number drawn by lot: the name tells nothing of the fault."""
    members = []
    for file, number in zip(files, rng.permutation(len(files)).tolist(), strict=True):
        folders = "/".join(filter(None, [file.split, encode_name(_folder(file.received).encode())]))
        members.append(f"{folders}/{number:05d}{file.ending}")
    return members


def _entry(
    file: File, member: str, members: Sequence[str], images: Sequence[OwnImage]
) -> PlantedFile:
    """members: of all files, of which the drawn images themselves come first."""
    return PlantedFile(
        member=member,
        yours="" if file.of is None else images[file.of].name,
        received=_folder(file.received),
        truth=file.truth and _folder(file.truth),
        split=file.split,
        kind=file.kind,
        copy_of=members[file.of] if file.is_copy and file.of is not None else "",
        code=file.code,
    )


def _write(file: File, originals: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.of is None:
        target.write_bytes(file.change(b""))
        return
    original = originals / f"{file.of:06d}"
    if file.change is as_received:
        link_or_copy(original, target)
    else:
        target.write_bytes(file.change(original.read_bytes()))


def _folder(class_id: str) -> str:
    """A class as the name of a folder, which a table of labels may give a name that none can have."""
    name = class_id.replace("/", "%2F").replace("\0", "%00")
    name = f"%2E{name[1:]}" if name.startswith(".") else name
    if len(name.encode()) > LONGEST_NAME_BYTES:
        digest = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
        name = f"{name.encode()[: LONGEST_NAME_BYTES // 2].decode(errors='ignore')}-{digest}"
    return name


def _format(file: Path) -> str | None:
    """Pillow's name of the format; None for what it cannot decode to 8 bits per channel."""
    try:
        with warnings.catch_warnings(), Image.open(file) as image:
            warnings.simplefilter("ignore")  # of large images and odd metadata
            form = image.format
            image.draft("RGB", (256, 256))  # a JPEG in a fraction of the time, and read to its end
            image.load()
            return form if image.mode in EIGHT_BITS else None
    except UNREADABLE:
        return None
