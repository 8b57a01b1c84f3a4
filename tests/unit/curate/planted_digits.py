"""The demo's planted digits as the tables that `curate` reads, made by the line's own decoder and features."""

from __future__ import annotations

import csv
import hashlib
import tarfile
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from demo.plant import plant
from demo.planted import PlantList
from pipeline_lib.curate.decide import Found
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.picture import examine
from pipeline_lib.inspect.shard import _shapes
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS
from tests.unit.curate.made_tables import typed

SOURCE = "digits"
REFUSED_NAMES = {".DS_Store": "ignored_system_file", "readme.txt": "not_a_picture_name"}


@dataclass(frozen=True)
class PlantedDigits:
    """found: what curate is given. plants: what is wrong with it."""

    found: Found
    plants: PlantList


def plant_digits(folder: Path, *, seed: int) -> PlantedDigits:
    plants = plant(folder, seed=seed)
    subjects = {row["member"]: row["subject"] for row in csv.DictReader((folder / "subjects.csv").open())}
    votes = pd.read_csv(folder / "votes.csv", dtype=str).rename(columns={"member": "image_id"})
    members, images, features = [], [], []
    with tarfile.open(folder / "digits.tar") as archive:
        for info in archive:
            file = archive.extractfile(info)
            assert file is not None
            data, image_id = file.read(), f"{SOURCE}/{info.name}"
            refusal = REFUSED_NAMES.get(Path(info.name).name)
            members.append(_member(image_id, data, subjects.get(info.name), refusal))
            if refusal:
                continue
            examined = examine(image_id, data, InspectParams())
            images.append({"image_id": image_id, "shard": "s", "row_in_shard": len(images), **examined.findings})
            if examined.decoded is not None:
                features.append({"image_id": image_id, **_shapes(examined.decoded)})
    found = Found(
        members=typed(members, MEMBERS),
        images=typed(images, IMAGES),
        votes=votes.assign(image_id=f"{SOURCE}/" + votes["image_id"]),
        features=typed(features, FEATURES),
        overrides=(),
        overrides_file=Path("curation/overrides.csv"),
        manifest_file=Path("line/curate/manifest.parquet"),
    )
    return PlantedDigits(found, plants)


def _member(image_id: str, data: bytes, subject: str | None, refusal: str | None) -> dict[str, object]:
    folder = image_id.split("/")[1]
    return {
        "image_id": image_id,
        "source": SOURCE,
        "shard": "s",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "label_received": None if refusal == "not_a_picture_name" else folder,
        "subject": subject,
        "refusal": refusal,
    }
