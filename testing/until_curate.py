"""`init`, discover, download, inspect and curate of a small source in one process: as their stages run, without DVC."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from PIL import Image

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.run import run as curate
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.run import run as inspect
from pipeline_lib.params import LineParams, load_params
from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer, Survey, advise, survey
from pipeline_lib.tables.manifest import MANIFEST
from scripts.odd_folders import Files
from testing.sources import SMALL_SHARDS, take_sources

SIDE_PX = 16
SETTINGS = Settings(workers=1)
CURATE = CurateParams(
    min_images_per_class=1, small_classes="keep", val_fraction=0.3, test_fraction=0.3
)
NO_ANSWER = SourceAnswer()
OVERRIDES = "key_type,key,action,value,expected_old,reason,author,date\n"
Packing = Literal["folder", "tar", "zip"]


@dataclass(frozen=True)
class Curated:
    """What `init` found, and what became of every file: manifest.parquet by image_id without the source's name."""

    survey: Survey
    params: LineParams
    manifest: pd.DataFrame
    split_received: pd.Series
    statistics: dict[str, Any]

    @property
    def classes(self) -> dict[str, int]:
        """Class -> kept images."""
        kept = self.manifest[self.manifest["decision"] == "keep"]
        return {str(name): int(n) for name, n in kept["class_id"].value_counts().items()}

    @property
    def published(self) -> dict[str, int]:
        """Split that the source publishes -> kept images."""
        rows = self.manifest[self.manifest["decision"] == "keep"]
        received = self.split_received.reindex(rows.index).dropna()
        return {str(name): int(n) for name, n in received.value_counts().items()}

    @property
    def reasons(self) -> dict[str, int]:
        """Reason -> files that are not kept."""
        return {str(name): int(n) for name, n in self.manifest["reason"].value_counts().items()}


def png(seed: int) -> bytes:
    """An image of noise: no two are alike."""
    file = io.BytesIO()
    pixels_HWC = np.random.default_rng(seed).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
    Image.fromarray(pixels_HWC).save(file, "PNG", compress_level=0)
    return file.getvalue()


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
        return png(zlib.crc32(name.encode()))
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


def until_curate(root: Path, uri: str, answer: SourceAnswer = NO_ANSWER) -> Curated:
    """Survey the source, take the params.yaml of `init`, and run the stages up to curate below `root`."""
    found = survey(uri, SETTINGS, root=root, answer=answer)
    (root / "params.yaml").write_text(advise(found, name="pics").params)
    params = load_params(root / "params.yaml")
    source = params.discover.sources[0].model_dump(exclude_none=True)
    taken = take_sources(root, (source,), out="out", params=SMALL_SHARDS, settings=SETTINGS)
    out = taken.folder
    inspected = {
        "images": out / "images.parquet",
        "features": out / "features",
        "pixel_rules": out / "pixel_rules.json",
    }
    reads = {"shards": out / "shards", "members": out / "members.parquet"}
    inspect(
        StageRun(
            root, reads, inspected, InspectParams(embedding_weights=None, min_side_px=8), SETTINGS
        )
    )
    names = (
        "manifest review soft_labels selection classes balance annotators stopping profile curation"
    )
    writes = {role: out / "curate" / role for role in names.split()}
    (root / "curation").mkdir(exist_ok=True)
    (root / "curation" / "overrides.csv").write_text(OVERRIDES)
    (root / "curation" / "classes.csv").write_text("class_id,name,definition,parents\n")
    reads |= {**inspected, "votes": out / "votes.parquet"}
    for salt in ("v1", "1", "2", "3", "4"):  # few images: a draw may leave a class without training
        try:
            params_now = CURATE.model_copy(update={"split_salt": salt})
            curate(StageRun(root, reads, writes, params_now, SETTINGS))
            break
        except DataCheckFailed as error:
            if "training image" not in error.what and "image is left" not in error.what:
                raise
    manifest = MANIFEST.read(writes["manifest"]).set_index("image_id")
    manifest.index = manifest.index.str.removeprefix("pics/")
    received = taken.members["split_received"]
    received.index = received.index.str.removeprefix("pics/")
    return Curated(found, params, manifest, received, json.loads(writes["curation"].read_text()))


def _zip(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
