"""Statements of ReaL, the reassessed labels of ImageNet's validation images: several acceptable classes per image, or none.

L. Beyer, O. J. Hénaff, A. Kolesnikov, X. Zhai, A. van den Oord, "Are we done with ImageNet?", arXiv 2006.07159. real.json
is a list of 50,000 lists of class numbers in the order of networks' outputs; list k is of the file
ILSVRC2012_val_<k, from 1, 8 digits>. An empty list means that no class fits: such images are not part of the evaluation.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from pipeline_lib.backbones.imagenet import imagenet_classes
from pipeline_lib.errors import BadData
from pipeline_lib.labels.combinations import BETWEEN
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.imagenet import VAL
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.statements import Part, Stated, Statement
from pipeline_lib.sources.names import without_image_ending

FILE = "real.json"
REMEDY = (
    "fetch real.json again from github.com/google-research/reassessed-imagenet, or fix labels.format "
    "of the source in params.yaml"
)


def find_real(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    """What `labels` would say where the images are ImageNet's validation images and real.json is among the files."""
    if not any(VAL.fullmatch(without_image_ending(member)) for member in members):
        return []
    found = [name for name in files.names if name.rpartition("/")[2] == FILE]
    return [LabelsFile(format="imagenet_real", inside=(name,)) for name in found[:1]]


def stated_by_real(files: Files, name: str, *, members: frozenset[str]) -> Stated:
    """The acceptable classes as wnids with bars between them. Raises BadData for what is not real.json."""
    file = files.at(name)
    numbers_of = _lists(files.read(name), file)
    by_stem = {without_image_ending(one.rpartition("/")[2]): one for one in sorted(members)}
    wnids = [wnid for wnid, _ in imagenet_classes()]

    def statements() -> Iterator[Statement]:
        for line, numbers in enumerate(numbers_of, 1):
            stem = f"ILSVRC2012_val_{line:08d}"
            label = BETWEEN.join(wnids[number] for number in numbers)
            yield Statement(line, stem, label, member=by_stem.get(stem))

    said = "the acceptable classes of ImageNet's validation images (ReaL)"
    return Stated(said, iter([Part(file, statements(), unit="list")]))


def _lists(data: bytes, file: str) -> list[list[int]]:
    try:
        content = json.loads(data)
    except ValueError as error:
        raise BadData("not JSON", file=file, value=error, remedy=REMEDY) from error
    last = len(imagenet_classes()) - 1
    if not isinstance(content, list):
        raise BadData("not a list", file=file, value=type(content).__name__, remedy=REMEDY)
    for line, numbers in enumerate(content, 1):
        is_list = isinstance(numbers, list)
        if not is_list or not all(type(one) is int and 0 <= one <= last for one in numbers):
            what = f"list {line} is no list of class numbers from 0 to {last}"
            raise BadData(what, file=file, value=str(numbers)[:60], remedy=REMEDY)
    return content
