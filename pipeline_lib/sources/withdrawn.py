"""Losses of a source since a person last accepted one: a large loss counts as an accident until a person accepts it.

Measured against all that the source held since then and not against the last run alone, since a little each night is
much in a year. What it held is recorded in the state folder; where that is new, the last run's table stands in, which
dvc.lock names and DVC's cache has. A run that this check stops writes neither, so that an accident never becomes the
state to compare with.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline_lib.errors import DataCheckFailed
from pipeline_lib.files.atomic import atomic_file
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.registry.dvc_cache import dvc_cache
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)
NAMED = 5  # examples in a message
TIDYING = (
    5  # loose files of a source that may go whatever the rate: in a small set each is a large share
)
COLUMNS = ["key", "size_bytes", "version", "is_archive"]


class Limits(Protocol):
    """The parameters of `discover` that this check reads."""

    @property
    def max_withdrawn_rate(self) -> float: ...
    @property
    def withdrawn_accepted(self) -> str | None: ...


@dataclass(frozen=True)
class Holding:
    """What a source held since the last decision, and what it holds now: tables of COLUMNS.

    key: a name below the source. version: what tells a file that moved: ETag, date or sha256. before: None where
    nothing is known. address_before: None where it is the same.
    """

    source: str
    address: str
    before: pd.DataFrame | None
    now: pd.DataFrame
    address_before: str | None = None

    def gone(self) -> pd.DataFrame:
        """The rows of `before` that are not in `now` under any name."""
        if self.before is None:
            return self.now.iloc[:0]
        left = self.before[~_is_among(self.before["key"], self.now["key"])]
        moved = Counter(_versions(self.now[~_is_among(self.now["key"], self.before["key"])]))
        stays = []
        for version in _versions(left):
            moved[version] -= 1
            stays.append(moved[version] >= 0)
        return left[[not stay for stay in stays]]

    def is_other_data(self, gone: pd.DataFrame) -> bool:
        """Whether params.yaml names another address that contains nothing of the source."""
        return (
            self.address_before is not None
            and self.before is not None
            and 0 < len(gone) == len(self.before)
        )


def _is_among(keys: pd.Series[str], others: pd.Series[str]) -> NDArray[np.bool_]:
    """Which keys are among others. By Arrow: pandas makes objects of Python of them, and there may be millions."""
    found = pc.is_in(pa.array(keys, pa.string()), value_set=pa.array(others, pa.string()))
    return np.asarray(found.to_numpy(zero_copy_only=False))


def _versions(rows: pd.DataFrame) -> list[tuple[int, str]]:
    return list(zip(rows["size_bytes"].tolist(), rows["version"].tolist(), strict=True))


def refuse_withdrawn(holdings: Sequence[Holding], limits: Limits) -> frozenset[str]:
    """Raise DataCheckFailed if a source lost more than `max_withdrawn_rate` allows and nobody accepted the loss.

    Returns the sources whose withdrawal was accepted. A source is known by its name, so an address changed to a wrong
    one is found too; one that params.yaml no longer names is withdrawn by that edit. What moved within its source is
    not gone.
    """
    losses = [(holding, holding.gone()) for holding in holdings]
    over = [
        (holding, gone)
        for holding, gone in losses
        if holding.is_other_data(gone) or _is_too_much(gone, holding, limits.max_withdrawn_rate)
    ]
    if not over:
        return frozenset()
    told = "; ".join(_told(holding, gone) for holding, gone in over)
    code = decision([_code(holding, gone) for holding, gone in over])
    if code == limits.withdrawn_accepted:
        log.warning("withdrawn and accepted (%s): %s", code, told)
        return frozenset(holding.source for holding, _ in over)
    remedy = (
        "restore the disk, the address in discover.sources or the export, and run again; if the data were removed on purpose, "
        f"set discover.withdrawn_accepted: '{code}' in params.yaml, which accepts exactly this"
    )
    what = f"more was withdrawn than discover.max_withdrawn_rate = {limits.max_withdrawn_rate:g} allows"
    raise DataCheckFailed(what, file="discover.sources", value=told, remedy=remedy)


def decision(codes: Sequence[str]) -> str:
    """Eight hex digits for withdrawals that were refused together."""
    return hashlib.sha256("\0".join(codes).encode()).hexdigest()[:8]


def other_address(source: str, before: str, now: str) -> str:
    """The text in a decision by which a source's name stands for other data, at another address, from now on."""
    return "\0".join([source, before, now])


