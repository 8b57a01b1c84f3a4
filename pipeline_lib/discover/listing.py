"""Make the rows of the listing from the sources."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import BadData, SourceMissing
from pipeline_lib.harness.progress import Meter
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.shards.streams import foreign_kind
from pipeline_lib.sources.names import is_archive, refusal
from pipeline_lib.sources.objects import FIX_SOURCES, Identified, Place, SourceObject
from pipeline_lib.sources.places import place_of, table_place
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.source_doubt import SourceDoubt, doubt_of_source, stand_in
from pipeline_lib.sources.warned import refuse_or_warn_once
from pipeline_lib.tables.listing import LISTING

log = logging.getLogger(__name__)
BATCH_ROWS = 50_000
NAMED = 5  # examples in a message
UNREADABLE = frozenset({Reason.UNREADABLE_FILE, Reason.UNREADABLE_FOLDER})


@dataclass(frozen=True)
class Listed:
    """The rows of LISTING. touched: by source, the keys of local files with new dates and the same bytes."""

    frame: pd.DataFrame
    touched: Mapping[str, frozenset[str]]


def list_sources(sources: tuple[Source, ...], settings: Settings, *, root: Path) -> Listed:
    """List every object, and read local files that are not known yet.

    Raises SourceMissing, CredentialsRefused, ServiceUnavailable, BadData for two objects of one name; SourceChanged for a
    file that is being written to.
    """
    parts, touched = [LISTING.empty()], {}
    for source in sources:
        images, touched[source.name] = _images_of(source, settings, root)
        parts.append(images)
        for kind, uri in (
            ("labels", source.labels_address),
            ("votes", source.votes),
            ("subjects", source.subjects),
        ):
            if uri:
                beside = table_place(uri, settings, root=root)
                told = (one for one in beside.list() if _tells(beside, one.key))
                found = _identified(beside, told, source, settings)
                parts += [_rows(source, batch, kind) for batch in _batches(found)]
    return Listed(pd.concat(parts, ignore_index=True), touched)


def _images_of(
    source: Source, settings: Settings, root: Path
) -> tuple[pd.DataFrame, frozenset[str]]:
    """The rows of the images and archives, and the keys of those that were only touched."""
    place = place_of(source.uri, settings, root=root)
    frames, touched, unreadable, foreign = [], set(), list[str](), list[str]()
    for batch in _batches(_identified(place, place.list(), source, settings)):
        frames.append(_rows(source, batch))
        touched |= {one.object.key for one in batch if one.was_touched}
        unreadable += [one.object.key for one in batch if one.object.fault in UNREADABLE]
        foreign += [one.object.key for one in batch if foreign_kind(one.object.key)]
    if not frames:
        raise SourceMissing(
            "nothing is there", file=place.address, remedy=f"{FIX_SOURCES}, or put images there"
        )
    if unreadable:
        what = "source %s: %d objects are unreadable: %s; they are quarantined"
        log.warning(what, source.name, len(unreadable), ", ".join(sorted(unreadable)[:NAMED]))
    if foreign:
        what = "source %s: %d archives of formats that are not read are left out: %s; unpack them"
        log.warning(what, source.name, len(foreign), ", ".join(sorted(foreign)[:NAMED]))
    frame = pd.concat(frames, ignore_index=True)
    # obstore loses a slash at an end of a key (docs/operations.md).
    if (twice := frame["key"][frame["key"].duplicated()]).size:
        what = "two objects give one name, as a slash at an end of a key is lost"
        remedy = "rename or remove one of them, or name a prefix without it"
        raise BadData(what, file=place.address, value=twice.iloc[0], remedy=remedy)
    if not place.is_single:
        refuse_or_warn_once(
            _doubt(source, sorted(frame["key"].tolist())),
            root / settings.state_dir / "doubts",
            stage="discover",
        )
    return frame, frozenset(touched)


def _batches(found: Iterator[Identified]) -> Iterator[list[Identified]]:
    """Cut a listing: an object takes several times the memory of its row."""
    while batch := list(islice(found, BATCH_ROWS)):
        yield batch


def _identified(
    place: Place, listed: Iterable[SourceObject], source: Source, settings: Settings
) -> Iterator[Identified]:
    """The objects of a place, each with its ETag or its checksum."""
    begin = _hashing(source.name, settings)
    meter = Meter("list", "objects", None, settings.progress_every_s)
    found = place.identify(listed, workers=settings.worker_count(), begin=begin)
    for one in found:
        yield one
        meter.step()


def _hashing(source: str, settings: Settings) -> Callable[[int, int], Callable[[int], object]]:
    """Show how far the reading of new files is."""

    def begin(n_files: int, size_bytes: int) -> Callable[[int], object]:
        if n_files:
            what = "source %s: %d new or touched files, %d bytes, are read to know them again"
            log.info(what, source, n_files, size_bytes)
        return Meter("read", "bytes", size_bytes, settings.progress_every_s).step

    return begin


def _doubt(source: Source, keys: list[str]) -> SourceDoubt | None:
    """Find doubtful folders and archive names; `download` checks the content of archives."""
    archives = [key for key in keys if is_archive(key)]
    loose = [key for key in keys if not is_archive(key) and refusal(key) is None]
    return doubt_of_source(source, [*loose, *map(stand_in, archives)], archives)


def _rows(source: Source, found: list[Identified], kind: str | None = None) -> pd.DataFrame:
    """Rows of LISTING, column by column: there may be millions. kind: of a table; None for images and archives."""
    objects = [one.object for one in found]
    kinds = [kind or _kind(source, one) for one in objects]
    columns = {
        "source": source.name,
        "kind": kinds,
        "key": [one.key for one in objects],
        "size_bytes": [one.size_bytes for one in objects],
        "etag": [one.etag for one in objects],
        "checksum": [one.checksum for one in objects],
        "fault": [one.fault and str(one.fault) for one in objects],
    }
    types = {column.name: pd.ArrowDtype(column.type) for column in LISTING.columns}
    return pd.DataFrame(columns, index=range(len(objects))).astype(types)


def _kind(source: Source, found: SourceObject) -> str:
    return "archive" if source.is_container(found.key) and not found.fault else "image"


def _tells(place: Place, key: str) -> bool:
    """Whether a file counts: a folder of annotations may hold images too."""
    return place.is_single or refusal(key) is Reason.NOT_A_PICTURE_NAME
