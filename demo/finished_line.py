"""What the scorer reads of a finished line, and a second curation without votes."""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from demo.grades import SOURCE, Rows
from pipeline_lib.curate.params import PARAMS
from pipeline_lib.curate.splits import assign_splits
from pipeline_lib.harness.line import read_line
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.params_file import load_section
from pipeline_lib.settings import load_settings
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.table import Table
from pipeline_lib.tables.votes import VOTES


def read_rows(table: Table, path: Path) -> Rows:
    """A table as rows by image_id, empty cells as None. Raises BadData when it is absent or damaged."""
    frame = table.read(path).astype(object)
    rows: list[dict[Any, Any]] = frame.where(frame.notna(), None).to_dict("records")
    return {row["image_id"]: row for row in rows}


def read_manifest(root: Path) -> Rows:
    """The manifest of the line below `root`."""
    return read_rows(MANIFEST, read_line(root).path("manifest"))


def betons(root: Path) -> Path:
    """The folder of betons of the line below `root`."""
    return read_line(root).path("betons")


def read_predictions(root: Path) -> Rows:
    """The predictions of the line below `root`."""
    return read_rows(PREDICTIONS, read_line(root).path("predictions"))


def read_classes(root: Path) -> dict[int, str]:
    """Class by index."""
    with read_line(root).path("classes").open(newline="", encoding="utf-8") as file:
        return {int(row["label"]): row["class_id"] for row in csv.DictReader(file)}


def curate_without_votes(root: Path) -> Rows:
    """The manifest that the same images get when nobody voted: only the out-of-sample model can object to a label."""
    from pipeline_lib.curate.run import run

    files = read_line(root).stage_files("curate")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        VOTES.write(VOTES.empty(), folder / "votes.parquet")
        shutil.copytree(root / "curation", folder / "curation")
        writes = {role: folder / path.relative_to(root) for role, path in files.writes.items()}
        params = load_section(root / "params.yaml", "curate", PARAMS)
        reads = {**files.reads, "votes": folder / "votes.parquet"}
        run(StageRun(folder, reads, writes, params, load_settings(root)))
        return read_rows(MANIFEST, writes["manifest"])


def splits_alone(
    images: Iterable[str], root: Path, *, published: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The split of each image if it were drawn by its name alone, as if no two had anything in common.

    published: the splits that the source gives, by image.
    """
    names = pd.Index(list(images), dtype="str")
    received = pd.Series({name: (published or {}).get(name) for name in names}, dtype="str")
    rows = pd.DataFrame({"source": SOURCE, "split_received": received}, index=names)
    splits = assign_splits(
        names.to_series(), rows, load_section(root / "params.yaml", "curate", PARAMS)
    )
    return {str(name): str(split) for name, split in splits.items()}


def files_with(needles: Iterable[bytes], root: Path) -> list[Path]:
    """Files that hold one of these byte strings: reports, and outputs except those of `download` (as received)."""
    line, state = read_line(root), load_settings(root).state_folder(root)
    places = [
        path
        for stage, roles in line.writes.items()
        if stage != "download"
        for path in roles.values()
    ]
    files = [
        file
        for place in (*places, state / "reports")
        for file in (place, *place.rglob("*"))
        if file.is_file()
    ]
    wanted = tuple(needles)
    return [file for file in files if any(needle in file.read_bytes() for needle in wanted)]


def disk_use(root: Path, folders: Iterable[str]) -> dict[str, int]:
    """Bytes on disk of each folder; a file that several folders link to counts for the first."""
    seen: set[tuple[int, int]] = set()
    return {folder: _size(root / folder, seen) for folder in folders}


def _size(folder: Path, seen: set[tuple[int, int]]) -> int:
    total, queue = 0, [folder] if folder.is_dir() else []
    while queue:
        with os.scandir(queue.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    queue.append(Path(entry.path))
                    continue
                status = entry.stat(follow_symlinks=False)
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_blocks * 512
    return total
