"""Fetch what was listed and verify it; loose objects are packed, archives stay as received where they can be read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.download.annotations import read_subjects, read_votes, subjects_of_source
from pipeline_lib.download.label_files import label_files
from pipeline_lib.download.members_before import holdings_of
from pipeline_lib.download.packed_before import PackedBytes, members_before, packing_of
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.download.plan import DownloadPlan, Unit, objects_of, plan_source
from pipeline_lib.download.store import store_all
from pipeline_lib.download.stored import StoredUnit
from pipeline_lib.download.tables import extras_frame, members_of_source, votes_frame, with_labels
from pipeline_lib.download.unfinished import Unfinished
from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.files.atomic import atomic_folder
from pipeline_lib.harness.memo import Memo, stage_key
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import report_labels
from pipeline_lib.params_file import load_section
from pipeline_lib.reasons import Reason
from pipeline_lib.remedies import remedy_of
from pipeline_lib.settings import Settings
from pipeline_lib.shards.cut import ShardSizes
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.objects import Place
from pipeline_lib.sources.places import place_of, table_place
from pipeline_lib.sources.source import Source, read_sources
from pipeline_lib.sources.source_doubt import doubt_of_source
from pipeline_lib.sources.warned import refuse_or_warn_once
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
    root, limits = settings.origin(job.checkout), job.params.shard_sizes()
    listing, sources = LISTING.read(job.reads["listing"]), read_sources(job.reads["sources"])
    places = {source.name: place_of(source.uri, settings, root=root) for source in sources}
    archive_limits: ArchiveLimits = job.params.archive_limits()
    last = LastRun.of("download", job.checkout, settings)
    before = members_before(last, job.writes["members"], job.params)
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
    memo = Memo(
        settings.state_folder(job.checkout) / "memo" / "download",
        stage_key(format_version=FORMAT_VERSION, params="", libraries=()),
    )
    with atomic_folder(job.writes["shards"]) as folder:
        units = [unit for plan in plans.values() for unit in plan.units]
        kept = PackedBytes.of(
            last,
            before,
            listing,
            listing_file=job.reads["listing"],
            shards_folder=job.writes["shards"],
        )
        unfinished = Unfinished(settings.state_folder(job.checkout) / "unfinished")
        stored = store_all(units, places, folder, memo, settings, archive_limits, kept, unfinished)
        members, votes, extras = _tables(
            sources, plans, stored, places, settings, root=root, limits=limits, listing=listing
        )
        _check_unreadable(members, job)
        records = Records(settings.state_folder(job.checkout) / "held" / "members")
        holdings = holdings_of(
            sources,
            plans,
            members,
            records,
            last,
            members_file=job.writes["members"],
            sources_file=job.reads["sources"],
        )
        accepted = refuse_withdrawn(holdings, _section(job, "discover"))
    MEMBERS.write(members, job.writes["members"])
    VOTES.write(votes, job.writes["votes"])
    EXTRAS.write(extras, job.writes["extras"])
    records.keep(holdings, accepted)
    memo.forget_older_than(settings.memo_days)
    refused = int(members["refusal"].notna().sum())
    log.info(
        "%d files, %d refused, %d shards, %d units from the memo",
        len(members),
        refused,
        members["shard"].nunique(),
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


def _tables(
    sources: tuple[Source, ...],
    plans: dict[str, DownloadPlan],
    stored: dict[Unit, StoredUnit],
    places: Mapping[str, Place],
    settings: Settings,
    *,
    root: Path,
    limits: ShardSizes,
    listing: pd.DataFrame,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """members, votes and extras of all sources, each as its table has it."""
    members, votes, extras = [MEMBERS.empty()], [VOTES.empty()], [EXTRAS.empty()]
    for source in sources:
        plan = plans[source.name]
        read_table = partial(_read_table, listing, source, settings=settings, root=root)
        arrived = [stored[unit] for unit in plan.units]
        frame = members_of_source(source, plan, arrived, limits)
        names = frozenset(frame["image_id"].str.removeprefix(f"{source.name}/"))
        taken = frozenset(
            frame.loc[frame["refusal"].isna(), "image_id"].str.removeprefix(f"{source.name}/")
        )
        if archives := [unit.objects[0].key for unit in plan.units if unit.kind == "archive"]:
            doubt = doubt_of_source(
                source, sorted(taken), archives
            )  # `discover` told of what is loose
            refuse_or_warn_once(doubt, root / settings.state_dir / "doubts", stage="download")
        subjects: Mapping[str, str] = {}
        if stated := source.labels_stated:
            file = stated.file or source.uri
            listed = objects_of(listing, source, "labels")
            labels = read_labels(
                label_files(
                    stated, plan, arrived, places[source.name], listed, settings, root=root
                ),
                stated,
                file=file,
                members=taken,
                subject_column=source.subject_column,
            )
            report_labels(labels, file)
            frame = with_labels(frame, source, labels)
            extras.append(extras_frame(source, labels))
            subjects = labels.subject_of
        if source.subjects:
            subjects = read_subjects(
                read_table("subjects", source.subjects), file=source.subjects, members=names
            )
        elif source.subject_pattern:
            subjects = subjects_of_source(source.subject_pattern, taken, source=source.name)
        if subjects:
            frame["subject"] = frame["image_id"].str.removeprefix(f"{source.name}/").map(subjects)
        if source.votes:
            lines = read_votes(read_table("votes", source.votes), file=source.votes, members=names)
            votes.append(votes_frame(source, lines))
        members.append(frame)
    return (
        pd.concat(members, ignore_index=True),
        pd.concat(votes, ignore_index=True),
        pd.concat(extras, ignore_index=True),
    )


def _read_table(
    listing: pd.DataFrame, source: Source, kind: str, uri: str, *, settings: Settings, root: Path
) -> bytes:
    """The bytes of a source's table as it was listed: else DVC would know another one by the listing of this one."""
    [listed] = objects_of(listing, source, kind)
    return table_place(uri, settings, root=root).read(listed)
