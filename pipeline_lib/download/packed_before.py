"""How the last run packed loose objects, and their bytes, which need not come from the source again."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.download.params import DownloadParams
from pipeline_lib.errors import PipelineError
from pipeline_lib.reasons import Reason
from pipeline_lib.registry.dvc_cache import dvc_cache
from pipeline_lib.sources.objects import SourceObject
from pipeline_lib.sources.withdrawn import LastRun
from pipeline_lib.tables.listing import read_listing_of_any_version
from pipeline_lib.tables.members import MEMBERS

log = logging.getLogger(__name__)
ARCHIVE_NAME = "archive-"  # how the containers of archives are called
SIZES = ("shard_min_bytes", "shard_target_bytes", "shard_max_bytes")


@dataclass(frozen=True)
class Packing:
    """The packs of one source. shards: keys, in order. refused: keys that were read and are no images."""

    shards: tuple[tuple[str, ...], ...] = ()
    refused: frozenset[str] = frozenset()


def packing_of(members: pd.DataFrame | None, source: str) -> Packing:
    """Read a source's packing from the members of the last run (None: there is none)."""
    if members is None:
        return Packing()
    rows = members[members["source"] == source]
    rows = rows.assign(key=rows["image_id"].str.removeprefix(f"{source}/"))
    packed = rows[
        rows["shard"].notna() & ~rows["container"].str.startswith(ARCHIVE_NAME).fillna(True)
    ]
    ordered = packed.sort_values(["shard", "row_in_shard"])
    shards = [tuple(keys) for _, keys in ordered.groupby("shard", sort=True)["key"]]
    refused = rows.loc[rows["refusal"] == str(Reason.NOT_IMAGE), "key"]
    return Packing(tuple(shards), frozenset(refused))


def members_before(
    last: LastRun | None, members_file: Path, params: DownloadParams
) -> pd.DataFrame | None:
    """The members of the last run; None where there are none, or where shards are to have other sizes now."""
    if last is None or _sizes(last.entry) != [getattr(params, name) for name in SIZES]:
        return None
    found = last.file(members_file)
    try:
        return MEMBERS.read(found) if found else None
    except PipelineError:  # another version of Perennial wrote it
        return None


def _sizes(entry: Mapping[str, Any]) -> list[int]:
    given = (entry.get("params") or {}).get("params.yaml", {}).get("download") or {}
    return [given.get(name, DownloadParams.model_fields[name].default) for name in SIZES]


@dataclass(frozen=True)
class Stored:
    """Where the bytes of an object lie in a container of the last run."""

    container: Path
    offset_bytes: int
    size_bytes: int
    sha256: str


class PackedBytes:
    """The bytes of objects that a server still has in the version that the last run packed, from DVC's cache."""

    def __init__(self, stored: Mapping[tuple[str, str], Stored]) -> None:
        self._stored = stored

    @classmethod
    def of(
        cls,
        last: LastRun | None,
        members: pd.DataFrame | None,
        listing: pd.DataFrame,
        *,
        listing_file: Path,
        shards_folder: Path,
    ) -> PackedBytes:
        """Find them. listing: of this run. listing_file, shards_folder: where it reads and writes its own."""
        listed = last.file(listing_file) if last else None
        containers = _containers(last, shards_folder) if last else {}
        if members is None or listed is None or not containers:
            return cls({})
        version = ["source", "key", "size_bytes", "etag"]
        same = listing.dropna(subset="etag")[version].merge(
            read_listing_of_any_version(listed)[version], on=version
        )
        same["image_id"] = same["source"] + "/" + same["key"]
        columns = ["image_id", "container", "offset_bytes", "size_bytes", "sha256"]
        packed = members.loc[members["container"].isin(list(containers)), columns]
        rows = same[["source", "key", "image_id"]].merge(packed, on="image_id")
        return cls(
            {
                (source, key): Stored(containers[container], offset, size, sha256)
                for source, key, _, container, offset, size, sha256 in rows.itertuples(index=False)
            }
        )

    def read(self, source: str, wanted: SourceObject) -> tuple[bytes, str] | None:
        """The bytes of an object and their sha256; None where they are not there any more, or damaged: the source has them."""
        stored = self._stored.get((source, wanted.key))
        if stored is None or stored.size_bytes != wanted.size_bytes:
            return None
        try:
            handle = os.open(stored.container, os.O_RDONLY)
        except OSError:  # `dvc gc` at this moment
            return None
        try:
            data = os.pread(handle, stored.size_bytes, stored.offset_bytes)
        finally:
            os.close(handle)
        if hashlib.sha256(data).hexdigest() != stored.sha256:
            log.warning("%s is damaged; %s is fetched again", stored.container, wanted.key)
            return None
        return data, stored.sha256


def _containers(last: LastRun, shards_folder: Path) -> dict[str, Path]:
    """Name -> file in DVC's cache, of the packs that the last run wrote."""
    wanted = shards_folder.relative_to(last.checkout).as_posix()
    outs: Collection[Any] = last.entry.get("outs", ())
    md5 = next((one["md5"] for one in outs if one["path"] == wanted), None)
    cache = dvc_cache(last.checkout, last.settings)
    if md5 is None or cache.find(md5) is None:
        return {}
    found = {name: cache.find(one) for name, one in cache.listing(md5).items()}
    return {
        name: path for name, path in found.items() if path and not name.startswith(ARCHIVE_NAME)
    }
