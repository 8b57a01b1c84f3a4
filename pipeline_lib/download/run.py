"""Fetch what was listed and verify it; loose objects are packed, archives stay as received where they can be read."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from pipeline_lib.download.annotations import read_subjects, read_votes
from pipeline_lib.download.archives import take_archive
from pipeline_lib.download.labels_file import read_labels, report_labels
from pipeline_lib.download.loose import pack
from pipeline_lib.download.plan import Plan, Unit, plan_source
from pipeline_lib.download.stored import MEMBERS_FILE, Stored, read_stored, write_members
from pipeline_lib.download.tables import members_of_source, votes_frame, with_labels
from pipeline_lib.errors import BadData, NoSpace, SourceChanged
from pipeline_lib.files.atomic import atomic_folder, remove_tree
from pipeline_lib.harness.memo import Memo, stage_key
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.settings import Settings
from pipeline_lib.shards.cut import ShardSizes
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.places import Place, open_place
from pipeline_lib.sources.source import Source, read_sources
from pipeline_lib.tables.listing import LISTING
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES

log = logging.getLogger(__name__)
TRIES = 3  # of a unit whose objects change while they are read
FORMAT_VERSION = 3  # of packed shards and repacked archives: raise it when their bytes change


def run(job: StageRun) -> None:
    """listing.parquet, sources.json and the sources -> shards/, members.parquet, votes.parquet."""
    settings: Settings = job.settings
    root, limits = settings.origin(job.checkout), job.params.shard_sizes()
    listing, sources = LISTING.read(job.reads["listing"]), read_sources(job.reads["sources"])
    places = {source.name: open_place(source.uri, settings, root=root) for source in sources}
    archive_limits: ArchiveLimits = job.params.archive_limits()
    plans = {
        one.name: plan_source(
            one,
            listing,
            limits,
            max_file_bytes=archive_limits.max_file_bytes,
            is_single=places[one.name].is_single,
        )
        for one in sources
    }
    memo = Memo(
        settings.state_folder(job.checkout) / "memo" / "download",
        stage_key(format_version=FORMAT_VERSION, params="", libraries=()),
    )
    with atomic_folder(job.writes["shards"]) as folder:
        units = [unit for plan in plans.values() for unit in plan.units]
        stored = _store_all(units, places, folder, memo, settings, archive_limits)
        members, votes = _tables(sources, plans, stored, settings, root=root, limits=limits)
    MEMBERS.write(members, job.writes["members"])
    VOTES.write(votes, job.writes["votes"])
    memo.forget_older_than(settings.memo_days)
    refused = int(members["refusal"].notna().sum())
    log.info(
        "%d files, %d refused, %d shards, %d units from the memo",
        len(members),
        refused,
        members["shard"].nunique(),
        memo.hits,
    )


def _store_all(
    units: list[Unit],
    places: dict[str, Place],
    folder: Path,
    memo: Memo,
    settings: Settings,
    limits: ArchiveLimits,
) -> dict[Unit, Stored]:
    """Bring every unit into `folder`: from the memo, else from its source."""
    desk = folder / "incoming"
    stored = {unit: _restore(unit, desk, folder, memo, limits) for unit in units}
    pending = [unit for unit, arrived in stored.items() if arrived is None]
    require_space(folder, sum(unit.size_bytes for unit in pending))
    meter = Meter("download", "bytes", sum(unit.size_bytes for unit in pending), settings.progress_every_s)
    for unit in pending:
        stored[unit] = _fetch(
            unit,
            places[unit.source.name],
            desk,
            folder,
            memo,
            workers=settings.worker_count(),
            step=meter.step,
            limits=limits,
        )
    remove_tree(desk)
    return {unit: arrived for unit, arrived in stored.items() if arrived is not None}


def _restore(unit: Unit, desk: Path, folder: Path, memo: Memo, limits: ArchiveLimits) -> Stored | None:
    remove_tree(desk)
    return _place(read_stored(desk), folder) if memo.restore(unit.memo_key(limits), desk) else None


def _fetch(
    unit: Unit,
    place: Place,
    desk: Path,
    folder: Path,
    memo: Memo,
    *,
    workers: int,
    step: Callable[[int], None],
    limits: ArchiveLimits,
) -> Stored:
    """Bring a unit as listed. Where an object changed since, begin it again with all its objects as they are now: the
    memo knows them as that version, which the next listing names. Raises SourceChanged when they keep changing, or
    when one grew beyond the size that is taken, which the next listing refuses.
    """
    bring = pack if unit.kind == "pack" else partial(take_archive, limits=limits)
    for tries_left in reversed(range(TRIES)):
        remove_tree(desk)
        desk.mkdir()
        try:
            stored = bring(unit, place, desk, workers=workers, step=step)
            break
        except BadData as error:
            remove_tree(desk)  # what a bomb has unpacked to so far does not stay on the disk
            if not isinstance(error, SourceChanged) or not tries_left:
                raise
            unit = replace(unit, objects=tuple(place.look(one) for one in unit.objects))
            if unit.kind == "pack" and any(one.size_bytes > limits.max_file_bytes for one in unit.objects):
                raise
            log.warning("%s: %s; it is read again as it is now", error.file, error.what)
    write_members(stored, desk / MEMBERS_FILE)
    memo.keep(unit.memo_key(limits), [stored.container, desk / MEMBERS_FILE])
    return _place(stored, folder)


def _place(stored: Stored, folder: Path) -> Stored:
    """Move the container to where it stays."""
    return Stored(stored.container.rename(folder / stored.container.name), stored.members)


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise NoSpace before hours of transfer that could not end. Compressed archives need more than is known before."""
    left_bytes = shutil.disk_usage(folder).free
    if needed_bytes > left_bytes:
        remedy = f"free {needed_bytes - left_bytes} bytes (`dvc gc --workspace` drops old data) and run again"
        raise NoSpace(
            f"{needed_bytes} bytes are to be fetched", file=folder, value=f"{left_bytes} bytes left", remedy=remedy
        )


def _tables(
    sources: tuple[Source, ...],
    plans: dict[str, Plan],
    stored: dict[Unit, Stored],
    settings: Settings,
    *,
    root: Path,
    limits: ShardSizes,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """members and votes of all sources, each as its table has it."""
    members, votes = [MEMBERS.empty()], [VOTES.empty()]
    for source in sources:
        plan = plans[source.name]
        frame = members_of_source(source, plan, [stored[unit] for unit in plan.units], limits)
        names = frozenset(frame["image_id"].str.removeprefix(f"{source.name}/"))
        if source.labels:
            taken = frozenset(frame.loc[frame["refusal"].isna(), "image_id"].str.removeprefix(f"{source.name}/"))
            labels = read_labels(_read_csv(source.labels, settings, root), file=source.labels, members=taken)
            report_labels(labels, source.labels)
            frame = with_labels(frame, source, labels)
        if source.subjects:
            subjects = read_subjects(_read_csv(source.subjects, settings, root), file=source.subjects, members=names)
            frame["subject"] = frame["image_id"].str.removeprefix(f"{source.name}/").map(subjects)
        if source.votes:
            lines = read_votes(_read_csv(source.votes, settings, root), file=source.votes, members=names)
            votes.append(votes_frame(source, lines))
        members.append(frame)
    return pd.concat(members, ignore_index=True), pd.concat(votes, ignore_index=True)


def _read_csv(uri: str, settings: Settings, root: Path) -> bytes:
    place = open_place(uri, settings, root=root)
    return place.read(next(place.list()))
