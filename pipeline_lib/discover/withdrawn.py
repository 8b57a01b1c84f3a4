"""What went from the sources since the last run: more than a little is an accident until a person says otherwise.

The last run's listing is the one that dvc.lock names, read from DVC's cache: a run that this check stops writes no
dvc.lock, so that an accident never becomes the state to compare with.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.errors import BadData, DataCheckFailed
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.registry.dvc_cache import dvc_cache
from pipeline_lib.settings import Settings
from pipeline_lib.tables.listing import LISTING

log = logging.getLogger(__name__)
NAMED = 5  # examples in a message
TIDYING = 5  # loose objects of a source that may go whatever the rate: in a small set each is a large share


@dataclass(frozen=True)
class LastRun:
    """What the last run listed, and the address of each source by its name."""

    listing: pd.DataFrame
    addresses: Mapping[str, str]


def last_run(checkout: Path, settings: Settings, listing: Path) -> LastRun | None:
    """What the last run left, or None where there is none, which is logged unless this is the first run.

    listing: where this run writes its own, the path by which dvc.lock knows it.
    """
    lock = checkout / "dvc.lock"
    if not lock.exists():
        return None
    stage: Mapping[str, Any] = read_yaml(lock).get("stages", {}).get("discover", {})
    path = listing.relative_to(checkout).as_posix()
    md5 = next((out["md5"] for out in stage.get("outs", ()) if out["path"] == path), None)
    if md5 is None:
        return None
    found = dvc_cache(checkout, settings).find(md5)
    if found is None:
        log.warning(
            "the last run's listing is not in DVC's cache: what was withdrawn since is not looked at; "
            "`dvc fetch discover` brings it where a remote has it"
        )
        return None
    try:
        sources = stage.get("params", {}).get("params.yaml", {}).get("discover", {}).get("sources", ())
        return LastRun(LISTING.read(found), {source["name"]: source["uri"] for source in sources})
    except BadData as error:  # another version of Perennial wrote it
        log.warning("the last run's listing cannot be read: what was withdrawn since is not looked at: %s", error)
        return None


def check_withdrawn(last: LastRun, now: pd.DataFrame, params: DiscoverParams) -> None:
    """Raise DataCheckFailed when more of a source went than `max_withdrawn_rate` allows and nobody accepted it.

    now: a listing. A source is known by its name, so an address changed to a wrong one is found too; only where nothing
    of it is left at another address is it other data. One that params.yaml no longer names is withdrawn by that
    edit. Objects that moved within their source are not gone.
    """
    before = last.listing
    over = {}
    for source in params.sources:
        had = _of(before, source.name)
        gone = _gone(had, _of(now, source.name))
        is_other_data = len(gone) == len(had) and last.addresses.get(source.name, source.uri) != source.uri
        if not is_other_data and _is_too_much(gone, had, params):
            over[source.name] = gone
    if not over:
        return
    decision = _decision(before, over)
    if params.withdrawn_accepted == decision:
        log.warning("withdrawn and accepted (%s): %s", decision, _told(over, before))
        return
    remedy = (
        "bring the disk, the address in discover.sources or the export back and run again; if it went on purpose, "
        f"set discover.withdrawn_accepted: '{decision}' in params.yaml, which accepts exactly this"
    )
    what = f"more was withdrawn since the last run than discover.max_withdrawn_rate = {params.max_withdrawn_rate:g}"
    raise DataCheckFailed(what, file="discover.sources", value=_told(over, before), remedy=remedy)


def _of(listing: pd.DataFrame, source: str) -> pd.DataFrame:
    """A source's pictures and archives."""
    return listing[(listing["source"] == source) & listing["kind"].isin(["image", "archive"])]


def _gone(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """The objects of `before` that `now` has under no name; by size and ETag, or date, those that moved are known."""
    left = before[~before["key"].isin(now["key"])]
    moved = Counter(_versions(now[~now["key"].isin(before["key"])]))
    stays = []
    for version in _versions(left):
        moved[version] -= 1
        stays.append(moved[version] >= 0)
    return left[[not stay for stay in stays]]


def _versions(objects: pd.DataFrame) -> list[tuple[int, str]]:
    version = objects["etag"].where(objects["etag"].notna(), objects["modified_ns"].astype(str))
    return list(zip(objects["size_bytes"].tolist(), version.astype(str).tolist(), strict=True))


def _is_too_much(gone: pd.DataFrame, before: pd.DataFrame, params: DiscoverParams) -> bool:
    """By number or by bytes: one archive of many may hold most pictures. An archive is never a little."""
    if gone.empty or (len(gone) <= TIDYING and not (gone["kind"] == "archive").any()):
        return False
    limit = params.max_withdrawn_rate
    by_bytes = gone["size_bytes"].sum() > limit * before["size_bytes"].sum()
    return bool(len(gone) > limit * len(before) or by_bytes)


def _decision(before: pd.DataFrame, over: Mapping[str, pd.DataFrame]) -> str:
    """Eight hex digits for what went out of which listing: the next accident has others."""
    columns = ["source", "key", "size_bytes", "modified_ns"]
    digest = hashlib.sha256(before[columns].to_csv(index=False).encode())
    for rows in over.values():
        digest.update(rows[columns].to_csv(index=False).encode())
    return digest.hexdigest()[:8]


def _told(over: Mapping[str, pd.DataFrame], before: pd.DataFrame) -> str:
    return "; ".join(_told_of(name, rows, len(_of(before, name))) for name, rows in over.items())


def _told_of(source: str, gone: pd.DataFrame, total: int) -> str:
    folders = gone["key"].str.rpartition("/")[0].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    shown = ", ".join(f"{folder or 'top'}: {n}" for folder, n in folders.iloc[:NAMED].items())
    rest = f" and {len(folders) - NAMED} more folders" if len(folders) > NAMED else ""
    examples = ", ".join(gone["key"].iloc[:NAMED])
    return f"source {source}: {len(gone)} of {total} objects ({shown}{rest}), such as {examples}"
