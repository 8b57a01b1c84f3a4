"""Fetch what was listed and verify it; loose objects are packed, archives stay as received where they can be read."""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

import pandas as pd

from pipeline_lib.download.members_before import holdings_of
from pipeline_lib.download.packed_before import PackedBytes, members_before, packing_of
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.download.plan import plan_source
from pipeline_lib.download.source_tables import Origin, joined, tables_of
from pipeline_lib.download.store import store_all
from pipeline_lib.download.unfinished import Unfinished
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.files.atomic import atomic_folder
from pipeline_lib.harness.memo import Memo, stage_key
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.params_file import load_section
from pipeline_lib.reasons import Reason
from pipeline_lib.remedies import remedy_of
from pipeline_lib.settings import Settings
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.places import place_of
from pipeline_lib.sources.source import read_sources
from pipeline_lib.sources.withdrawn import LastRun, Records, refuse_withdrawn
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.listing import LISTING
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES

log = logging.getLogger(__name__)
NAMED = 5  # examples in a message
UNREADABLE = frozenset(
    {Reason.UNREADABLE_FILE, Reason.UNREADABLE_FOLDER, Reason.NOT_SERVED, Reason.ADDRESS_REFUSED}
)
FORMAT_VERSION = 3  # of packed shards and repacked archives: raise it when their bytes change


def run(job: StageRun[DownloadParams]) -> None:
    """listing.parquet, sources.json and the sources -> shards/, members.parquet, votes.parquet, extras.parquet."""
    settings: Settings = job.settings
    listing, sources = LISTING.read(job.reads["listing"]), read_sources(job.reads["sources"])
    root, state = settings.origin(job.checkout), settings.state_folder(job.checkout)
    places = {source.name: place_of(source.uri, settings, root=root) for source in sources}
    origin = Origin(listing, places, settings, root)

    # What is packed already stays where it lies: plans follow the packing of the last run.
    last = LastRun.of("download", job.checkout, settings)
    before = members_before(last, job.writes["members"], job.params)
    limits = job.params.shard_sizes()
    archive_limits: ArchiveLimits = job.params.archive_limits()
    plans = {
        one.name: plan_source(
            one,
            listing,
            limits,
            max_file_bytes=archive_limits.max_file_bytes,
            is_single=places[one.name].is_single,
            before=packing_of(before, one.name),
        )
        for one in sources
    }

    key = stage_key(format_version=FORMAT_VERSION, params="", libraries=())
    memo = Memo(state / "memo" / "download", key)
    records = Records(state / "held" / "members")
    with atomic_folder(job.writes["shards"]) as folder:
        units = [unit for plan in plans.values() for unit in plan.units]
        kept = PackedBytes.of(
            last,
            before,
            listing,
            listing_file=job.reads["listing"],
            shards_folder=job.writes["shards"],
        )
        unfinished = Unfinished(state / "unfinished")
        stored = store_all(units, places, folder, memo, settings, archive_limits, kept, unfinished)
        tables = joined(
            tables_of(source, plans[source.name], stored, origin, limits) for source in sources
        )

        # Nothing is in its place yet: a source that lost too much leaves the last run as it was.
        _check_unreadable(tables.members, job)
        holdings = holdings_of(
            sources,
            plans,
            tables.members,
            records,
            last,
            members_file=job.writes["members"],
            sources_file=job.reads["sources"],
        )
        accepted = refuse_withdrawn(holdings, _section(job, "discover"))
    MEMBERS.write(tables.members, job.writes["members"])
    VOTES.write(tables.votes, job.writes["votes"])
    EXTRAS.write(tables.extras, job.writes["extras"])

    records.keep(holdings, accepted)
    memo.forget_older_than(settings.memo_days)
    log.info(
        "%d files, %d refused, %d shards, %d units from the memo",
        len(tables.members),
        int(tables.members["refusal"].notna().sum()),
        tables.members["shard"].nunique(),
        memo.hits,
    )


def _check_unreadable(members: pd.DataFrame, job: StageRun[DownloadParams]) -> None:
    """Raise DataCheckFailed when more of the files are unreadable than `curate` would let pass: before a pixel is
    decoded, and before DVC takes what a lost permission left for the source.
    """
    unreadable = members.loc[members["refusal"].isin(UNREADABLE), ["image_id", "refusal"]]
    if unreadable.empty:
        return
    limit = _section(job, "curate").max_quarantine_rate
    if len(unreadable) <= limit * len(members):
        return
    named = ", ".join(
        f"{image_id} ({reason})"
        for image_id, reason in unreadable.iloc[:NAMED].itertuples(index=False)
    )
    first = Reason(unreadable["refusal"].iloc[0])
    raise DataCheckFailed(
        f"{len(unreadable)} of {len(members)} files are unreadable, {limit * len(members):.0f} are allowed",
        file="discover.sources",
        value=named,
        remedy=f"{remedy_of(first)}, or raise curate.max_quarantine_rate in params.yaml",
    )


def _section(job: StageRun[DownloadParams], stage: str) -> Any:
    """The parameters of another stage, read for its limits: they stop a run and change no byte, so DVC need not know.

    By name: a stage imports no other.
    """
    return load_section(
        job.checkout / "params.yaml", stage, import_module(f"pipeline_lib.{stage}.params").PARAMS
    )
