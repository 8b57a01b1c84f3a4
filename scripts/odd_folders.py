"""Folders as people have them, and how `perennial init` reads each: the table of docs/layouts.md.

The doubtful ones are also the cases of tests/unit/sources/test_layout_doubt.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from pipeline_lib.sources.doubt import find_doubt, in_words, reading_of
from pipeline_lib.sources.layout import LAYOUTS, layout_of_folders


def below(*folders: str, n: int = 2) -> list[str]:
    """Names of n images in each folder."""
    return [f"{folder}/{number}.jpg" for folder in folders for number in range(n)]


def each(outer: str, inner: str = "cat dog") -> list[str]:
    """Names of images where every folder of `outer` holds all folders of `inner`."""
    return below(*(f"{one}/{other}" for one in outer.split() for other in inner.split()))


ORDINARY: Final[Mapping[str, list[str]]] = {
    "one folder per class": below("cat", "dog"),
    "the same below a folder": below("photos/cat", "photos/dog"),
    "train, val, test": each("train val test"),
    "train and validation, in capitals": each("Train Validation"),
    "class ids": below("n01440764", "n01443537"),
    "digits": below("0", "1", "2"),
    "a class called train": below("train", "plane", "car"),
    "classes that end in train": below("bullet_train", "steam_train"),
    "class folders and a loose image": [*below("cat", "dog"), "banner.png"],
    "images without folders": ["a.jpg", "b.jpg"],
}
DOUBTFUL: Final[Mapping[str, list[str]]] = {
    "train, dev, testing": each("train dev testing"),
    "train and eval": each("train eval"),
    "train, val and eval": each("train val eval"),
    "trainval and test": each("trainval test"),
    "training_set and test_set": each("training_set test_set"),
    "images_train and images_val": each("images_train images_val"),
    "Training, validation-set, dev_set": each("Training validation-set"),
    "pets_train beside pets_test": each("pets_train pets_test"),
    "German names": each("Trainingsdaten Testdaten"),
    "a fourth folder beside the splits": [*each("train val test"), "docs/banner.png"],
    "train and a stray folder": [*each("train"), "docs/banner.png"],
    "train, test and unlabelled images": [*each("train test"), *below("unlabeled")],
    "flat dev, train, testing": below("train", "dev", "testing"),
    "superclasses": [*each("animals"), *below("vehicles/car", "vehicles/plane")],
    "superclasses of one class each": below("animals/cat", "vehicles/car"),
    "superclasses below splits": below(
        *(f"{s}/{c}" for s in ("train", "test") for c in ("animals/cat", "vehicles/car"))
    ),
    "folds": each("fold0 fold1 fold2"),
    "folds by number": each("fold_1 fold_2"),
    "sessions that repeat the classes": each("alice bob"),
    "nested wnids": below("n00015388/n02084071", "n00015388/n02121808", "n00021939/n02958343"),
    "images and masks": below("images", "masks"),
    "images and annotations, with classes": each("JPEGImages SegmentationClass"),
    "class, then split": each("cat dog", "train test"),
    "class, then split and something else": each("cat dog", "train val extra"),
    "one folder beside loose images": [*each("photos"), "banner.png"],
}


def tree_of(names: list[str]) -> str:
    """The folders of some images, shortened: `train/cat, train/dog, val/cat, ...`."""
    folders = list(dict.fromkeys(name.rpartition("/")[0] or name for name in names))
    return ", ".join(f"`{folder}`" for folder in folders[:4]) + (
        ", ..." if len(folders) > 4 else ""
    )


def reading(names: list[str]) -> str:
    """How the images are read, in the words of the table: at once, or the readings that `init` asks for."""
    if doubt := find_doubt(names):
        return "asks: " + "; ".join(f"`{one.layout}`: {in_words(one)}" for one in doubt.readings)
    counts = Counter(tuple(name.split("/")[:-1]) for name in names)
    found = layout_of_folders(list(counts), "auto")
    return f"{LAYOUTS[found.kind].meaning}: {in_words(reading_of(found, counts))}"
