"""The last listing of the same sources, kept in the state folder for all workspaces."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline_lib.settings import Settings
from pipeline_lib.sources.source import Source, sources_as_json
from pipeline_lib.tables.listing import LISTING


@dataclass(frozen=True)
class KeptListing:
    """listing: rows of LISTING. age_h: hours since a run wrote it."""

    listing: pd.DataFrame
    age_h: float


def kept_listing_file(state_folder: Path, described: str) -> Path:
    """Where the last listing of exactly these sources is kept. described: content of sources.json."""
    key = hashlib.sha256(f"{LISTING.version}\0{described}".encode()).hexdigest()[:32]
    return state_folder / "listing" / f"{key}.parquet"


def listed_before(
    sources: tuple[Source, ...], settings: Settings, checkout: Path
) -> KeptListing | None:
    """The last listing of these sources; None where no run has listed them."""
    file = kept_listing_file(settings.state_folder(checkout), sources_as_json(sources))
    if not file.exists():
        return None
    return KeptListing(LISTING.read(file), (time.time() - file.stat().st_mtime) / 3600)
