"""The classes of ImageNet's validation images, which lie in no class folders: from the files that ImageNet publishes.

They complete the classes of folders: train has its own. Three forms are read, told apart by what they hold:

- the devkit (ILSVRC2012_devkit_t12.tar.gz): one ILSVRC2012_ID per line, image number k in line k, and meta.mat, which
  says what wnid an ID is. IDs are another order than that of sorted wnids: `sea snake` is 490 there and 65 in networks;
- Kaggle's LOC_val_solution.csv: `ILSVRC2012_val_00048981,n03995372 85 1 499 272`: the first word is the class;
- Tiny ImageNet's val_annotations.txt: `val_0.JPEG<tab>n03444034<tab>0<tab>32<tab>44<tab>62`.
"""

from __future__ import annotations

import csv
import io
import re
import tarfile
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pipeline_lib.errors import BadData
from pipeline_lib.sources.names import without_image_ending

GZIP = b"\x1f\x8b"
KAGGLE_HEADER = b"ImageId,PredictionString"
TRUTH, META = "ILSVRC2012_validation_ground_truth.txt", "meta.mat"
TINY_LINE = re.compile(rb"[^\t\r\n]+\tn\d{8}(\t\d+){4}\r?\n")
NUMBER = re.compile(r".*_(\d+)")
MOST_BYTES = 1 << 28  # of a member of the devkit, which has 2.4 MB
REMEDY = "name ILSVRC2012_devkit_t12.tar.gz, LOC_val_solution.csv or val_annotations.txt as `labels`, as published"


def is_ground_truth(data: bytes) -> bool:
    """Whether the bytes of a `labels` file, or its beginning, are one of the three and not a table of labels."""
    return data.startswith((GZIP, KAGGLE_HEADER)) or bool(TINY_LINE.match(data))


def read_ground_truth(data: bytes, *, file: str, members: Collection[str]) -> dict[str, str]:
    """Member -> wnid. members: the validation images. Raises BadData for a damaged file, or one about other images."""
    if data.startswith(GZIP):
        by_stem = dict(_by_devkit(data, file, members))
    elif data.startswith(KAGGLE_HEADER):
        by_stem = dict(_by_kaggle(data, file))
    else:
        by_stem = dict(_by_tiny(data))
    found = {member: by_stem[stem] for member in members if (stem := _stem(member)) in by_stem}
    if not found:
        some = next(iter(sorted(members)), "none")
        what = f"it says nothing of the {len(members)} validation images, such as {some}"
        raise BadData(what, file=file, value=next(iter(by_stem), "no lines"), remedy=REMEDY)
    return found


def wnid_of_id(meta: bytes, *, file: str) -> Mapping[int, str]:
    """ILSVRC2012_ID -> wnid, from meta.mat. Raises BadData."""
    from scipy.io import loadmat

    try:
        synsets: Any = loadmat(io.BytesIO(meta), squeeze_me=True)["synsets"]
        return {int(one["ILSVRC2012_ID"]): str(one["WNID"]) for one in synsets}
    except (ValueError, KeyError, TypeError, IndexError, NotImplementedError) as error:
        what = "its meta.mat is not the devkit's"
        raise BadData(what, file=file, value=repr(error), remedy=REMEDY) from error


def _by_devkit(data: bytes, file: str, members: Collection[str]) -> Iterator[tuple[str, str]]:
    inside = _devkit_files(data, file)
    ids = inside[TRUTH].split()
    wnids = wnid_of_id(inside[META], file=file)
    for member in members:
        number = NUMBER.fullmatch(_stem(member))
        if not number:
            continue
        line = int(number[1])
        said = ids[line - 1] if 0 < line <= len(ids) else b""
        if not said.isdigit() or int(said) not in wnids:
            what = f"no class in line {line} of {TRUTH}, which has {len(ids)} lines"
            raise BadData(
                what, file=file, value=said.decode("utf-8", "replace") or member, remedy=REMEDY
            )
        yield _stem(member), wnids[int(said)]


def _devkit_files(data: bytes, file: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
            for member in archive:
                last = member.name.rpartition("/")[2]
                if last in (TRUTH, META) and member.isfile() and member.size <= MOST_BYTES:
                    stream = archive.extractfile(member)
                    found[last] = stream.read() if stream else b""
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BadData("it is damaged", file=file, value=error, remedy="fetch it again") from error
    if absent := sorted({TRUTH, META} - found.keys()):
        raise BadData("not ImageNet's devkit", file=file, value=f"no {absent[0]}", remedy=REMEDY)
    return found


def _by_kaggle(data: bytes, file: str) -> Iterator[tuple[str, str]]:
    rows = csv.reader(io.StringIO(data.decode("utf-8", "replace"), newline=""))
    next(rows)
    for cells in rows:
        words = cells[1].split() if len(cells) > 1 else []
        if not words:
            where, value = f"{file}:{rows.line_num}", ",".join(cells)
            raise BadData("a line without a class", file=where, value=value, remedy=REMEDY)
        yield cells[0], words[0]


def _by_tiny(data: bytes) -> Iterator[tuple[str, str]]:
    for line in data.decode("utf-8", "replace").splitlines():
        cells = line.split("\t")
        if len(cells) > 1:
            yield without_image_ending(cells[0]), cells[1]


def _stem(member: str) -> str:
    return without_image_ending(member.rpartition("/")[2])
