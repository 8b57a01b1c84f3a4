"""Recognise files of labels that are no tables: for each format, what `labels` would say of the files of a source."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pipeline_lib.errors import BadData
from pipeline_lib.labels.class_names import class_name_files
from pipeline_lib.labels.coco import is_coco
from pipeline_lib.labels.cvat import is_cvat
from pipeline_lib.labels.files import Files
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.folder_classes import folder_of
from pipeline_lib.labels.image_parquet import holds_images
from pipeline_lib.labels.known_sets import (
    CUB_FILES,
    TINY_FILE,
    TINY_TRAIN,
)
from pipeline_lib.labels.lists import first_lines, image_and_rest, lines_of, tell_splits
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.sidecar import beside_images, choices
from pipeline_lib.labels.statements import split_in, splits_of_files
from pipeline_lib.labels.voc import SPLIT_LIST
from pipeline_lib.labels.yolo import LINE as YOLO_LINE
from pipeline_lib.labels.yolo import texts_of

TRIED = 40  # files that are looked into


def find_lists(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    """Text files whose lines all begin with an image; with several, one of each split."""
    finder = Finder(members)
    found, with_label, of_partition = [], set(), set()
    texts = [one for one in files.names if one.lower().endswith((".txt", ".lst", ".list"))]
    for name in [one for one in texts if "ImageSets" not in one.split("/")][:TRIED]:
        try:
            pairs = first_lines(files, name)
        except BadData:
            continue
        if pairs and all(finder.find(path) for path, _ in pairs):
            found.append(name)
            if tell_splits(name, [rest for _, rest in pairs]):
                of_partition.add(name)
            elif all(rest for _, rest in pairs):
                with_label.add(name)
    # Lists without classes matter for their splits, and only where something else tells the classes.
    folders = {folder_of(member) for member in members} - {""}
    has_folders = len([one for one in folders if not split_in(one)]) > 1
    of_split = [name for name in found if split_in(name.rpartition("/")[2])]
    without = of_partition if has_folders or with_label else set()
    without = without | (set(of_split) if has_folders else set())
    found = [name for name in found if name in with_label | without]
    found = [name for name in found if name in of_split] if len(of_split) > 1 else found
    groups: dict[str, list[str]] = {}
    is_one_each = len(set(splits_of_files(found).values())) == len(found)
    for name in found:
        groups.setdefault("" if is_one_each else _without_split(name), []).append(name)
    return [
        LabelsFile(format="lists", inside=tuple(group), classes=_names_of(files, group))
        for group in map(_without_trainval, groups.values())
    ]


def _without_split(name: str) -> str:
    """What lists of one kind share: `images_variant_*.txt`."""
    return "".join("*" if split_in(word) else word for word in re.split(r"([^\W\d_]+)", name))


def _without_trainval(names: list[str]) -> list[str]:
    """Without the list of train and val together where each has its own."""
    lasts = {name: name.rpartition("/")[2].lower() for name in names}
    own = [last for last in lasts.values() if "trainval" not in last]
    has_both = any("train" in last for last in own) and any("val" in last for last in own)
    return [name for name in names if not has_both or "trainval" not in lasts[name]]


def _names_of(files: Files, lists: Sequence[str]) -> str | None:
    """A file that names the numbers of the lists, where they have numbers."""
    for name in lists:
        rest = next((image_and_rest(line)[1] for _, line in lines_of(files, name)), "")
        if rest.split() and rest.split()[0].isdecimal():
            named = (one for one in class_name_files(files.names) if one not in lists)
            return next(named, None)
    return None


def find_sidecars(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    beside = beside_images(files, members)
    if len(beside) < len(members) / 2:
        return []
    try:
        possible = choices(files, beside)
    except BadData:
        return []
    if not possible:
        return []
    numbered = possible[0] == "cls" and _first_cls(files, beside).isdecimal()
    names = next(iter(class_name_files(files.names)), None) if numbered else None
    return [LabelsFile(format="sidecar", inside=("**",), classes=names)]


def _first_cls(files: Files, beside: Mapping[str, Mapping[str, str]]) -> str:
    name = next((names["cls"] for names in beside.values() if "cls" in names), None)
    return files.head(name, 64).decode("utf-8", "replace").strip() if name else ""


def find_image_parquet(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    names = [name for name in files.names if name.lower().endswith(".parquet")]
    if not names:
        return []
    with files.stream(names[0]) as file:
        if not holds_images(file):
            return []
    if len(names) == 1:
        return [LabelsFile(format="image_parquet", inside=(names[0],))]
    # patterns, so that further files of a folder count
    folders = sorted({name.rpartition("/")[0] for name in names})
    patterns = [f"{folder}/*.parquet".lstrip("/") for folder in folders]
    return [LabelsFile(format="image_parquet", inside=tuple(patterns))]


def find_coco(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    found = [name for name in files.names if name.lower().endswith(".json")][:TRIED]
    found = [name for name in found if is_coco(files, name)]
    instances = [name for name in found if "instances" in name.rpartition("/")[2]]
    return [LabelsFile(format="coco", inside=tuple(instances or found))] if found else []


def find_voc(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    xml = [name for name in files.names if name.lower().endswith(".xml")]
    if len(xml) < len(members) / 2 or b"<annotation" not in files.head(xml[0], 4096):
        return []
    folders = sorted({name.rpartition("/")[0] for name in xml})
    lists = [
        name
        for name in files.names
        if "ImageSets" in name.split("/") and SPLIT_LIST.fullmatch(name)
    ]
    of_main = [name for name in lists if "Main" in name.split("/")]
    patterns = [f"{folder}/*.xml".lstrip("/") for folder in folders]
    return [LabelsFile(format="voc", inside=(*patterns, *(of_main or lists)))]


def find_yolo(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    texts = sorted(set(texts_of(files, members).values()))
    if len(texts) < len(members) / 2:
        return []
    try:
        lines = [line for name in texts[:TRIED] for _, line in lines_of(files, name)]
    except BadData:
        return []
    if not lines or not all(map(YOLO_LINE.fullmatch, lines)):
        return []
    folders = sorted({name.rpartition("/")[0] for name in texts})
    patterns = tuple(f"{folder}/*.txt".lstrip("/") for folder in folders)
    named = sorted(class_name_files(files.names), key=lambda name: name.count("/"))
    return [LabelsFile(format="yolo", inside=patterns, classes=next(iter(named), None))]


def find_cvat(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    xml = [name for name in files.names if name.lower().endswith(".xml")][:TRIED]
    found = [name for name in xml if is_cvat(files.head(name, 4096))]
    return [LabelsFile(format="cvat", inside=tuple(found))] if found else []


def find_cub(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    for name in files.names:
        folder, _, last = name.rpartition("/")
        needed = [f"{folder}/{one}".lstrip("/") for one in CUB_FILES]
        if last == CUB_FILES[0] and all(one in files.open_by_name for one in needed):
            return [LabelsFile(format="cub", inside=(name,))]
    return []


def find_tiny_imagenet(files: Files, members: frozenset[str]) -> list[LabelsFile]:
    listed = [name for name in files.names if name.rpartition("/")[2] == TINY_FILE]
    if not listed or not any(TINY_TRAIN.fullmatch(member) for member in members):
        return []
    return [LabelsFile(format="tiny_imagenet", inside=(listed[0],))]
