"""Make the rows of the listing from the sources."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa

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
                rows, _ = _rows(source, _identified(beside, told, source, settings), kind)
                parts.append(rows)
    return Listed(pd.concat(parts, ignore_index=True), touched)


def _images_of(
    source: Source, settings: Settings, root: Path
) -> tuple[pd.DataFrame, frozenset[str]]:
    place = place_of(source.uri, settings, root=root)
    rows, touched = _rows(source, _identified(place, place.list(), source, settings))
    if rows.empty:
        raise SourceMissing(
            "nothing is there", file=place.address, remedy=f"{FIX_SOURCES}, or put images there"
        )
    unreadable = rows.loc[rows["fault"].isin(UNREADABLE), "key"].sort_values()
    if len(unreadable):
        what = "source %s: %d objects are unreadable: %s; they are quarantined"
        log.warning(what, source.name, len(unreadable), ", ".join(unreadable.iloc[:NAMED]))
    if not place.is_single:
        warn_once(
            _doubt(source, sorted(rows["key"].tolist())),
            root / settings.state_dir / "doubts",
            stage="discover",
        )
    return rows, touched


def _identified(
    place: Place, listed: Iterable[SourceObject], source: Source, settings: Settings
) -> Iterator[Identified]:
    """The objects of a place, each with its ETag or its checksum."""
    begin = _hashing(source.name, settings)
    return place.identify(listed, workers=settings.worker_count(), begin=begin)


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


def _rows(
    source: Source, found: Iterable[Identified], kind: str | None = None
) -> tuple[pd.DataFrame, frozenset[str]]:
    """Rows of LISTING, and the keys that were touched. kind: of a table; None for images and archives."""
    columns: dict[str, list[object]] = {column.name: [] for column in LISTING.columns}
    touched = set()
    for one in found:  # there may be millions: none of the objects is kept
        listed = one.object
        columns["source"].append(source.name)
        columns["kind"].append(kind or _kind(source, listed))
        columns["key"].append(listed.key)
        columns["size_bytes"].append(listed.size_bytes)
        columns["etag"].append(listed.etag)
        columns["checksum"].append(listed.checksum)
        columns["fault"].append(listed.fault and str(listed.fault))
        if one.was_touched:
            touched.add(listed.key)
    arrays = {
        column.name: pd.Series(
            pa.array(columns[column.name], column.type), dtype=pd.ArrowDtype(column.type)
        )
        for column in LISTING.columns
    }
    return pd.DataFrame(arrays), frozenset(touched)


def _kind(source: Source, found: SourceObject) -> str:
    return "archive" if source.is_container(found.key) and not found.fault else "image"


def _tells(place: Place, key: str) -> bool:
    """Whether a file counts: a folder of annotations may hold images too."""
    return place.is_single or refusal(key) is Reason.NOT_A_PICTURE_NAME
