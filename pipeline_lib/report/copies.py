"""Copy images out of DVC's cache into a folder that people can look through, verified by sha256."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from pipeline_lib.errors import OutputDamaged, UsageError
from pipeline_lib.files.atomic import atomic_folder
from pipeline_lib.files.csv_cells import frame_as_csv
from pipeline_lib.registry.closure import Closure
from pipeline_lib.registry.dvc_cache import DvcCache
from pipeline_lib.tables.members import MEMBERS

UNSAFE = re.compile(r"[^\w .,()+=-]+")  # in a name of a file that we make
LONGEST = 80  # characters of a name
PLACE = ["image_id", "container", "offset_bytes", "size_bytes"]


def copy_images(table: pd.DataFrame, target: Path, *, cache: DvcCache, closure: Closure) -> Path:
    """Write each image to target/TRUE/PREDICTED/, and the table, with the name of each copy, to target/mistakes.csv.

    Names are made safe: what comes from a source may be no name of a file here. Raises UsageError when `target` holds
    anything, SourceMissing when the cache has lost the bytes, OutputDamaged when they are other ones.
    """
    target = target.expanduser().resolve()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise UsageError("not a new or empty folder", file=target, remedy="name another folder")
    members = MEMBERS.read(cache.object(closure.md5_of("members")), PLACE)
    joined = table.merge(members, on="image_id", how="left", validate="one_to_one")
    rows: list[dict[Any, Any]] = joined.to_dict("records")
    containers = cache.listing(closure.md5_of("shards"))
    copies = []
    with atomic_folder(target) as partial:
        for row in rows:
            copy = _name_of_copy(row)
            data = verified_bytes(cache.object(containers[row["container"]]), row)
            (partial / copy).parent.mkdir(parents=True, exist_ok=True)
            (partial / copy).write_bytes(data)
            copies.append(str(copy))
        listed = table.assign(copy=copies)
        (partial / "mistakes.csv").write_text(frame_as_csv(listed), encoding="utf-8")
    return target


def safe_name(name: str, *, otherwise: str) -> str:
    """A name that every file system takes and no shell or program obeys."""
    safe = UNSAFE.sub("_", name).strip(" .-_")[:LONGEST].strip(" .")
    return safe or otherwise


def _name_of_copy(row: dict[Any, Any]) -> PurePosixPath:
    """true/predicted/name-of-the-image; the first digits of its content keep equal names apart."""
    folders = [
        safe_name(str(row[side]), otherwise="class") for side in ("true_name", "predicted_name")
    ]
    name = PurePosixPath(str(row["path"]).rpartition("/")[2])
    stem = safe_name(name.stem, otherwise="image")
    ending = safe_name(name.suffix.removeprefix("."), otherwise="bin")[:10]
    return PurePosixPath(*folders, f"{stem}-{str(row['sha256'])[:8]}.{ending}")


def verified_bytes(container: Path, row: Mapping[Any, Any]) -> bytes:
    """The bytes of an image: row has offset_bytes, size_bytes, sha256, image_id. Raises OutputDamaged."""
    with container.open("rb") as file:
        file.seek(row["offset_bytes"])
        data = file.read(row["size_bytes"])
    found = hashlib.sha256(data).hexdigest()
    if found != row["sha256"]:
        raise OutputDamaged(
            f"the bytes of {row['image_id']} are not what their sha256 says",
            file=container,
            value=found,
            remedy="delete this object and bring it back with `dvc fetch`, or run `dvc repro`",
        )
    return data
