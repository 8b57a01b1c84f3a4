"""From sources to the rows of the listing."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from pipeline_lib.errors import SourceMissing
from pipeline_lib.settings import Settings
from pipeline_lib.sources.doubt import doubt_of_source, stand_in
from pipeline_lib.sources.names import is_archive, refusal
from pipeline_lib.sources.places import MEND, SourceObject, open_place
from pipeline_lib.sources.source import Source
from pipeline_lib.tables.listing import LISTING

log = logging.getLogger(__name__)


def list_sources(sources: tuple[Source, ...], settings: Settings, *, root: Path) -> pd.DataFrame:
    """One row per object, as LISTING has it. Raises SourceMissing, CredentialsRefused, ServiceUnavailable."""
    rows = [row for source in sources for row in _list_source(source, settings, root)]
    columns = [column.name for column in LISTING.columns]
    return pd.DataFrame(rows, columns=columns)


def _list_source(source: Source, settings: Settings, root: Path) -> list[dict[str, object]]:
    place = open_place(source.uri, settings, root=root)
    found = list(place.list())
    if not found:
        raise SourceMissing("nothing is there", file=place.address, remedy=f"{MEND}, or put pictures there")
    rows = [_row(source, "archive" if is_archive(one.key) else "image", one) for one in found]
    _warn_of_doubt(source, [one.key for one in found], is_single=place.is_single)
    for kind, uri in (("labels", source.labels), ("votes", source.votes), ("subjects", source.subjects)):
        if uri:
            rows += [_row(source, kind, one) for one in open_place(uri, settings, root=root).list()]
    return rows


def _warn_of_doubt(source: Source, keys: list[str], *, is_single: bool) -> None:
    """Say what is doubtful in folders and names of archives; what lies inside archives is for `download` to say."""
    archives = [key for key in keys if is_archive(key)]
    loose = [key for key in keys if not is_archive(key) and refusal(key) is None]
    doubt = None if is_single else doubt_of_source(source, [*loose, *map(stand_in, archives)], archives)
    if doubt:
        log.warning("%s", doubt)


def _row(source: Source, kind: str, found: SourceObject) -> dict[str, object]:
    return {"source": source.name, "kind": kind, "checksum": None, **asdict(found)}
