"""The 1,000 classes of ImageNet (ILSVRC2012), as networks number them."""

from __future__ import annotations

import csv
import functools
from pathlib import Path
from typing import Final

CLASSES: Final = Path(__file__).with_name("imagenet_classes.csv")


@functools.cache
def imagenet_classes() -> tuple[tuple[str, str], ...]:
    """ImageNet-1k's classes in the order of networks' outputs: synset of WordNet, and its first word."""
    with CLASSES.open(encoding="utf-8", newline="") as file:
        return tuple((row["class_id"], row["name"]) for row in csv.DictReader(file))