def _code(holding: Holding, gone: pd.DataFrame) -> str:
    """Digest the lost rows and the rows before: another accident gives another code."""
    if holding.address_before is not None and holding.is_other_data(gone):
        return other_address(holding.source, holding.address_before, holding.address)
    assert holding.before is not None, holding.source
    return "\0".join(
        [holding.source, *(table[COLUMNS].to_csv(index=False) for table in (holding.before, gone))]
    )


def _is_too_much(gone: pd.DataFrame, holding: Holding, limit: float) -> bool:
    """Whether too much is gone, by number or by bytes (one archive may hold most images); a lost archive always is."""
    if (
        gone.empty
        or holding.before is None
        or (len(gone) <= TIDYING and not gone["is_archive"].any())
    ):
        return False
    by_bytes = gone["size_bytes"].sum() > limit * holding.before["size_bytes"].sum()
    return bool(len(gone) > limit * len(holding.before) or by_bytes)


def _told(holding: Holding, gone: pd.DataFrame) -> str:
    total = 0 if holding.before is None else len(holding.before)
    folders = (
        gone["key"]
        .str.rpartition("/")[0]
        .value_counts()
        .sort_index()
        .sort_values(ascending=False, kind="stable")
    )
    shown = ", ".join(f"{folder or 'top'}: {n}" for folder, n in folders.iloc[:NAMED].items())
    rest = f" and {len(folders) - NAMED} more folders" if len(folders) > NAMED else ""
    examples = ", ".join(gone["key"].iloc[:NAMED])
    moved = (
        f" at {holding.address}, named in place of {holding.address_before},"
        if holding.address_before
        else ""
    )
    return f"source {holding.source}:{moved} {len(gone)} of {total} objects are gone ({shown}{rest}), such as {examples}"


@dataclass(frozen=True)
class Records:
    """What sources held since the last decisions. folder: below the state folder, of one stage."""

    folder: Path

    def read(self, source: str, address: str) -> pd.DataFrame | None:
        """Return the record of a source at an address; None if there is none."""
        path = self._path(source, address)
        return pd.read_parquet(path) if path.exists() else None

    def keep(self, holdings: Sequence[Holding], accepted: Collection[str]) -> None:
        """Record the objects of an accepted run and the earlier ones; after an accepted loss, only the present ones."""
        for holding in holdings:
            is_decided = holding.source in accepted
            rows = (
                holding.now
                if is_decided
                else pd.concat([holding.now, holding.gone()], ignore_index=True)
            )
            # also by the address before, which dvc.lock names until this run's has come to its end
            earlier = [holding.address_before] if is_decided and holding.address_before else []
            for address in (holding.address, *earlier):
                with atomic_file(self._path(holding.source, address)) as file:
                    rows[COLUMNS].sort_values("key").to_parquet(file, index=False)

    def _path(self, source: str, address: str) -> Path:
        name = hashlib.sha256(f"{source}\0{address}".encode()).hexdigest()[:32]
        return self.folder / f"{name}.parquet"


@dataclass(frozen=True)
class LastRun:
    """One stage's entry in dvc.lock."""

    checkout: Path
    settings: Settings
    entry: Mapping[str, Any]

    @classmethod
    def of(cls, stage: str, checkout: Path, settings: Settings) -> LastRun | None:
        """None where the stage never ended here."""
        lock = checkout / "dvc.lock"
        entry = read_yaml(lock).get("stages", {}).get(stage) if lock.exists() else None
        return cls(checkout, settings, entry) if entry else None

    def file(self, path: Path) -> Path | None:
        """Return a file that the stage read or wrote, from DVC's cache; None if the cache no longer has it."""
        wanted = path.relative_to(self.checkout).as_posix()
        of_stage = [*self.entry.get("deps", ()), *self.entry.get("outs", ())]
        md5 = next((one["md5"] for one in of_stage if one["path"] == wanted), None)
        return dvc_cache(self.checkout, self.settings).find(md5) if md5 else None
