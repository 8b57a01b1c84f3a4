"""Shards made for the tests of inspect: one container, members read at their offsets."""

import hashlib
from pathlib import Path

import pandas as pd

from pipeline_lib.harness.stage import StageRun
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.inspect.run import run
from pipeline_lib.settings import Settings
from pipeline_lib.tables.features import FEATURES
from pipeline_lib.tables.images import IMAGES
from pipeline_lib.tables.members import MEMBERS

CONTAINER = "images.bin"


def make_source(folder: Path, files: dict[str, bytes], *, per_shard: int = 4) -> None:
    """Write shards/ and members.parquet below `folder`; `files` is image_id -> bytes."""
    (folder / "shards").mkdir(parents=True)
    rows, offset = [], 0
    for number, (image_id, data) in enumerate(files.items()):
        where = {"container": CONTAINER, "offset_bytes": offset, "size_bytes": len(data)}
        place = {"shard": f"{number // per_shard:016x}", "row_in_shard": number % per_shard}
        rows.append(
            {
                "image_id": image_id,
                **place,
                **where,
                "sha256": hashlib.sha256(data).hexdigest(),
                "refusal": None,
            }
        )
        offset += len(data)
    (folder / "shards" / CONTAINER).write_bytes(b"".join(files.values()))
    refused = {"image_id": "made/.DS_Store", "size_bytes": 9, "refusal": "ignored_system_file"}
    frame = pd.DataFrame([*rows, refused], dtype=object).assign(
        source="made", label_received="a", split_received=None, subject=None
    )
    MEMBERS.write(frame, folder / "members.parquet")


def inspect(
    folder: Path, params: InspectParams | None = None, *, workers: int = 1, out: str = "out"
) -> Path:
    """Run the stage on a source made above; returns the folder of its outputs. The memo lies in folder/state."""
    target = folder / out
    reads = {"shards": folder / "shards", "members": folder / "members.parquet"}
    writes = {
        "images": target / "images.parquet",
        "features": target / "features",
        "pixel_rules": target / "pixel_rules.json",
    }
    run(
        StageRun(
            folder,
            reads,
            writes,
            params or InspectParams(),
            Settings(workers=workers, state_dir=folder / "state"),
        )
    )
    return target


def images_of(out: Path) -> pd.DataFrame:
    return IMAGES.read(out / "images.parquet").set_index("image_id")


def features_of(out: Path) -> pd.DataFrame:
    return pd.concat(
        [FEATURES.read(file) for file in sorted((out / "features").iterdir())]
    ).set_index("image_id")


def digests(out: Path) -> dict[str, str]:
    """Path below `out` -> sha256, of all files."""
    return {
        str(file.relative_to(out)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in out.rglob("*")
        if file.is_file()
    }
