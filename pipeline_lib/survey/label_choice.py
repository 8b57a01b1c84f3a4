"""Which files of labels `perennial init` takes, among and beside the images of a source, and what is left in doubt."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from pipeline_lib.errors import BadData, LabelsUndecided
from pipeline_lib.labels.files import Files, files_beside, opener
from pipeline_lib.labels.finder import Finder
from pipeline_lib.labels.formats import FORMATS, SURE, read_labels, recognise
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.labels.recognise_tables import find_tables, table_header
from pipeline_lib.labels.table_columns import agrees_with_folders, image_column, split_of_table
from pipeline_lib.labels.table_files import read_table
from pipeline_lib.settings import Settings
from pipeline_lib.sources.layout import FolderLayout
from pipeline_lib.sources.no_classes import are_parts
from pipeline_lib.sources.objects import Place
from pipeline_lib.sources.places import TABLE_ENDINGS, table_place
from pipeline_lib.sources.recognise import Listing
from pipeline_lib.sources.recognise import recognise as recognise_layout
from pipeline_lib.sources.split_names import split_names
from pipeline_lib.survey.answers import NO_LABELS, SourceAnswer
from pipeline_lib.survey.contents import Contents

OF_OBJECTS = frozenset({"yolo", "coco", "voc", "cvat"})
TRIED = 20  # tables beside a source that are looked into


@dataclass(frozen=True)
class LabelsDoubt:
    """Why it is not clear which files tell the classes. choices: as `--labels` takes them, `folders` for none."""

    why: str
    choices: Mapping[str, LabelsFile | None]


@dataclass(frozen=True)
class LabelChoice:
    """taken: how labels are read; None where folders tell the classes. address: as params.yaml may shorten it.

    files: where they are. why: how they were recognised; "" if a person named them. doubt: what must be asked. unused: tables
    of these images whose columns may be classes, while folders are.
    """

    taken: LabelsFile | None
    files: Files
    why: str = ""
    doubt: LabelsDoubt | None = None
    unused: tuple[str, ...] = ()

    def as_told(self, told: Mapping[str, Any]) -> LabelChoice:
        """The same files, read as a person said. told: keys of LabelsFile and their values."""
        return replace(self, taken=_as_told(self.taken, told)) if self.taken else self


def choose_labels(
    answer: SourceAnswer,
    contents: Contents,
    place: Place,
    names: Sequence[str],
    layout: FolderLayout,
    settings: Settings,
    *,
    folders_doubt: bool,
    root: Path,
    uri: str,
) -> LabelChoice:
    """The files of labels that a person named, else those that are recognised. names: of the images. folders_doubt:
    whether their folders can be read in several ways.

    What is recognised is taken where the folders tell no class, or where its format leaves no doubt. Raises what reading
    the named files raises.
    """
    inside = files_inside(contents, place)
    if answer.labels == NO_LABELS:
        return LabelChoice(None, inside)
    if answer.labels is not None:
        stated = answer.labels
        stated = LabelsFile(file=stated) if isinstance(stated, str) else stated
        if stated.file is None:
            return LabelChoice(stated, inside)
        return LabelChoice(*_named(stated, inside, place, names, settings, root=root, uri=uri))
    members = frozenset(names)
    folder_class = {name: layout.label(name) for name in names}
    offers = {
        _spelt(one): one for one in _versions_apart(recognise(inside, members), inside, members)
    }
    files = dict.fromkeys(offers, inside)
    if not any(one.format in SURE for one in offers.values()):
        for one in _beside(uri, members, root=root):
            offers[one.file or ""] = one
            files[one.file or ""] = files_beside(table_place(one.file or "", settings, root=root))
    told = {one for one in folder_class.values() if one and not split_names([one])}
    if not offers and (not told or are_parts(told)):
        offers = {_spelt(one): one for one in find_tables(inside, members, is_named=False)}
        files = dict.fromkeys(offers, inside)
    if not offers:
        return _beside_folders(inside, members, folder_class)
    offers = {choice: _as_told(stated, answer.told) for choice, stated in offers.items()}
    offers = _without_copies(offers, files, members)
    first, taken = next(iter(offers.items()))
    why = f"{FORMATS[taken.format].meaning}: {first}"
    if len(offers) > 1:
        choices: dict[str, LabelsFile | None] = dict(offers)
        if any(folder_class.values()):
            choices["folders"] = None
        what = f"several files label these images ({', '.join(offers)})"
        return LabelChoice(None, inside, doubt=LabelsDoubt(what, choices))
    if folders_doubt and taken.format in ("lists", "splits"):
        said = read_labels(files[first], taken, file=first, members=members)
        if said.by_folder and recognise_layout(Listing(tuple(names))) is None:
            what = f"a file tells splits ({first}); the innermost folder would be the class"
            choices = {first: taken, "folders": None}
            return LabelChoice(None, inside, doubt=LabelsDoubt(what, choices))
    is_sure = taken.format in SURE and not _is_of_one_class(taken, files[first], members, told)
    if is_sure or folders_doubt or not told:
        return LabelChoice(taken, files[first], why)
    try:
        agreed = _compared(taken, files[first], folder_class)
        what = f"folders and a file label these images differently ({first})"
    except LabelsUndecided:
        raise
    except BadData as error:  # said again when the file is chosen
        agreed = None
        what = f"folders tell classes, and so may {first}, which cannot be read as it is ({error.what})"
    if agreed is None:
        return LabelChoice(None, inside, doubt=LabelsDoubt(what, {first: taken, "folders": None}))
    return LabelChoice(taken, files[first], why) if agreed else LabelChoice(None, inside)


def _beside_folders(
    inside: Files, members: frozenset[str], folder_class: Mapping[str, str | None]
) -> LabelChoice:
    """Folders as the classes, where no file is named like their labels: a table of these images with a column of splits may
    tell both, as that of Waterbirds does, and is asked about; another one is named.
    """
    unused = []
    for one in find_tables(inside, members, is_named=False):
        name = inside.matching(one.inside)[0]
        table = read_table(partial(inside.stream, name), name=name)
        if agrees_with_folders(table, name, one.image, Finder(members), folder_class):
            continue
        if split_of_table(table):
            what = f"folders may be the classes, or a column of a table of these images ({_spelt(one)})"
            choices: dict[str, LabelsFile | None] = {_spelt(one): one, "folders": None}
            return LabelChoice(None, inside, doubt=LabelsDoubt(what, choices))
        unused.append(_spelt(one))
    return LabelChoice(None, inside, unused=tuple(unused))


def _as_told(stated: LabelsFile, told: Mapping[str, Any]) -> LabelsFile:
    return stated.model_copy(update=dict(told))


def _versions_apart(
    offers: Sequence[LabelsFile], files: Files, members: frozenset[str]
) -> list[LabelsFile]:
    """The offers, with tables of equal columns one by one where they contradict each other: labels.csv, labels_old.csv."""
    found = []
    for one in offers:
        names = files.matching(one.inside) if one.format in ("table", "one_hot") else []
        singles = [one.model_copy(update={"inside": (name,)}) for name in names]
        is_whole = len(singles) < 2 or _can_be_read(one, files, members)
        apart = not is_whole and all(_can_be_read(each, files, members) for each in singles)
        found += singles if apart else [one]
    return found


def _can_be_read(stated: LabelsFile, files: Files, members: frozenset[str]) -> bool:
    try:
        read_labels(files, stated, file=files.address, members=members)
    except BadData:
        return False
    return True


def _is_of_one_class(
    taken: LabelsFile, files: Files, members: frozenset[str], told: Collection[str]
) -> bool:
    """Whether objects are all of one class, and folders tell several: a detector of `leaf` in the folders of its diseases."""
    if taken.format not in OF_OBJECTS or len(told) < 2:
        return False
    stated = taken.model_copy(update={"several": "leave_out"})
    labels = read_labels(files, stated, file=files.address, members=members)
    return len(set(labels.class_of.values())) == 1


def _compared(
    taken: LabelsFile, files: Files, folder_class: Mapping[str, str | None]
) -> bool | None:
    """Whether labels are to be taken in place of class folders: None for both are possible.

    Lists of each split that name every image are, and tables of splits. Where the classes are the folders', under
    whatever names, labels are taken if they also tell splits.
    """
    labels = read_labels(
        files, taken, file=taken.file or files.address, members=frozenset(folder_class)
    )
    if not labels.class_of:
        return False
    is_whole = not any(folder_class[name] for name in labels.without)
    if taken.format in ("lists", "splits") and is_whole and labels.split_of:
        return True
    pairs = {(folder_class[name], label) for name, label in labels.class_of.items()}
    one_to_one = len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    if one_to_one and is_whole:
        return bool(labels.split_of)
    return None


def files_inside(contents: Contents, place: Place) -> Files:
    """The files of a source that are no images by their names, and the Parquet files of images."""
    found = {one.name: one.open for one in contents.files if one.open is not None and one.refused}
    found |= {
        one.key: opener(place, one)
        for one in contents.archives
        if one.key.lower().endswith(".parquet")
    }
    return Files(
        {name: opened for name, opened in found.items() if opened is not None}, place.address
    )


def _named(
    stated: LabelsFile,
    inside: Files,
    place: Place,
    names: Sequence[str],
    settings: Settings,
    *,
    root: Path,
    uri: str,
) -> tuple[LabelsFile, Files]:
    """The file or folder that a person named; a file of the source itself is named as it is there."""
    address = stated.file or ""
    within = _within(address, uri, place)
    is_pattern = within is not None and "*" in within
    if within is not None and (is_pattern or within in inside.open_by_name):
        members = frozenset(names)
        for one in _versions_apart(recognise(inside, members), inside, members):
            if is_pattern and within in one.inside:  # as a doubt names it
                return one, inside
            # train.txt stands for test.txt too
            if one.has(within) and (one.inside != (within,) or one.image):
                return one, inside
        plain = stated.model_copy(update={"file": None, "inside": (within,)})
        if is_pattern:
            return plain, inside
        return _format_of(plain, inside, within, names), inside
    files = files_beside(table_place(address, settings, root=root))
    if len(files.names) == 1:
        return _format_of(stated, files, files.names[0], names), files
    found = recognise(files, frozenset(names))
    return (found[0].model_copy(update={"file": address, "inside": ()}) if found else stated), files


def _format_of(stated: LabelsFile, files: Files, name: str, names: Sequence[str]) -> LabelsFile:
    """The format of one named file, if it is none of the usual tables."""
    if stated.format != "table" or stated.label is not None:
        return stated
    only = Files({name: files.open_by_name[name]}, files.address)
    members = frozenset(names)
    finder = Finder(members)
    if table_header(only, name, finder, "table"):
        return stated
    if stated.image is None and (image := image_column(only, name, finder)):
        return stated.model_copy(update={"image": image})
    found = [one for one in recognise(only, members) if one.format not in ("table", "sidecar")]
    return stated.model_copy(update={"format": found[0].format}) if found else stated


def _within(address: str, uri: str, place: Place) -> str | None:
    if place.is_single or not address.startswith(uri.rstrip("/") + "/"):
        return None
    return address[len(uri.rstrip("/")) + 1 :]


def _without_copies(
    offers: Mapping[str, LabelsFile], files: Mapping[str, Files], members: frozenset[str]
) -> dict[str, LabelsFile]:
    """The offers without those that say nothing beyond what another one says."""
    if len(offers) < 2:
        return dict(offers)
    said: dict[str, ReceivedLabels] = {}
    kept = dict(offers)
    for choice, stated in offers.items():
        try:
            labels = read_labels(files[choice], stated, file=choice, members=members)
        except BadData:  # what is wrong with it is said when it is chosen
            continue
        if any(_is_part(labels, other) for other in said.values()):
            del kept[choice]
            continue
        for other in [one for one, its in said.items() if _is_part(its, labels)]:
            del kept[other], said[other]
        said[choice] = labels
    return kept


def _is_part(labels: ReceivedLabels, whole: ReceivedLabels) -> bool:
    """Whether all classes and splits that labels tell are told by others too."""
    is_part = labels.class_of.items() <= whole.class_of.items()
    return is_part and labels.split_of.items() <= whole.split_of.items()


def _spelt(stated: LabelsFile) -> str:
    return stated.file or ", ".join(stated.inside)


def _beside(uri: str, members: frozenset[str], *, root: Path) -> list[LabelsFile]:
    """Tables of labels of these images in the folder that the source lies in."""
    if "://" in uri:
        return []
    source = root / Path(uri).expanduser()
    found = []
    finder = Finder(members)
    tables = sorted(
        one
        for one in source.parent.glob("*")
        if one.suffix.lower() in TABLE_ENDINGS and one.is_file()
    )
    for table in tables[:TRIED]:
        address = str(Path(uri).parent / table.name)
        files = Files({address: lambda table=table: table.open("rb")})  # type: ignore[misc]
        for name in ("one_hot", "table"):
            if table_header(files, address, finder, name):
                found.append(LabelsFile(format=name, file=address))
    return found
