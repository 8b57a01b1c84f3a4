"""Put the planned units into shards/: from the memo, else from their sources."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pipeline_lib.download.archives import take_archive
from pipeline_lib.download.loose import pack
from pipeline_lib.download.packed_before import PackedBytes
from pipeline_lib.download.plan import Unit
from pipeline_lib.download.stored import MEMBERS_FILE, StoredUnit, read_stored, write_members
from pipeline_lib.download.unfinished import Unfinished
from pipeline_lib.errors import BadData, NoSpace, SourceChanged
from pipeline_lib.files.atomic import remove_tree
from pipeline_lib.harness.memo import Memo
from pipeline_lib.harness.progress import Meter
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.shards.limits import ArchiveLimits
from pipeline_lib.sources.objects import Place
from pipeline_lib.sources.s3 import RELIST

log = logging.getLogger(__name__)
NAMED = 5  # examples in a message
TRIES = 3  # of a unit whose objects change while they are read


def store_all(
    units: list[Unit],
    places: dict[str, Place],
    folder: Path,
    memo: Memo,
    settings: Settings,
    limits: ArchiveLimits,
    kept: PackedBytes,
    unfinished: Unfinished,
) -> dict[Unit, StoredUnit]:
    """Put every unit into `folder`, from the memo if it is there, else from its source."""
    desk = folder / "incoming"
    stored = {unit: _restore(unit, desk, folder, memo, limits) for unit in units}
    pending = [unit for unit, arrived in stored.items() if arrived is None]
    archives = [
        (places[unit.source.name].address, unit.objects[0])
        for unit in pending
        if unit.kind == "archive"
    ]
    unfinished.forget_but(archives)
    there_bytes = sum(unfinished.there_bytes(*one) for one in archives)
    require_space(folder, sum(unit.size_bytes for unit in pending) - there_bytes)
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
            meter=meter,
            limits=limits,
            kept=kept,
            unfinished=unfinished,
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
    meter: Meter,
    limits: ArchiveLimits,
    kept: PackedBytes,
    unfinished: Unfinished,
) -> _Fetched:
    """Bring a unit as listed. Where an object changed since, begin it again with all its objects as they are now: the
    memo knows them as that version, which the next listing names. This run must not end well then: DVC would know the
    new bytes by the listing of the old ones, and bring them back should the source ever return to those. Raises
    SourceChanged when they keep changing, or when one grew beyond the size that is taken, which the next listing
    refuses.
    """
    listed = unit
    bring: Callable[..., StoredUnit] = partial(pack, kept=kept)
    if unit.kind == "archive":
        bring = partial(take_archive, limits=limits, unfinished=unfinished, skip=meter.skip)
    for tries_left in reversed(range(TRIES)):
        remove_tree(desk)
        desk.mkdir()
        try:
            stored = bring(unit, place, desk, workers=workers, step=meter.step)
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
        _keep_as_next_planned(unit, stored, desk, memo, limits)
    pairs = zip(listed.objects, unit.objects, strict=True)
    changed = {new.key for old, new in pairs if new != old} - set(unreadable)
    return _Fetched(_place(stored, folder), tuple(sorted(changed)))


def _keep_as_next_planned(
    unit: Unit, stored: StoredUnit, desk: Path, memo: Memo, limits: ArchiveLimits
) -> None:
    """Let the memo know a pack also without the objects that are no images: the next run plans those elsewhere."""
    if unit.kind != "pack":
        return
    pairs = zip(unit.objects, stored.members, strict=True)
    images = [(one, member) for one, member in pairs if member.refused is None]
    if not 0 < len(images) < len(unit.objects):
        return
    (desk / MEMBERS_FILE).unlink()  # the memo may be linked to it
    write_members(replace(stored, members=tuple(m for _, m in images)), desk / MEMBERS_FILE)
    planned = replace(unit, objects=tuple(one for one, _ in images))
    memo.keep(planned.memo_key(limits), [stored.container, desk / MEMBERS_FILE])


def _place(stored: StoredUnit, folder: Path) -> StoredUnit:
    """Move the container to its final place; one without an image has none, unless its files may be labels."""
    may_label = any(one.refused is Reason.NOT_A_PICTURE_NAME for one in stored.members)
    if all(member.refused for member in stored.members) and not may_label:
        stored.container.unlink()
        return stored
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
