"""A source taken as a user would: surveyed by `init`, whose params.yaml then runs up to `curate`, in this process."""

from __future__ import annotations

import io
import json
import re
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from PIL import Image
from ruamel.yaml import YAML

from pipeline_lib.discover.listing import list_sources
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.harness.line import read_line
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.params import check_params
from pipeline_lib.settings import Settings
from pipeline_lib.sources.source import sources_as_json
from pipeline_lib.survey import SourceAnswer, Survey, advise, look_at, survey_of
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.listing import LISTING
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.members import MEMBERS
from scripts.odd_folders import Files

Packing = Literal["folder", "tar", "zip"]
TREE = Path(__file__).parents[1]
SIDE_PX = 24
# Splits that a dozen images fill; `curate` refuses an empty one.
OF_FEW_IMAGES = {
    "max_quarantine_rate": 1.0,
    "val_fraction": 0.3,
    "test_fraction": 0.3,
    "min_images_per_class": 1,
    "small_classes": "keep",
}
# Of few images a draw may leave a class or a split without any: another one is tried.
SALTS = ("v1", "1", "2", "3", "4", "5")
IS_LACKING = re.compile("no training image|image is left|fewer than")
CURATION = {
    "overrides.csv": "key_type,key,action,value,expected_old,reason,author,date\n",
    "classes.csv": "class_id,name,definition,parents\n",
}


@dataclass(frozen=True)
class CuratedSource:
    """What became of a source. labels and splits: of every image that was taken, by its name below the source."""

    survey: Survey
    params: str
    manifest: pd.DataFrame
    members: pd.DataFrame
    extras: dict[str, Any]

    @property
    def labels(self) -> dict[str, str]:
        """Image -> class decided on, "" for none."""
        return _told(self.manifest[self.manifest["sha256"].notna()], "class_id")

    @property
    def splits(self) -> dict[str, str]:
        """Image -> published split, "" for none."""
        return _told(self.members[self.members["sha256"].notna()], "split_received")


def curate_source(
    folder: Path,
    uri: str,
    *,
    answer: SourceAnswer | None = None,
    params: str | None = None,
    places: Mapping[str, Any] | None = None,
) -> CuratedSource:
    """Survey what lies at `uri` below `folder`, and run discover, download, inspect and curate by what `init` writes.

    answer: what a person says. params: params.yaml in place of what `init` writes. places: settings that say where
    servers are.
    """
    settings = Settings(workers=1, device="cpu", root=folder, **(places or {}))
    found = survey_of(
        look_at(uri, settings, root=folder), settings, root=folder, answer=answer or SourceAnswer()
    )
    text = params or advise(found, name="pics").params
    sections = check_params(folder / "params.yaml", YAML(typ="safe", pure=True).load(text))
    (folder / "params.yaml").write_text(
        text.replace("curate: {}", "curate: {max_quarantine_rate: 1}")
    )
    shutil.copy(TREE / "dvc.yaml", folder / "dvc.yaml")
    (folder / "curation").mkdir(exist_ok=True)
    for name, content in CURATION.items():
        (folder / "curation" / name).write_text(content)
    line = read_line(folder)
    listing = list_sources(sections.discover.sources, settings, root=folder).frame
    LISTING.write(listing, line.path("listing"))
    line.path("sources").write_text(sources_as_json(sections.discover.sources))
    own = {
        "download": sections.download,
        "inspect": sections.inspect.model_copy(update={"embedding_weights": None}),
        "curate": sections.curate.model_copy(update=OF_FEW_IMAGES),
    }
    for stage, section in own.items():
        files = line.stage_files(stage)
        run = import_module(f"pipeline_lib.{stage}.run").run
        for salt in SALTS if stage == "curate" else ("",):
            section = section.model_copy(update={"split_salt": salt}) if salt else section
            try:
                run(StageRun(folder, files.reads, files.writes, section, settings))
                break
            except DataCheckFailed as error:
                if salt in ("", SALTS[-1]) or not IS_LACKING.search(error.what):
                    raise
    extras = EXTRAS.read(line.path("extras")).set_index("image_id")["extras"]
    return CuratedSource(
        found,
        text,
        MANIFEST.read(line.path("manifest")),
        MEMBERS.read(line.path("members")),
        {str(name).removeprefix("pics/"): json.loads(text) for name, text in extras.items()},
    )


def write_files(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    """Write files below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def write_source(path: Path, files: Files, packing: Packing = "folder") -> str:
    """Write the files; return the address: `path`, or an archive beside it."""
    data = {name: _content(name, given) for name, given in files.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    if packing == "folder":
        for name, content in data.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return str(path)
    archive = path.with_name(f"{path.name}.{packing}")
    archive.write_bytes(_tar(data, "w") if packing == "tar" else _zip(data))
    return str(archive)


def _content(name: str, given: Any) -> bytes:
    """The bytes of a file of scripts/odd_folders.py. Images differ by their names."""
    if given is None:
        return small_image(zlib.crc32(name.encode()))
    if isinstance(given, bytes):
        return given
    inside = {inner: _content(f"{name}/{inner}", one) for inner, one in given.items()}
    return _tar(inside, "w:gz" if name.endswith("gz") else "w")


def _tar(files: Mapping[str, bytes], mode: Literal["w", "w:gz"]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


@cache
def small_image(seed: int, kind: str = "PNG") -> bytes:
    """A small image that no other resembles."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 256, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


def _told(rows: pd.DataFrame, column: str) -> dict[str, str]:
    names = rows["image_id"].str.removeprefix("pics/")
    cells = rows[column].fillna("")
    return {str(name): str(cell) for name, cell in zip(names, cells, strict=True)}


def _zip(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
