"""Sources to take images from, and discover and download run as their stages do, without DVC."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from pipeline_lib.discover.listing import list_sources
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.download.run import run
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.settings import Settings
from pipeline_lib.shards.read import MemberBytes
from pipeline_lib.sources.source import Source, sources_as_json
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.listing import LISTING
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES

SMALL_SHARDS = DownloadParams(shard_min_bytes=500, shard_target_bytes=2000, shard_max_bytes=6000)


@dataclass(frozen=True)
class Taken:
    """What download wrote."""

    folder: Path

    def keep(self, params: DownloadParams = SMALL_SHARDS) -> None:
        """Keep it, and what was read, for the next run."""
        checkout = self.folder.parent
        reads = [checkout / name for name in ("listing.parquet", "sources.json")]
        keep_as_dvc(
            checkout, reads, [self.folder / "members.parquet", self.folder / "shards"], params
        )

    @property
    def members(self) -> pd.DataFrame:
        return MEMBERS.read(self.folder / "members.parquet").set_index("image_id")

    @property
    def votes(self) -> pd.DataFrame:
        return VOTES.read(self.folder / "votes.parquet")

    @property
    def extras(self) -> dict[str, Any]:
        table = EXTRAS.read(self.folder / "extras.parquet")
        texts = table.set_index("image_id")["extras"]
        return {str(name): json.loads(text) for name, text in texts.items()}

    def read(self, image_id: str) -> bytes:
        row: Any = self.members.loc[image_id]
        with MemberBytes(self.folder / "shards") as shards:
            return shards.read(row["container"], row["offset_bytes"], row["size_bytes"])

    def bytes_by_file(self) -> dict[str, bytes]:
        return {
            str(file.relative_to(self.folder)): file.read_bytes()
            for file in self.folder.rglob("*")
            if file.is_file()
        }


Take = Callable[..., Taken]
PARAMS = "discover: {sources: [{name: pics, uri: pics}]}\ncurate: {max_quarantine_rate: 0.2}\n"


def take_sources(
    folder: Path,
    sources: tuple[dict[str, Any], ...],
    *,
    out: str,
    params: DownloadParams,
    settings: Settings,
) -> Taken:
    """Run both stages in `folder`, which is checkout, root of the sources and place of the results in `out`."""
    parsed = tuple(Source.model_validate({"name": "pics", **source}) for source in sources)
    reads = {"listing": folder / "listing.parquet", "sources": folder / "sources.json"}
    LISTING.write(list_sources(parsed, settings, root=folder).frame, reads["listing"])
    reads["sources"].write_text(sources_as_json(parsed))
    params_file = folder / "params.yaml"
    if not params_file.exists():
        params_file.write_text(PARAMS)
    target = folder / out
    writes = {
        "shards": target / "shards",
        "members": target / "members.parquet",
        "votes": target / "votes.parquet",
        "extras": target / "extras.parquet",
    }
    run(StageRun(folder, reads, writes, params, settings))
    return Taken(target)


def keep_as_dvc(
    folder: Path, reads: Iterable[Path], writes: Iterable[Path], params: DownloadParams
) -> None:
    """Keep what a run of `download` read and wrote as DVC does: in the cache, named by dvc.lock."""
    entry = {
        "deps": [_entry(folder, path) for path in reads],
        "outs": [_entry(folder, path) for path in writes],
        "params": {"params.yaml": {"download": params.model_dump()}},
    }
    (folder / "dvc.lock").write_text(yaml.safe_dump({"stages": {"download": entry}}))


def _entry(folder: Path, path: Path) -> dict[str, str]:
    name = path.relative_to(folder).as_posix()
    if path.is_file():
        return {"path": name, "md5": _cached(folder, path.read_bytes())}
    files = [
        {"md5": _cached(folder, file.read_bytes()), "relpath": file.name}
        for file in sorted(path.iterdir())
    ]
    return {"path": name, "md5": _cached(folder, json.dumps(files).encode(), ".dir")}


def _cached(folder: Path, data: bytes, ending: str = "") -> str:
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest() + ending
    file = folder / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return md5


def tar_of(path: Path, members: dict[str, bytes], *, mode: str = "w") -> Path:
    """Write a tar with plain members in the order given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def images(count: int, *, size_bytes: int = 300, classes: int = 2) -> dict[str, bytes]:
    """Files that look like images by their names; download does not look inside."""
    return {
        f"{n % classes}/{n:04d}.jpg": bytes([n % 251]) * (size_bytes + n % 7) for n in range(count)
    }
