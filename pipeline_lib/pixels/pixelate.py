"""Make faces, or whatever else your detector finds, unrecognisable in the images that are stored or shown.

The detector is a function of a module in this repository, from uint8 RGB pixels [H, W, 3] to boxes (left, top, right,
bottom) in pixels. A parameter never names a function of a library: `pickle:loads` would run code from an image. Its
file is pinned by sha256, so that another detector means another parameter, and other betons. Cells of a sixth of the
box's longer side leave 6 x 6 colours at most; Yang et al., "A Study of Face Obfuscation in ImageNet" (ICML 2022),
found blurred faces to cost a classifier less than one per cent. Betons, reports and review pages are changed; shards
hold the images as received.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline_lib.errors import ConfigError

Array = npt.NDArray[np.uint8]
Box = tuple[int, int, int, int]
Detector = Callable[[Array], Iterable[Box]]
CELLS: Final = 6
KEY: Final = "convert.pixelate"
REPOSITORY: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Pixelation:
    """What hides parts of images: a detector as `module:function`, and the sha256 of its file."""

    detector: str
    sha256: str

    def apply(self, pixels_HWC: Array) -> Array:
        """Return the image with all detected boxes pixelated; the same array if there are none."""
        boxes = find_boxes(pixels_HWC, self.detector)
        return pixelate(pixels_HWC, boxes) if boxes else pixels_HWC


def pixelation_of(described: Mapping[str, Any]) -> Pixelation | None:
    """The pixelation that pixels.json or the params of `convert` name; None if they name none.

    Raises ConfigError if its detector is not the one that is pinned.
    """
    detector = described.get("pixelate")
    if detector is None:
        return None
    check_detector(detector, described["pixelate_sha256"])
    return Pixelation(detector, described["pixelate_sha256"])


def check_detector(dotted: str, sha256: str) -> None:
    """Raise ConfigError if the module or function does not exist, or its file is not the pinned one."""
    module, _, name = dotted.partition(":")
    try:
        found = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        found = None
    remedy = "write `module:function` of a file in this repository"
    if found is None or found.origin is None:
        raise ConfigError(f"{KEY}: no such module", file="params.yaml", value=module, remedy=remedy)
    if not _is_ours(Path(found.origin)):
        what = (
            f"{KEY}: a module outside of this repository, whose functions were not made for images"
        )
        raise ConfigError(what, file="params.yaml", value=module, remedy=remedy)
    digest = hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()
    if digest != sha256:
        remedy = "restore the file, or set convert.pixelate_sha256 to this value if you trust it"
        what = "the detector is not the one that convert.pixelate_sha256 names"
        raise ConfigError(what, file=found.origin, value=digest, remedy=remedy)
    function = getattr(importlib.import_module(module), name, None)
    if not callable(function) or getattr(function, "__module__", None) != module:
        remedy = "name a function that this file defines"
        raise ConfigError(f"{KEY}: no such function", file=found.origin, value=name, remedy=remedy)


def _is_ours(file: Path) -> bool:
    """Whether a file is part of the repository, not of a virtual environment inside it."""
    file = file.resolve()
    return file.is_relative_to(REPOSITORY) and not file.is_relative_to(Path(sys.prefix).resolve())


def find_boxes(pixels_HWC: Array, dotted: str) -> list[Box]:
    """Run the detector; return its boxes, clipped to the image, without empty ones."""
    height, width = pixels_HWC.shape[:2]
    cut = [
        (max(0, int(left)), max(0, int(top)), min(width, int(right)), min(height, int(bottom)))
        for left, top, right, bottom in _detector(dotted)(pixels_HWC)
    ]
    return [box for box in cut if box[0] < box[2] and box[1] < box[3]]


def pixelate(pixels_HWC: Array, boxes: Iterable[Box]) -> Array:
    """Return a copy in which each box consists of at most CELLS x CELLS cells, each of its mean colour."""
    changed = pixels_HWC.copy()
    for left, top, right, bottom in boxes:
        part = Image.fromarray(np.ascontiguousarray(changed[top:bottom, left:right]))
        side = max(part.size) / CELLS
        few = part.resize(
            (max(1, round(part.width / side)), max(1, round(part.height / side))),
            Image.Resampling.BOX,
        )
        changed[top:bottom, left:right] = np.asarray(
            few.resize(part.size, Image.Resampling.NEAREST)
        )
    return changed


@functools.cache
def _detector(dotted: str) -> Detector:
    module, _, name = dotted.partition(":")
    function: Detector = getattr(importlib.import_module(module), name)
    return function
