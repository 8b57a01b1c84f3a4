"""`init`, discover, download, inspect and curate of a small source in one process: as their stages run, without DVC."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from PIL import Image

from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.run import run as curate
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.run import run as inspect
from pipeline_lib.params import LineParams, load_params
from pipeline_lib.settings import Settings
from pipeline_lib.survey import SourceAnswer, Survey, advise, survey
from pipeline_lib.tables.manifest import MANIFEST
from testing.sources import SMALL_SHARDS, take_sources

SIDE_PX = 16
SETTINGS = Settings(workers=1)
CURATE = CurateParams(
    min_images_per_class=1, small_classes="keep", val_fraction=0.3, test_fraction=0.3
)
OVERRIDES = "key_type,key,action,value,expected_old,reason,author,date\n"
Packing = Literal["folder", "tar", "zip"]


@dataclass(frozen=True)
class Curated:
    """What `init` found, and what became of every file: manifest.parquet by image_id without the source's name."""

    survey: Survey
    params: LineParams
    manifest: pd.DataFrame
    statistics: dict[str, Any]

    @property
    def classes(self) -> dict[str, int]:
        """Class -> kept images."""
        kept = self.manifest[self.manifest["decision"] == "keep"]
        return {str(name): int(n) for name, n in kept["class_id"].value_counts().items()}

    @property
    def published(self) -> dict[str, int]:
        """Split that the source publishes -> images of a class."""
        rows = self.manifest[self.manifest["class_id"].notna()]
        return {str(name): int(n) for name, n in rows["split_received"].value_counts().items()}

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


def write_source(path: Path, files: Mapping[str, bytes | None], packing: Packing = "folder") -> str:
    """Write the files, an image where the bytes are None; return the address: `path`, or an archive beside it."""
    data = {name: png(n) if given is None else given for n, (name, given) in enumerate(files.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    if packing == "folder":
        for name, content in data.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return str(path)
    archive = path.with_name(f"{path.name}.{packing}")
    archive.write_bytes(tar_bytes(data) if packing == "tar" else _zip_bytes(data))
    return str(archive)


def tar_bytes(files: Mapping[str, bytes | None], mode: Literal["w", "w:gz"] = "w") -> bytes:
    """A tar of files, images where the bytes are None; for archives inside a source too."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:
        for number, (name, given) in enumerate(files.items()):
            content = png(hash_of(name) + number) if given is None else given
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return stream.getvalue()


def hash_of(name: str) -> int:
    """A seed of a name, the same in every process."""
    return sum(ord(letter) * 31**at for at, letter in enumerate(name[-8:])) % 1_000_003 + 1000


def until_curate(root: Path, uri: str, answer: SourceAnswer = SourceAnswer()) -> Curated:
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
    names = "manifest review soft_labels selection classes balance annotators stopping profile curation"
    writes = {role: out / "curate" / role for role in names.split()}
    (root / "curation").mkdir(exist_ok=True)
    (root / "curation" / "overrides.csv").write_text(OVERRIDES)
    (root / "curation" / "classes.csv").write_text("class_id,name,definition,parents\n")
    reads |= {**inspected, "votes": out / "votes.parquet"}
    curate(StageRun(root, reads, writes, CURATE, SETTINGS))
    manifest = MANIFEST.read(writes["manifest"]).set_index("image_id")
    manifest.index = manifest.index.str.removeprefix("pics/")
    return Curated(found, params, manifest, json.loads(writes["curation"].read_text()))


def _zip_bytes(files: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()
