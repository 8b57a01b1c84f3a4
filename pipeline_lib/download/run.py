"""Fetch what was listed and verify it; loose objects are packed, archives stay as received where they can be read."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.download.annotations import read_subjects, read_votes, subjects_of_source
from pipeline_lib.download.archives import take_archive
from pipeline_lib.download.label_files import label_files
from pipeline_lib.download.loose import pack
from pipeline_lib.download.members_before import holdings_of
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.download.plan import DownloadPlan, Unit, plan_source
from pipeline_lib.download.stored import MEMBERS_FILE, StoredUnit, read_stored, write_members
from pipeline_lib.download.tables import extras_frame, members_of_source, votes_frame, with_labels
from pipeline_lib.errors import BadData, DataCheckFailed, NoSpace, SourceChanged
from pipeline_lib.files.atomic import atomic_folder, remove_tree
from pipeline_lib.harness.memo import Memo, stage_key
from pipeline_lib.harness.progress import Meter
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import report_labels
from pipeline_lib.params_file import load_section
from pipeline_lib.reasons import Reason
from pipeline_lib.remedies import remedy_of
from pipeline_lib.settings import Settings
from pipeline_lib.shards.cut import ShardSizes
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.doubt import doubt_of_source
from pipeline_lib.sources.places import Place, place_of, table_place
from pipeline_lib.sources.s3 import RELIST
from pipeline_lib.sources.source import Source, read_sources
from pipeline_lib.sources.warned import warn_once
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
TRIES = 3  # of a unit whose objects change while they are read
FORMAT_VERSION = 3  # of packed shards and repacked archives: raise it when their bytes change


def run(job: StageRun[DownloadParams]) -> None:
    """listing.parquet, sources.json and the sources -> shards/, members.parquet, votes.parquet, extras.parquet."""
    settings: Settings = job.settings
    root, limits = settings.origin(job.checkout), job.params.shard_sizes()
    listing, sources = LISTING.read(job.reads["listing"]), read_sources(job.reads["sources"])
    places = {source.name: place_of(source.uri, settings, root=root) for source in sources}
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
        members, votes, extras = _tables(
            sources, plans, stored, places, settings, root=root, limits=limits
        )
        _check_unreadable(members, job)
        records = Records(settings.state_folder(job.checkout) / "held" / "members")
        holdings = holdings_of(
            sources,
            plans,
            members,
            records,
            LastRun.of("download", job.checkout, settings),
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


def _store_all(
    units: list[Unit],
    places: dict[str, Place],
    folder: Path,
    memo: Memo,
    settings: Settings,
    limits: ArchiveLimits,
) -> dict[Unit, StoredUnit]:
    """Put every unit into `folder`, from the memo if it is there, else from its source."""
    desk = folder / "incoming"
    stored = {unit: _restore(unit, desk, folder, memo, limits) for unit in units}
    pending = [unit for unit, arrived in stored.items() if arrived is None]
    require_space(folder, sum(unit.size_bytes for unit in pending))
    meter = Meter(
        "download", "bytes", sum(unit.size_bytes for unit in pending), settings.progress_every_s
    )
    changed: list[str] = []
    for unit in pending:
        place = places[unit.source.name]
        fetched = _fetch(
            unit,
            place,
            desk,
            folder,
            memo,
            workers=settings.worker_count(),
            step=meter.step,
            limits=limits,
        )
        stored[unit] = fetched.stored
        changed += [f"{place.address.rstrip('/')}/{key}" for key in fetched.changed]
    remove_tree(desk)
    if (
        changed
    ):  # only now: all that was read is in the memo, so that the next run reads nothing twice
        raise SourceChanged(
            "the source changed during the run",
            file=changed[0],
            value=f"{len(changed)} objects differ from the listed versions",
            remedy=f"{RELIST}; objects already read are kept",
        )
    return {unit: arrived for unit, arrived in stored.items() if arrived is not None}


def _restore(
    unit: Unit, desk: Path, folder: Path, memo: Memo, limits: ArchiveLimits
) -> StoredUnit | None:
    remove_tree(desk)
    return _place(read_stored(desk), folder) if memo.restore(unit.memo_key(limits), desk) else None


@dataclass(frozen=True)
class _Fetched:
    """changed: the objects that are not the listed version, but a later one."""

    stored: StoredUnit
    changed: tuple[str, ...]


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
) -> _Fetched:
    """Bring a unit as listed. Where an object changed since, begin it again with all its objects as they are now: the
    memo knows them as that version, which the next listing names. This run must not end well then: DVC would know the
    new bytes by the listing of the old ones, and bring them back should the source ever return to those. Raises
    SourceChanged when they keep changing, or when one grew beyond the size that is taken, which the next listing
    refuses.
    """
    listed = unit
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
            if unit.kind == "pack" and any(
                one.size_bytes > limits.max_file_bytes for one in unit.objects
            ):
                raise
            log.warning("%s: %s; its present version is read", error.file, error.what)
    write_members(stored, desk / MEMBERS_FILE)
    if unreadable := [one.name for one in stored.members if one.refused is Reason.UNREADABLE_FILE]:
        some = ", ".join(f"{place.address.rstrip('/')}/{name}" for name in unreadable[:NAMED])
        log.warning("%d objects are unreadable: %s; they are quarantined", len(unreadable), some)
    else:  # permissions are not part of the key: refused objects are tried again
        memo.keep(unit.memo_key(limits), [stored.container, desk / MEMBERS_FILE])
    pairs = zip(listed.objects, unit.objects, strict=True)
    return _Fetched(_place(stored, folder), tuple(new.key for old, new in pairs if new != old))


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


def _place(stored: StoredUnit, folder: Path) -> StoredUnit:
    """Move the container to its final place."""
    return StoredUnit(stored.container.rename(folder / stored.container.name), stored.members)


def require_space(folder: Path, needed_bytes: int) -> None:
    """Raise NoSpace before hours of a transfer that could not finish. Compressed archives may need more than is known here."""
    left_bytes = shutil.disk_usage(folder).free
    if needed_bytes > left_bytes:
        remedy = f"free {needed_bytes - left_bytes} bytes (`dvc gc --workspace` drops old data) and run again"
        raise NoSpace(
            f"{needed_bytes} bytes must be fetched",
            file=folder,
            value=f"{left_bytes} bytes left",
            remedy=remedy,
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
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """members, votes and extras of all sources, each as its table has it."""
    members, votes, extras = [MEMBERS.empty()], [VOTES.empty()], [EXTRAS.empty()]
    for source in sources:
        plan = plans[source.name]
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
            warn_once(doubt, root / settings.state_dir / "doubts", stage="download")
        subjects: Mapping[str, str] = {}
        if stated := source.labels_stated:
            file = stated.file or source.uri
            labels = read_labels(
                label_files(stated, plan, arrived, places[source.name], settings, root=root),
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
                _read_csv(source.subjects, settings, root), file=source.subjects, members=names
            )
        elif source.subject_pattern:
            subjects = subjects_of_source(source.subject_pattern, taken, source=source.name)
        if subjects:
            frame["subject"] = frame["image_id"].str.removeprefix(f"{source.name}/").map(subjects)
        if source.votes:
            lines = read_votes(
                _read_csv(source.votes, settings, root), file=source.votes, members=names
            )
            votes.append(votes_frame(source, lines))
        members.append(frame)
    return (
        pd.concat(members, ignore_index=True),
        pd.concat(votes, ignore_index=True),
        pd.concat(extras, ignore_index=True),
    )


def _read_csv(uri: str, settings: Settings, root: Path) -> bytes:
    place = table_place(uri, settings, root=root)
    return place.read(next(place.list()))
