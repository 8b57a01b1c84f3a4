"""Make the rows of the listing from the sources."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import SourceMissing
from pipeline_lib.harness.progress import Meter
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.sources.doubt import SourceDoubt, doubt_of_source, stand_in
from pipeline_lib.sources.names import is_archive, refusal
from pipeline_lib.sources.objects import FIX_SOURCES, Identified, Place, SourceObject
from pipeline_lib.sources.places import place_of, table_place
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.warned import warn_once
from pipeline_lib.tables.listing import LISTING

log = logging.getLogger(__name__)
NAMED = 5  # examples in a message
UNREADABLE = frozenset({Reason.UNREADABLE_FILE, Reason.UNREADABLE_FOLDER})


@dataclass(frozen=True)
class Listed:
    """The rows of LISTING. touched: by source, the keys of local files with new dates and the same bytes."""

    frame: pd.DataFrame
    touched: Mapping[str, frozenset[str]]


def list_sources(sources: tuple[Source, ...], settings: Settings, *, root: Path) -> Listed:
    """List every object, and read local files that are not known yet.

    Raises SourceMissing, CredentialsRefused, ServiceUnavailable; SourceChanged for a file that is being written to.
    """
    parts, touched = [LISTING.empty()], {}
    for source in sources:
        found = _images_of(source, settings, root)
        parts.append(_rows(source, found))
        touched[source.name] = frozenset(one.object.key for one in found if one.was_touched)
        for kind, uri in (
            ("labels", source.labels_address),
            ("votes", source.votes),
            ("subjects", source.subjects),
        ):
            if uri:
                beside = table_place(uri, settings, root=root)
                told = [one for one in beside.list() if _tells(beside, one.key)]
                parts.append(_rows(source, _identified(beside, told, source, settings), kind))
    return Listed(pd.concat(parts, ignore_index=True), touched)


def _images_of(source: Source, settings: Settings, root: Path) -> list[Identified]:
    place = place_of(source.uri, settings, root=root)
    found = _identified(place, list(place.list()), source, settings)
    if not found:
        raise SourceMissing(
            "nothing is there", file=place.address, remedy=f"{FIX_SOURCES}, or put images there"
        )
    if unreadable := sorted(one.object.key for one in found if one.object.fault in UNREADABLE):
        what = "source %s: %d objects are unreadable: %s; they are quarantined"
        log.warning(what, source.name, len(unreadable), ", ".join(unreadable[:NAMED]))
    if not place.is_single:
        warn_once(
            _doubt(source, sorted(one.object.key for one in found)),
            root / settings.state_dir / "doubts",
            stage="discover",
        )
    return found


def _identified(
    place: Place, listed: Sequence[SourceObject], source: Source, settings: Settings
) -> list[Identified]:
    """The objects of a place, each with its ETag or its checksum."""
    begin = _hashing(source.name, settings)
    return list(place.identify(listed, workers=settings.worker_count(), begin=begin))


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
