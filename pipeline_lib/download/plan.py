"""Plan the download: the units that the memo stores as a whole, from the listing alone."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass

import pandas as pd

from pipeline_lib.download.packed_before import Packing
from pipeline_lib.errors import BadData
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.cut import ShardSizes
from pipeline_lib.shards.found import refusal_of
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.shards.repack import pack_again
from pipeline_lib.sources.names import without_archive_ending
from pipeline_lib.sources.objects import SourceObject
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
        objects = [(one.key, one.size_bytes, one.etag, one.checksum) for one in self.objects]
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
    before: Packing,
) -> DownloadPlan:
    """Plan one source. is_single: its address is one archive, whose members need no prefix to differ from others'.

    Loose objects stay in the shards that the last run packed them into (before), and new ones are packed beside them by
    key; so are, by themselves, those that turned out to be no images. Raises BadData when an archive and a folder of
    the same name would give their images the same image_id.
    """
    archives = objects_of(listing, source, "archive")
    loose = objects_of(listing, source, "image")
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
    taken = sorted((one for one, reason in judged if reason is None), key=lambda one: one.key)
    images = [one for one in taken if one.key not in before.refused]
    others = [one for one in taken if one.key in before.refused]
    for group, shards in ((images, before.shards), (others, ())):
        packs = pack_again(
            [one.key for one in group], [one.size_bytes for one in group], shards, limits
        )
        units += [Unit(source, "pack", tuple(group[at] for at in pack)) for pack in packs]
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


def objects_of(listing: pd.DataFrame, source: Source, kind: str) -> list[SourceObject]:
    """The objects of one kind of a source, as they were listed."""
    rows = listing[(listing["source"] == source.name) & (listing["kind"] == kind)]
    columns = (
        rows[name].astype(object).where(rows[name].notna(), None).tolist()
        for name in ("key", "size_bytes", "etag", "checksum", "fault")
    )
    return [
        SourceObject(key, size_bytes, etag, checksum, fault and Reason(fault))
        for key, size_bytes, etag, checksum, fault in zip(*columns, strict=True)
    ]
