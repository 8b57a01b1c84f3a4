"""Recognise the layout of a source from the names of its files.

Two tables of small pure functions. SET_ASIDE finds what accompanies images and is none to learn from (masks, copies of
another colour); LAYOUT_ROWS finds how the others are read, where names leave no other reading. What they do not settle is
judged by `doubt`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline_lib.sources.layout import Folders, layout_of_folders
from pipeline_lib.sources.set_aside import SET_ASIDE, path_pattern
from pipeline_lib.sources.split_names import SPLIT_FOLDERS, split_names, words_of

FEW = 0.1  # share of images up to which a folder beside the splits is a stray one
WITHOUT_CLASSES = "no folder and no table gives them a class; name one with --labels to use them"
UNLABELLED = frozenset({"pred", "predict", "unlabeled", "unlabelled", "unsupervised", "unsup"})
NEVER_CLASSES = frozenset(
    {
        "doc", "docs", "documentation", "figure", "figures", "screenshot", "screenshots", "asset", "assets", "readme",
        "logo", "logos", "banner", "banners", "thumbnail", "thumbnails", "preview", "previews",
    }
)  # fmt: skip
WRAPPERS = 2  # folders between split and classes that hold nothing else


@dataclass(frozen=True)
class Listing:
    """The images of a source by name. has_labels: files of labels tell their classes, and names only what is left out."""

    images: tuple[str, ...]
    has_labels: bool = False


@dataclass(frozen=True)
class Shape:
    """What was recognised, as params.yaml states it. why: for people, one line.

    exclude: pattern -> what it leaves out, for people.
    """

    why: str
    layout: str
    splits: Mapping[str, str] | None = None
    depth: int | None = None
    class_from: str | None = None
    exclude: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tree:
    """Images counted by their folders, below the shared ones. depth: how many are shared."""

    below: Mapping[Folders, int]
    depth: int
    prefix: str
    listing: Listing

    @property
    def tops(self) -> frozenset[str]:
        """The first folders."""
        return frozenset(path[0] for path in self.below if path)

    def inside(self, *path: str) -> frozenset[str]:
        """The folders directly in a folder."""
        n = len(path)
        return frozenset(one[n] for one in self.below if len(one) > n and one[:n] == path)

    def count(self, *path: str) -> int:
        """How many images lie in a folder and below."""
        return sum(n for one, n in self.below.items() if one[: len(path)] == path)


def recognise(listing: Listing) -> Shape | None:
    """The layout of these files, where their names leave one reading; None where they do not."""
    if not listing.images:
        return None
    folders = Counter(name.rpartition("/")[0] for name in listing.images)
    counts = {tuple(path.split("/")) if path else (): n for path, n in folders.items()}
    depth = layout_of_folders(list(counts), "auto").depth
    below: Counter[Folders] = Counter()
    for path, n in counts.items():
        below[path[depth:]] += n
    shared = next((path[:depth] for path in counts if len(path) >= depth), ())
    tree = Tree(below, depth, "".join(f"{one}/" for one in shared), listing)
    return next((shape for row in LAYOUT_ROWS.values() if (shape := row(tree))), None)


def set_aside(names: Sequence[str]) -> dict[str, str]:
    """Pattern of `exclude` -> what it leaves out, for images that accompany others."""
    return {pattern: what for find in SET_ASIDE for pattern, what in find(names).items()}


def kaggle_ilsvrc(tree: Tree) -> Shape | None:
    """ILSVRC/Data/CLS-LOC/{train/<wnid>,val,test} (Kaggle, ILSVRC2016_CLS-LOC)."""
    is_there = "CLS-LOC/" in tree.prefix and {"train", "val"} <= tree.tops
    return _imagenet(tree, "train", "val", ["test"]) if is_there else None


def official_ilsvrc(tree: Tree) -> Shape | None:
    """ILSVRC2012_img_train.tar, a tar of one tar per class, and ILSVRC2012_img_val.tar."""
    train, val = "ILSVRC2012_img_train", "ILSVRC2012_img_val"
    tests = [top for top in tree.tops if top.startswith("ILSVRC2012_img_test")]
    return _imagenet(tree, train, val, tests) if {train, val} <= tree.tops else None


def tiny_imagenet(tree: Tree) -> Shape | None:
    """train/<wnid>/images/*.JPEG, val/images/*.JPEG, test/images/*.JPEG."""
    classes = tree.inside("train")
    is_there = classes and all(tree.inside("train", one) == {"images"} for one in classes)
    is_there = is_there and tree.inside("val") == {"images"}
    return _imagenet(tree, "train", "val", ["test"]) if is_there else None


def splits_of_the_same_classes(tree: Tree) -> Shape | None:
    """Folders named like splits whose folders repeat the classes of train; others beside them are stray.

    Evaluation images without class folders, as of a competition, cannot be used: they are left out.
    """
    if tree.listing.has_labels:
        return None
    named = split_names(tree.tops)
    train = [top for top, split in named.items() if split == "train"]
    if len(train) != 1:
        return None
    unlabelled = {top for top in tree.tops if UNLABELLED & set(words_of(top))}
    flat = {top for top in {*named, *unlabelled} - {train[0]} if _is_flat(tree, top)}
    used = {top: split for top, split in named.items() if top not in flat}
    wrapper = _wrapper(tree, used)
    classes = {top: tree.inside(top, *wrapper[top]) for top in used}
    learnt = classes[train[0]]
    if len(set(used.values())) < len(used):
        return None  # test beside holdout: one of them may be none
    if len(learnt) < 2 or not all(found and found <= learnt for found in classes.values()):
        return None
    if any(tree.inside(top, *wrapper[top], one) for top in used for one in classes[top]):
        return None  # deeper folders may be the classes
    strays = _strays(tree, {*used, *flat}, learnt)
    if strays is None or (
        len(used) == 1 and not flat and not {one.lower() for one in strays} & NEVER_CLASSES
    ):
        return None
    n_wrappers = len(wrapper[train[0]])
    is_usual = all(top.lower() in SPLIT_FOLDERS for top in used)
    if is_usual and not strays and not flat and not n_wrappers:
        return None
    said = ", ".join(top if top == split else f"{top} ({split})" for top, split in used.items())
    verb = "holds" if len(used) == 1 else "hold folders of the same"
    why = f"{said} {verb} {len(learnt)} classes"
    exclude = {
        path_pattern(tree.prefix, top): "it lies beside the splits" for top in sorted(strays)
    }
    exclude |= {path_pattern(tree.prefix, top): WITHOUT_CLASSES for top in sorted(flat)}
    if n_wrappers:
        pattern = "/".join(["{split}", *["*"] * n_wrappers, "{class}", "*"])
        return Shape(why, "auto", used, class_from=pattern, exclude=exclude)
    return Shape(why, "split_class_folders", used, tree.depth or None, exclude=exclude)


def splits_in_each_class(tree: Tree) -> Shape | None:
    """cat/train, cat/test, dog/train, dog/test: each class holds the same splits and nothing else."""
    inside = {top: tree.inside(top) for top in tree.tops}
    every = frozenset().union(*inside.values()) if inside else frozenset()
    splits = split_names(every)
    is_split = set(splits) == every and len(set(splits.values())) > 1 and "train" in splits.values()
    if not is_split or len(tree.tops) < 2 or any(len(path) != 2 for path in tree.below):
        return None
    if not all("train" in {splits[one] for one in found} for found in inside.values()):
        return None
    why = f"each of {len(tree.tops)} folders holds {', '.join(sorted(every))}: the classes, each with its splits"
    return Shape(why, "class_split_folders", splits, tree.depth or None)


def below_first_letters(tree: Tree) -> Shape | None:
    """a/abbey, a/apartment_building/outdoor, b/bar, as Places365 has it: a letter, and the classes that begin with it."""
    tops = tree.tops
    if len(tops) < 2 or () in tree.below or any(len(top) != 1 for top in tops):
        return None
    if any(len(path) < 2 or not path[1].lower().startswith(path[0].lower()) for path in tree.below):
        return None
    why = "the classes lie below their first letters"
    return Shape(why, "path_folders", {}, tree.depth + 1)


LAYOUT_ROWS: Mapping[str, Callable[[Tree], Shape | None]] = {
    "Kaggle's ImageNet": kaggle_ilsvrc,
    "ImageNet's own archives": official_ilsvrc,
    "Tiny ImageNet": tiny_imagenet,
    "splits that repeat the classes": splits_of_the_same_classes,
    "splits in each class": splits_in_each_class,
    "classes below their first letters": below_first_letters,
}


def _imagenet(tree: Tree, train: str, val: str, tests: Sequence[str]) -> Shape:
    """Train by class folders. Val has its classes from a file of labels, or is left out; those of test are not published."""
    aside = {
        path_pattern(tree.prefix, top): "test images, whose classes are not published"
        for top in sorted(tests)
        if top in tree.tops
    }
    if not tree.listing.has_labels and _is_flat(tree, val):
        aside[path_pattern(tree.prefix, val)] = WITHOUT_CLASSES
    splits = (
        {train: "train"}
        if path_pattern(tree.prefix, val) in aside
        else {train: "train", val: "val"}
    )
    why = "ImageNet: the folders of train are the classes"
    return Shape(why, "split_class_folders", splits, tree.depth or None, exclude=aside)


def _is_flat(tree: Tree, top: str) -> bool:
    """Whether a folder holds no class folders, but at most wrappers around its images: Final_Test/Images, seg_pred/seg_pred."""
    path: Folders = (top,)
    for _ in range(WRAPPERS + 1):
        inside = tree.inside(*path)
        if not inside:
            return True
        if len(inside) > 1 or path in tree.below:
            return False
        path = (*path, *inside)
    return False


def _wrapper(tree: Tree, tops: Collection[str]) -> dict[str, Folders]:
    """The folders between each split and its classes that hold nothing but the next: seg_train/seg_train/forest."""
    found: dict[str, Folders] = dict.fromkeys(tops, ())
    for _ in range(WRAPPERS):
        inside = {top: tree.inside(top, *path) for top, path in found.items()}
        holds_images = any((top, *path) in tree.below for top, path in found.items())
        if holds_images or any(len(one) != 1 for one in inside.values()):
            return found
        found = {top: (*path, *inside[top]) for top, path in found.items()}
    return found


def _strays(tree: Tree, splits: Collection[str], classes: Collection[str]) -> set[str] | None:
    """Folders beside the splits that are no part of them; None where one may be: it repeats a class, or is large."""
    others = tree.tops - set(splits)
    total = sum(tree.below.values())
    for top in others:
        is_large = tree.count(top) > FEW * total and top.lower() not in NEVER_CLASSES
        if tree.inside(top) & set(classes) or is_large:
            return None
    return set(others)
