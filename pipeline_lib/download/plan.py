"""Plan the download: the units that the memo stores as a whole, from the listing alone."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass

import pandas as pd

from pipeline_lib.errors import BadData
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.cut import ShardSizes, cut_shards
from pipeline_lib.shards.found import refusal_of
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.names import without_archive_ending
from pipeline_lib.sources.places import SourceObject
from pipeline_lib.sources.reading import left_out
from pipeline_lib.sources.source import Source


@dataclass(frozen=True)
class Unit:
    """An archive, or the loose objects of one shard. prefix: what stands before an archive's member names."""

    source: Source
    kind: str  # "archive" or "pack"
    objects: tuple[SourceObject, ...]
    prefix: str = ""

    @property
    def size_bytes(self) -> int:
        """The number of bytes to transfer."""
        return sum(one.size_bytes for one in self.objects)

    def memo_key(self, limits: ArchiveLimits) -> str:
        """Everything that affects the unit's bytes and the decisions on its members."""
        objects = [astuple(one)[:4] for one in self.objects]
        facts = [self.source.name, self.source.uri, self.kind, self.prefix, objects]
        return json.dumps([*facts, astuple(limits)] if self.kind == "archive" else facts)


@dataclass(frozen=True)
class DownloadPlan:
    """One source's units, in order, and the loose objects refused unread, with why."""

    units: tuple[Unit, ...]
    refused: tuple[tuple[SourceObject, Reason], ...]


def plan_source(
    source: Source,
    listing: pd.DataFrame,
    limits: ShardSizes,
    *,
    max_file_bytes: int,
    is_single: bool,
) -> DownloadPlan:
    """Plan one source. is_single: its address is one archive, whose members need no prefix to differ from others'.

    Loose objects are packed in the order (last-modified, key), so that new ones come last. Raises BadData when an
    archive and a folder of the same name would give their images the same image_id.
    """
    archives = _objects(listing, source, "archive")
    loose = _objects(listing, source, "image")
    refuse_same_prefix([one.key for one in archives], [one.key for one in loose], source=source)
    units = [
        Unit(source, "archive", (one,), "" if is_single else without_archive_ending(one.key) + "/")
        for one in archives
    ]
    excluded = left_out((one.key for one in loose), source)
    judged = [
        (
            one,
            Reason.EXCLUDED_BY_PATTERN
            if one.key in excluded
            else refusal_of(one.key, one.size_bytes, max_file_bytes) or one.fault,
        )
        for one in loose
    ]
    taken = sorted(
        (one for one, reason in judged if reason is None),
        key=lambda one: (one.modified_ns, one.key),
    )
    shards = cut_shards([one.key for one in taken], [one.size_bytes for one in taken], limits)
    units += [Unit(source, "pack", tuple(taken[at] for at in shard)) for shard in shards]
    return DownloadPlan(
        tuple(units), tuple((one, reason) for one, reason in judged if reason is not None)
    )


def refuse_same_prefix(archives: list[str], loose: list[str], *, source: Source) -> None:
    """Raise BadData for `train.tar` beside `train/` or `train.zip`: the same images twice, most probably."""
    owners: dict[str, str] = {}
    for key in archives:
        prefix = without_archive_ending(key) + "/"
        other = owners.setdefault(prefix, key)
        rival = (
            other
            if other != key
            else next((name for name in loose if name.startswith(prefix)), None)
        )
        if rival:
            remedy = "remove one of the two from the source, or name only one of them in discover.sources"
            raise BadData(
                f"{key} and {rival} would give images the same names",
                file=source.uri,
                value=prefix,
                remedy=remedy,
            )


def _objects(listing: pd.DataFrame, source: Source, kind: str) -> list[SourceObject]:
    rows = listing[(listing["source"] == source.name) & (listing["kind"] == kind)]
    columns = (
        rows[name].tolist() for name in ("key", "size_bytes", "modified_ns", "etag", "fault")
    )
    return [
        SourceObject(
            key,
            size,
            modified,
            None if pd.isna(etag) else etag,
            None if pd.isna(fault) else Reason(fault),
        )
        for key, size, modified, etag, fault in zip(*columns, strict=True)
    ]
