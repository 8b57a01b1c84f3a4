"""The members that a source's archives held before this run: `discover` sees an archive as one object."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from pipeline_lib.download.plan import DownloadPlan
from pipeline_lib.errors import PipelineError
from pipeline_lib.sources.source import Source, read_sources
from pipeline_lib.sources.withdrawn import Holding, LastRun, Records
from pipeline_lib.tables.members import MEMBERS

log = logging.getLogger(__name__)


def holdings_of(
    sources: Sequence[Source],
    plans: Mapping[str, DownloadPlan],
    members: pd.DataFrame,
    records: Records,
    last: LastRun | None,
    *,
    members_file: Path,
    sources_file: Path,
) -> list[Holding]:
    """Return the earlier and present archive members of each source; sources without archives are left out.

    members: as MEMBERS has them. members_file, sources_file: where this run writes and reads its own. Members of
    archives that are not listed any more are not asked for again: `discover` did.
    """
    addresses = {} if last is None else _addresses(last, sources_file)
    holdings = []
    for source in sources:
        prefixes = tuple(unit.prefix for unit in plans[source.name].units if unit.kind == "archive")
        if not prefixes:
            continue
        address = addresses.get(source.name, source.uri)
        before = None if last is None else records.read(source.name, address)
        if before is None and last is not None:
            before = _last_members(last, members_file, source.name)
        if before is not None:
            before = before[before["key"].str.startswith(prefixes)]
        moved_from = None if address == source.uri else address
        holdings.append(
            Holding(source.name, source.uri, before, _taken(members, source.name), moved_from)
        )
    return holdings


def _addresses(last: LastRun, sources_file: Path) -> dict[str, str]:
    found = last.file(sources_file)
    try:
        return {one.name: one.uri for one in read_sources(found)} if found else {}
    except PipelineError:  # another version of Perennial wrote it
        return {}


def _last_members(last: LastRun, members_file: Path, source: str) -> pd.DataFrame | None:
    """Return the members of the last run, or None, with a warning, if they are not available."""
    found = last.file(members_file)
    try:
        table = MEMBERS.read(found) if found else None
    except PipelineError:  # another version of Perennial wrote it
        table = None
    if table is None:
        log.warning(
            "the last run's members are not in DVC's cache: withdrawals from archives since then are not checked"
        )
        return None
    return _taken(table, source)


def _taken(members: pd.DataFrame, source: str) -> pd.DataFrame:
    """A source's members that are not refused."""
    rows = members[(members["source"] == source) & members["refusal"].isna()]
    keys = rows["image_id"].str.removeprefix(f"{source}/")
    taken = pd.DataFrame(
        {"key": keys, "size_bytes": rows["size_bytes"], "version": rows["sha256"].astype(str)}
    )
    return taken.assign(is_archive=False).sort_values("key", ignore_index=True)
