"""The objects that sources held before this run; `pipeline_lib.sources.withdrawn` judges the losses."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import BadData
from pipeline_lib.sources.names import is_archive
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.withdrawn import Holding, LastRun, Records
from pipeline_lib.tables.listing import LISTING, read_listing_of_any_version

log = logging.getLogger(__name__)


def holdings_of(
    sources: Sequence[Source],
    now: pd.DataFrame,
    records: Records,
    last: LastRun | None,
    listing: Path,
) -> list[Holding]:
    """Return the earlier and present objects of each source. now: a listing. listing: where this run writes its own."""
    addresses = _addresses(last)
    before = {
        one.name: None if last is None else records.read(one.name, addresses.get(one.name, one.uri))
        for one in sources
    }
    if last is not None and any(known is None for known in before.values()):
        table = last_listing(last, listing)
        before = {
            name: _objects(table, name) if known is None else known
            for name, known in before.items()
        }
    return [
        _holding(one, before[one.name], _objects(now, one.name), addresses.get(one.name, one.uri))
        for one in sources
    ]


def _holding(
    source: Source, before: pd.DataFrame | None, now: pd.DataFrame, address: str
) -> Holding:
    """Compare the objects; if one archive replaces another, `download` compares the members."""
    is_one_for_another = address != source.uri and is_archive(address) and is_archive(source.uri)
    if before is not None and (before.empty or is_one_for_another):
        before = None
    return Holding(source.name, source.uri, before, now, None if address == source.uri else address)


def _addresses(last: LastRun | None) -> Mapping[str, str]:
    if last is None:
        return {}
    params = last.entry.get("params", {}).get("params.yaml", {})
    return {
        source["name"]: source["uri"] for source in params.get("discover", {}).get("sources", ())
    }


def last_listing(last: LastRun, listing: Path) -> pd.DataFrame:
    """Return the listing of the last run, or an empty one, with a warning, if it is not available."""
    found = last.file(listing)
    if found is None:
        log.warning(
            "the last run's listing is not in DVC's cache: withdrawals since then are not checked; "
            "`dvc fetch discover` restores it if a remote has it"
        )
        return LISTING.empty()
    try:
        return read_listing_of_any_version(found)
    except BadData as error:  # another version of Perennial wrote it
        log.warning(
            "the last run's listing cannot be read: withdrawals since then are not checked: %s",
            error,
        )
        return LISTING.empty()


def _objects(listing: pd.DataFrame, source: str) -> pd.DataFrame:
    """A source's images and archives."""
    rows = listing[(listing["source"] == source) & listing["kind"].isin(["image", "archive"])]
    version = rows["checksum"].fillna(rows["etag"]).fillna("").astype(str)
    is_one = rows["kind"] == "archive"
    objects = rows[["key", "size_bytes"]].assign(version=version, is_archive=is_one)
    return objects.sort_values("key", ignore_index=True)
