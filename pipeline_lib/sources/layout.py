"""Read class and split of an image from its path. One table of layouts, each a name and a pure function."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from pipeline_lib.sources.names import class_name
from pipeline_lib.sources.split_names import SPLIT_FOLDERS

Detected = Literal[
    "class_folders",
    "split_class_folders",
    "class_split_folders",
    "leaf_folders",
    "split_leaf_folders",
    "path_folders",
    "flat",
]
Folders = tuple[str, ...]


@dataclass(frozen=True)
class Layout:
    """How folders are read. meaning: for people. class_of: of the folders of an image below the shared ones.

    split_at: which of these names the split, where one does.
    """

    meaning: str
    class_of: Callable[[Folders], str | None]
    split_at: int | None = None


def _first(folders: Folders) -> str | None:
    return folders[0] if folders else None


def _second(folders: Folders) -> str | None:
    return folders[1] if len(folders) > 1 else None


def _last(folders: Folders) -> str | None:
    return folders[-1] if folders else None


def _last_below_first(folders: Folders) -> str | None:
    return _last(folders[1:])


def _all(folders: Folders) -> str | None:
    return "/".join(folders) or None


def _none(_: Folders) -> str | None:
    return None


LAYOUTS: Mapping[Detected, Layout] = {
    "class_folders": Layout("one folder per class", _first),
    "split_class_folders": Layout(
        "train/val/test folders with one folder per class in each", _second, 0
    ),
    "class_split_folders": Layout(
        "one folder per class with train/val/test folders in each", _first, 1
    ),
    "leaf_folders": Layout(
        "the innermost folder is the class; the folders above it mean nothing", _last
    ),
    "split_leaf_folders": Layout(
        "train/val/test folders; in each, the innermost folder is the class", _last_below_first, 0
    ),
    "path_folders": Layout(
        "the folders together are the class: indoor/lamp and outdoor/lamp are two", _all
    ),
    "flat": Layout("no class folders", _none),
}
READS_SPLITS = frozenset(kind for kind, layout in LAYOUTS.items() if layout.split_at is not None)


@dataclass(frozen=True)
class FolderLayout:
    """Which folder of a path names the class, and which the split.

    depth: folders above the first that tells (`digits/` in `digits/7/a.png`). splits: folder -> split as params.yaml
    states it; an image of another folder then has neither split nor, below split folders, a class. None: the usual
    names.
    """

    kind: Detected
    depth: int
    splits: Mapping[str, str] | None = None

    def label(self, name: str) -> str | None:
        """The class named by the class folder; None if the path has none."""
        folder = self.class_folder(name)
        return None if folder is None else class_name(folder)

    def class_folder(self, name: str) -> str | None:
        """The class folder as spelled in the path."""
        return self.class_of(tuple(name.split("/")[:-1]))

    def split(self, name: str) -> str | None:
        """train, val or test where the layout has split folders."""
        return self.split_of(tuple(name.split("/")[:-1]))

    def class_of(self, folders: Folders) -> str | None:
        """As `class_folder`, for the folders of a path."""
        layout, below = LAYOUTS[self.kind], folders[self.depth :]
        if self.splits is not None and layout.split_at == 0 and _first(below) not in self.splits:
            return None
        return layout.class_of(below)

    def split_of(self, folders: Folders) -> str | None:
        """As `split`, for the folders of a path."""
        at, below = LAYOUTS[self.kind].split_at, folders[self.depth :]
        if at is None or at >= len(below):
            return None
        return (
            SPLIT_FOLDERS.get(below[at].lower())
            if self.splits is None
            else self.splits.get(below[at])
        )


def detect_layout(
    names: Sequence[str],
    declared: str,
    splits: Mapping[str, str] | None = None,
    depth: int | None = None,
) -> FolderLayout:
    """Find the layout of a source from the names of its images; `declared` is the layout in params.yaml, or "auto".

    Folders shared by all images are skipped, unless one is a split folder. The next folders are splits when all of
    them are named so (a class may be called `train`, beside `bus` and `plane`), else classes. splits, depth: as
    params.yaml states them; with a depth, that many folders are skipped, shared or not.
    """
    folders = [tuple(name.split("/")[:-1]) for name in names]
    return layout_of_folders(folders, declared, splits, depth)


def layout_of_folders(
    folders: Sequence[Folders],
    declared: str,
    splits: Mapping[str, str] | None = None,
    stated_depth: int | None = None,
) -> FolderLayout:
    """As `detect_layout`, from the folders of each image, or each folder once."""
    kind: Detected = next(
        (kind for kind in LAYOUTS if kind == declared), "split_class_folders"
    )  # the last: "auto"
    if not folders:
        return FolderLayout("flat" if declared == "auto" else kind, 0, splits)
    if stated_depth is not None:
        return _at_depth(folders, declared, kind, splits, stated_depth)
    shared = _shared(min(folders), max(folders))
    depth = len(shared)
    split_above = [at for at, folder in enumerate(shared) if _is_split(folder, splits)]
    next_folders = {path[depth] for path in folders if len(path) > depth}
    if declared == "flat" or (declared == "auto" and not next_folders and not split_above):
        return FolderLayout("flat", depth, splits)
    if kind in ("class_folders", "leaf_folders", "path_folders"):
        return FolderLayout(kind, depth if next_folders else max(depth - 1, 0), splits)
    if kind == "class_split_folders":
        is_one_class = all(_is_split(folder, splits) for folder in next_folders)
        return FolderLayout(kind, max(depth - is_one_class, 0), splits)
    if split_above:
        return FolderLayout(kind, split_above[-1], splits)
    if declared == kind or all(_is_split(folder, splits) for folder in next_folders):
        return FolderLayout(kind, depth, splits)
    return FolderLayout("class_folders", depth, splits)


def _at_depth(
    folders: Sequence[Folders],
    declared: str,
    kind: Detected,
    splits: Mapping[str, str] | None,
    depth: int,
) -> FolderLayout:
    if declared != "auto":
        return FolderLayout(kind, depth, splits)
    next_folders = {path[depth] for path in folders if len(path) > depth}
    are_splits = all(_is_split(folder, splits) for folder in next_folders)
    return FolderLayout("split_class_folders" if are_splits else "class_folders", depth, splits)


def _is_split(folder: str, splits: Mapping[str, str] | None) -> bool:
    return folder.lower() in SPLIT_FOLDERS if splits is None else folder in splits


def less_repeated(below: Mapping[Folders, int]) -> Counter[Folders]:
    """Images by folders, without those that hold themselves: cat/cat, dog/dog of archives with a folder of their name."""
    counts: Counter[Folders] = Counter()
    for path, n in below.items():
        is_repeated = len(path) > 1 and path[0] == path[1]
        counts[path[:1] + path[2:] if is_repeated else path] += n
    return counts


def less_shared(paths: Sequence[Folders]) -> list[Folders]:
    """The paths without the folders that all begin with (amazon/images/bike, dslr/images/bike), and without those that end."""
    while paths and len({path[0] for path in paths}) == 1:
        paths = [path[1:] for path in paths if len(path) > 1]
    return list(paths)


def _shared(first: Folders, last: Folders) -> Folders:
    """The folders that the smallest and the largest of many paths begin with, and so all between them."""
    same = [
        one
        for one, other in takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    ]
    return tuple(same)
