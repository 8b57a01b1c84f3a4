"""The model registry: attempts, versions and the aliases champion, challenger, previous.

A registration is first recorded whole, as an open attempt, then carried out step by step, then closed. Whoever finds an
open attempt carries it out, so a kill between any two steps loses nothing. All of it happens under one file lock.
"""

from __future__ import annotations

import fcntl
import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline_lib.errors import UsageError
from pipeline_lib.registry.dvc_cache import DvcCache, dvc_cache
from pipeline_lib.registry.git_tags import mirror
from pipeline_lib.registry.mlflow_store import SQLITE, MlflowStore
from pipeline_lib.registry.read_sqlite import SqliteReader
from pipeline_lib.registry.records import (
    DESCRIPTION,
    KEY,
    METRICS,
    REPLACED,
    ROLLED_BACK,
    RULE,
    SOURCE,
    VERSION,
    Attempt,
    Reader,
    Version,
)
from pipeline_lib.registry.verdict import REGISTERED
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"


class Registry:
    """The registry of one model name. uri: SQLite, or a MLflow server. origin: the repository its git tags go to."""

    def __init__(self, *, uri: str, name: str, origin: Path, state_folder: Path, cache: DvcCache) -> None:
        self.uri, self.name, self.origin, self.state_folder, self.cache = uri, name, origin, state_folder, cache
        self._store: MlflowStore | None = None
        self._locked = False

    def champion(self) -> Version | None:
        """The version in use, or None before the first promotion."""
        return self._by_alias(CHAMPION)

    def versions(self) -> list[Version]:
        """All versions, oldest first."""
        return self._reader().versions()

    def version(self, ref: str) -> Version:
        """A version by number, alias, `name/3`, `name@alias` or `models:/...`. Raises UsageError."""
        wanted = re.split(r"[/@]", ref.removeprefix("models:/"))[-1].removeprefix("v")
        versions = self.versions()
        for version in versions:
            if wanted == str(version.number) or wanted in version.aliases:
                return version
        known = (
            ", ".join([str(v.number) + "".join(f" ({alias})" for alias in v.aliases) for v in versions]) or "none yet"
        )
        raise UsageError("no such model version", file=self.uri, value=ref, remedy=f"name one of: {known}")

    def find(self, key: str, rule: str) -> Attempt | None:
        """The attempt that settled this model and evaluation, if one did.

        A promotion holds whatever the rule became since: a model that was rolled back must not come back because
        someone touched a threshold. Any other verdict holds for the rule (gate parameters, candidate or not) that it
        was given under.
        """
        found = [attempt for attempt in self._reader().attempts() if attempt.tags[KEY] == key]
        promoted = [attempt for attempt in found if attempt.verdict.decision == "promote"]
        same_rule = [attempt for attempt in found if attempt.tags[RULE] == rule]
        return next(iter(promoted + same_rule[::-1]), None)

    def rolled_back(self, model_md5: str) -> str | None:
        """Why a version with these model bytes was rolled back, if one was."""
        found = [v.tags[ROLLED_BACK] for v in self.versions() if v.model_md5 == model_md5 and ROLLED_BACK in v.tags]
        return found[-1] if found else None

    def version_of(self, key: str) -> Version | None:
        """The version that was made for a registration key."""
        return next((version for version in self.versions() if version.tags.get(KEY) == key), None)

    def record(self, tags: Mapping[str, str], title: str) -> Attempt:
        """Record an attempt and carry it out. Needs the lock."""
        assert self._locked, "record() without the lock: the champion could move between the verdict and its effect"
        run_id = self._writer().open_attempt(tags, title)
        self.settle()
        return next(attempt for attempt in self._reader().attempts() if attempt.run_id == run_id)

    def settle(self) -> None:
        """Carry out what a killed run recorded and did not finish. Needs the lock."""
        assert self._locked, "settle() without the lock"
        for attempt in self._reader().attempts():
            if attempt.open:
                self._carry_out(attempt)

    def rollback(self, *, reason: str) -> Version:
        """Make the champion's predecessor champion again and return it. Raises UsageError when there is none."""
        with self.locked():
            self.settle()
            champion, previous = self._by_alias(CHAMPION), self._by_alias(PREVIOUS)
            if champion and previous and champion.number == previous.number:  # a rollback was killed half-way
                replaced = champion.tags.get(REPLACED)
                previous = self.version(replaced) if replaced else None
            if champion is None or previous is None:
                remedy = "a rollback needs two promotions before it; `perennial lineage champion` shows what is in use"
                raise UsageError("there is no previous champion to go back to", file=self.uri, remedy=remedy)
            store = self._writer()
            store.tag_version(champion.number, ROLLED_BACK, reason)
            store.set_alias(CHAMPION, previous.number)
            before = previous.tags.get(REPLACED)
            if before is None:
                store.remove_alias(PREVIOUS)
            else:
                store.set_alias(PREVIOUS, int(before))
            log.info(
                "champion is version %d again; version %d was rolled back: %s", previous.number, champion.number, reason
            )
            mirror(self.versions(), checkout=self.origin, origin=self.origin)
            return self.version(str(previous.number))

    def export_folder(self, version: Version) -> Path:
        """The version's export folder, linked out of the DVC cache into the state folder. Raises SourceMissing."""
        return self.cache.materialise(
            version.model_md5, self.state_folder / "models" / version.model_md5.removesuffix(".dir")
        )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry's lock; waits for a run that holds it."""
        self.state_folder.mkdir(parents=True, exist_ok=True)
        with (self.state_folder / "registry.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def _carry_out(self, attempt: Attempt) -> None:
        """Each step is a no-op when it is already done."""
        store, decision, closing = self._writer(), attempt.verdict.decision, {}
        if decision in REGISTERED:
            version = self.version_of(attempt.tags[KEY])
            number = (
                version.number
                if version
                else store.create_version(attempt, attempt.tags[SOURCE], attempt.tags[DESCRIPTION])
            )
            closing[VERSION] = str(number)
            if decision == "promote":
                self._promote(number)
            elif (champion := self.champion()) is None or champion.number != number:
                store.set_alias(CHALLENGER, number)
        metrics: dict[str, float] = json.loads(attempt.tags[METRICS])
        store.close_attempt(attempt.run_id, metrics, closing)

    def _promote(self, number: int) -> None:
        store, champion, challenger = self._writer(), self._by_alias(CHAMPION), self._by_alias(CHALLENGER)
        if champion is not None and champion.number != number:
            store.tag_version(number, REPLACED, str(champion.number))
            store.set_alias(PREVIOUS, champion.number)
        store.set_alias(CHAMPION, number)
        if challenger is not None and challenger.number == number:
            store.remove_alias(CHALLENGER)

    def _by_alias(self, alias: str) -> Version | None:
        return next((version for version in self.versions() if alias in version.aliases), None)

    def _reader(self) -> Reader:
        if self.uri.startswith(SQLITE):
            return SqliteReader(Path(self.uri.removeprefix(SQLITE)), self.name)
        return self._writer()

    def _writer(self) -> MlflowStore:
        if self._store is None:
            self._store = MlflowStore(self.uri, self.name)
        return self._store


def open_registry(settings: Settings, checkout: Path) -> Registry:
    """The registry that the settings name; SQLite in the state folder by default. Creates nothing yet."""
    state = settings.state_folder(checkout)
    uri = settings.registry_uri or f"{SQLITE}{state / 'registry.db'}"
    origin, cache = settings.origin(checkout), dvc_cache(checkout, settings)
    return Registry(uri=uri, name=settings.model_name, origin=origin, state_folder=state, cache=cache)
