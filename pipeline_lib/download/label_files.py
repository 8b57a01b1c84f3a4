"""The files of labels that a source names: beside it, loose in it, or inside its archives."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from pipeline_lib.download.plan import DownloadPlan, Unit
from pipeline_lib.download.stored import StoredUnit
from pipeline_lib.labels.files import Files, files_beside, opener, window
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.shards.tar_files import walk_tar
from pipeline_lib.shards.zip_files import files_of, open_zip, walk_zip
from pipeline_lib.sources.names import is_archive, refusal
from pipeline_lib.sources.objects import Place, SourceObject
from pipeline_lib.sources.places import table_place

Open = Callable[[], BinaryIO]


def label_files(
    stated: LabelsFile,
    plan: DownloadPlan,
    stored: Sequence[StoredUnit],
    place: Place,
    listed: Sequence[SourceObject],
    settings: Settings,
    *,
    root: Path,
) -> Files:
    """The files that `labels` may name. stored: one for each unit of the plan. place: of the source.

    listed: the files beside the source, whose bytes must still be those.
    """
    if stated.file is not None:
        return files_beside(table_place(stated.file, settings, root=root), listed)
    found: dict[str, Open] = {
        one.key: opener(place, one)
        for one, reason in plan.refused
        if reason in (Reason.NOT_A_PICTURE_NAME, Reason.EXCLUDED_BY_PATTERN) and _is_text(one.key)
    }
    for unit, arrived in zip(plan.units, stored, strict=True):
        if unit.kind == "archive":
            found |= dict(_inside(unit, arrived.container, place))
    return Files(found, place.address)


def _inside(unit: Unit, container: Path, place: Place) -> Iterator[tuple[str, Open]]:
    """The files of an archive that are no images. A repacked zip has left them out, so its original is read."""
    archive = unit.objects[0]
    if not is_archive(archive.key):  # a Parquet file is all of its own labels
        yield archive.key, opener(place, archive)
    elif archive.key.lower().endswith(".zip") and container.suffix != ".zip":
        original = open_zip(opener(place, archive)(), name=archive.key)
        for info, name in files_of(original):
            if _is_text(name):
                yield unit.prefix + name, partial(_member, original, info)
    else:
        walk = walk_zip if container.suffix == ".zip" else walk_tar
        with container.open("rb") as file:
            for found in walk(file, name=archive.key, size_bytes=container.stat().st_size):
                if found.fault is None and _is_text(found.name):
                    part = window(partial(_open, container), found.offset_bytes, found.size_bytes)
                    yield unit.prefix + found.name, part


def _is_text(name: str) -> bool:
    return refusal(name) is Reason.NOT_A_PICTURE_NAME


def _open(path: Path) -> BinaryIO:
    return path.open("rb")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> BinaryIO:
    return cast(BinaryIO, archive.open(info))
