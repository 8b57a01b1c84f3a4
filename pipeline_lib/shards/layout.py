"""What a path says of a picture: its class and its split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from pipeline_lib.shards.names import class_name

Detected = Literal["class_folders", "split_class_folders", "flat"]
SPLIT_FOLDERS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class FolderLayout:
    """Which folder of a path names what. depth: folders above the first that tells (`digits/` in `digits/7/a.png`)."""

    kind: Detected
    depth: int

    def label(self, name: str) -> str | None:
        """The class that the class folder names; None where the path has none."""
        folder = self.class_folder(name)
        return None if folder is None else class_name(folder)

    def class_folder(self, name: str) -> str | None:
        """The class folder as the path spells it."""
        at = self.depth + (self.kind == "split_class_folders")
        folders = name.split("/")[:-1]
        return folders[at] if self.kind != "flat" and at < len(folders) else None

    def split(self, name: str) -> str | None:
        """train, val or test where the layout has split folders."""
        folders = name.split("/")[:-1]
        if self.kind != "split_class_folders" or self.depth >= len(folders):
            return None
        return SPLIT_FOLDERS.get(folders[self.depth].lower())


def detect_layout(names: Sequence[str], declared: str) -> FolderLayout:
    """Find the layout of a source from the names of its pictures; `declared` is params.yaml's word, or "auto".

    Folders shared by all pictures are skipped, unless one is a split folder. The next folders are splits when all of
    them are named so (a class may be called `train`, beside `bus` and `plane`), else classes.
    """
    folders = [tuple(name.split("/")[:-1]) for name in names]
    if not folders:
        return FolderLayout("flat" if declared == "auto" else _declared(declared), 0)
    shared = _shared(min(folders), max(folders))
    depth = len(shared)
    split_above = [at for at, folder in enumerate(shared) if folder.lower() in SPLIT_FOLDERS]
    next_folders = {path[depth] for path in folders if len(path) > depth}
    if declared == "flat" or (declared == "auto" and not next_folders and not split_above):
        return FolderLayout("flat", depth)
    if declared == "class_folders":
        return FolderLayout("class_folders", depth if next_folders else max(depth - 1, 0))
    if split_above:
        return FolderLayout("split_class_folders", split_above[-1])
    if declared == "split_class_folders" or all(folder.lower() in SPLIT_FOLDERS for folder in next_folders):
        return FolderLayout("split_class_folders", depth)
    return FolderLayout("class_folders", depth)


def _shared(first: tuple[str, ...], last: tuple[str, ...]) -> tuple[str, ...]:
    """The folders that the smallest and the largest of many paths begin with, and so all between them."""
    same = [one for one, other in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))]
    return tuple(same)


def _declared(kind: str) -> Detected:
    return (
        "split_class_folders"
        if kind == "split_class_folders"
        else "class_folders"
        if kind == "class_folders"
        else "flat"
    )
