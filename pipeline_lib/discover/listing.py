"""Make the rows of the listing from the sources."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import SourceMissing
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.sources.doubt import SourceDoubt, doubt_of_source, stand_in
from pipeline_lib.sources.names import is_archive, refusal
from pipeline_lib.sources.places import FIX_SOURCES, Place, SourceObject, place_of, table_place
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.warned import warn_once
from pipeline_lib.tables.listing import LISTING


def list_sources(sources: tuple[Source, ...], settings: Settings, *, root: Path) -> pd.DataFrame:
    """One row per object, as LISTING has it. Raises SourceMissing, CredentialsRefused, ServiceUnavailable."""
    rows = [row for source in sources for row in _list_source(source, settings, root)]
    columns = [column.name for column in LISTING.columns]
    return pd.DataFrame(rows, columns=columns)


def _list_source(source: Source, settings: Settings, root: Path) -> list[dict[str, object]]:
    place = place_of(source.uri, settings, root=root)
    found = list(place.list())
    if not found:
        raise SourceMissing(
            "nothing is there", file=place.address, remedy=f"{FIX_SOURCES}, or put images there"
        )
    rows = [
        _row(source, "archive" if source.is_container(one.key) and not one.fault else "image", one)
        for one in found
    ]
    if not place.is_single:
        warn_once(
            _doubt(source, [one.key for one in found]),
            root / settings.state_dir / "doubts",
            stage="discover",
        )
    for kind, uri in (
        ("labels", source.labels_address),
        ("votes", source.votes),
        ("subjects", source.subjects),
    ):
        if uri:
            beside = table_place(uri, settings, root=root)
            rows += [_row(source, kind, one) for one in beside.list() if _tells(beside, one.key)]
    return rows


def _doubt(source: Source, keys: list[str]) -> SourceDoubt | None:
    """Find doubtful folders and archive names; `download` checks the content of archives."""
    archives = [key for key in keys if is_archive(key)]
    loose = [key for key in keys if not is_archive(key) and refusal(key) is None]
    return doubt_of_source(source, [*loose, *map(stand_in, archives)], archives)


def _tells(place: Place, key: str) -> bool:
    """Whether a file counts: a folder of annotations may hold images too."""
    return place.is_single or refusal(key) is Reason.NOT_A_PICTURE_NAME


def _row(source: Source, kind: str, found: SourceObject) -> dict[str, object]:
    return {"source": source.name, "kind": kind, "checksum": None, **asdict(found)}
