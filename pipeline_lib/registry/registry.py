"""The model registry: attempts, versions and the aliases champion, challenger, previous, reference.

A registration is first recorded whole, as an open attempt, then carried out step by step, then closed. Whoever finds an
open attempt carries it out, so a kill between any two steps loses nothing. All of it happens under one file lock.

Registry and git tags tell one story: `reconcile` brings in what only the tags know (a fresh clone), gives the alias
champion to its predecessor when the champion was deleted, and refuses where a number stands for two models.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline_lib.errors import UsageError
from pipeline_lib.files.atomic import private_folder
from pipeline_lib.files.process_lock import process_lock
from pipeline_lib.registry import aliases
from pipeline_lib.registry.dvc_cache import DvcCache, dvc_cache
from pipeline_lib.registry.git_tags import mirror, read_tags
from pipeline_lib.registry.mlflow_store import SQLITE, MlflowStore
from pipeline_lib.registry.read_sqlite import SqliteReader
from pipeline_lib.registry.reconcile import finish_rollback, reconcile
from pipeline_lib.registry.records import (
    CHALLENGER,
    CHAMPION,
    DESCRIPTION,
    KEY,
    METRICS,
    PREVIOUS,
    PROMOTED_AT,
    PROMOTED_FOR,
    REFERENCE,
    REGISTERED_AT,
    REPLACED,
    RESTORED,
    ROLLED_BACK,
    ROLLED_BACK_AT,
    ROLLED_BACK_TO,
    RULE,
    SETTLED_BY,
    SOURCE,
    VERSION,
    Attempt,
    Reader,
    Version,
    now,
    with_alias,
)
from pipeline_lib.registry.verdict import REGISTERED
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)


class Registry:
    """The registry of one model name. uri: SQLite, or a MLflow server. origin: the repository its git tags go to.

    run: the run that registers, by which it is told from earlier ones; empty without one.
    """

    def __init__(
        self, *, uri: str, name: str, origin: Path, state_folder: Path, cache: DvcCache, run: str
    ) -> None:
        self.uri, self.name, self.origin, self.state_folder, self.cache = (
            uri,
            name,
            origin,
            state_folder,
            cache,
        )
        self.run = run
        self._store: MlflowStore | None = None
        self.is_locked = False

    def champion(self) -> Version | None:
        """The version in use, or None before the first promotion."""
        return with_alias(self.versions(), CHAMPION)

    def reference(self) -> Version | None:
        """The pinned version that a new one must not be far behind; None before the first promotion."""
        return with_alias(self.versions(), REFERENCE)

    def versions(self) -> list[Version]:
        """All versions, oldest first. One that somebody registered by hand under this name is none of ours."""
        return [version for version in self._reader().versions() if KEY in version.tags]

    def version(self, ref: str) -> Version:
        """A version by number, alias, `name/3`, `name@alias` or `models:/...`. Raises UsageError.

        In a fresh clone the registry is rebuilt from the git tags first.
        """
        wanted = re.split(r"[/@]", ref.removeprefix("models:/"))[-1].removeprefix("v")
        versions = self.known_versions()
        for version in versions:
            if wanted == str(version.number) or wanted in version.aliases:
                return version
        if wanted == CHAMPION or not versions:
            raise aliases.no_champion(self.last_attempt(), versions, uri=self.uri)
        known = ", ".join(
            [str(v.number) + (f" ({', '.join(v.aliases)})" if v.aliases else "") for v in versions]
        )
        raise UsageError(
            "no such model version",
            file=self.uri,
            value=ref,
            remedy=f"name one of: {known}",
        )

    def known_versions(self) -> list[Version]:
        """All versions, oldest first, of a registry that is rebuilt where it is empty and git tags say it was not."""
        versions = self.versions()
        if versions or self.is_locked or not read_tags(self.origin, self.name).versions:
            return versions
        with self.locked():
            self.settle()
            reconcile(self)
        return self.versions()

    def attempts(self) -> list[Attempt]:
        """All questions that were put, oldest first."""
        return self._reader().attempts()

    def turn(self) -> int | None:
        """The newest git tag of a champion that the registry knows; None before the first."""
        return self._reader().turn()

    def last_attempt(self) -> Attempt | None:
        """The newest question that was settled."""
        return next(iter(self.attempts()[::-1]), None)

    def find(self, key: str, rule: str) -> Attempt | None:
        """The attempt that settled this model and evaluation, if one did.

        A promotion holds whatever the rule became since: a model that was rolled back must not come back because
        someone touched a threshold. Any other verdict holds for the rule (gate parameters, candidate or not) that it
        was given under. None holds whose version was deleted from the registry since.
        """
        numbers = {version.number for version in self.versions()}
        found = [
            attempt
            for attempt in self.attempts()
            if attempt.tags[KEY] == key and not aliases.was_deleted(attempt, numbers)
        ]
        promoted = [attempt for attempt in found if attempt.verdict.decision == "promote"]
        same_rule = [attempt for attempt in found if attempt.tags[RULE] == rule]
        return next(iter(promoted + same_rule[::-1]), None)

    def rolled_back(self, model_md5: str) -> str | None:
        """Why a version with these model bytes was taken back, if one was and there is a champion to compare with."""
        return aliases.taken_back(model_md5, self.versions(), self.attempts())

    def version_of(self, key: str) -> Version | None:
        """The version that was made for a registration key."""
        return next((version for version in self.versions() if version.tags.get(KEY) == key), None)

    def record(self, tags: Mapping[str, str], title: str) -> Attempt:
        """Record an attempt and carry it out. Needs the lock."""
        assert self.is_locked, (
            "record() without the lock: the champion could move between the verdict and its effect"
        )
        run_id = self.writer().open_attempt({REGISTERED_AT: now(), **tags}, title)
        self.settle()
        return next(attempt for attempt in self.attempts() if attempt.run_id == run_id)

    def settle(self) -> list[str]:
        """Carry out what a killed run recorded and did not finish; returns those attempts' ids. Needs the lock."""
        assert self.is_locked, "settle() without the lock"
        left_open = [attempt for attempt in self.attempts() if attempt.open]
        for attempt in left_open:
            self._carry_out(attempt)
        return [attempt.run_id for attempt in left_open]

    def mirror_tags(self, checkout: Path) -> None:
        """Make the git tags that are absent. Needs the lock."""
        made = mirror(self.versions(), name=self.name, checkout=checkout, origin=self.origin)
        turn = read_tags(self.origin, self.name).turn if any("#" in tag for tag in made) else None
        if turn:
            self.writer().set_turn(turn.number)

    def promote(self, ref: str, *, reason: str) -> Version:
        """Make a version champion on a person's word. Raises UsageError for an unknown version or without a reason."""
        aliases.check_reason(reason)
        wanted = self.version(ref).number
        with self._by_hand():
            version = self.version(str(wanted))
            if CHAMPION not in version.aliases:
                self.untag(version, ROLLED_BACK)
                self.tag(version, {PROMOTED_FOR: reason})
                self._promote(version.number)
        return self.version(str(wanted))

    def pin(self, ref: str, *, reason: str) -> Version:
        """Make a version the reference on a person's word. Raises UsageError as `promote`, and for one rolled back."""
        aliases.check_reason(reason)
        wanted = self.version(ref).number
        with self._by_hand():
            aliases.set_reference(self, wanted, reason=reason)
        return self.version(str(wanted))

    def rollback(self, *, reason: str, to: str | None = None) -> Version:
        """Make the champion's predecessor, or the version `to`, champion again and return it.

        Raises UsageError when there is none, or without a reason.
        """
        aliases.check_reason(reason)
        self.known_versions()
        with self._by_hand():
            versions = self.versions()
            champion = with_alias(versions, CHAMPION)
            target = (
                self.version(to) if to else aliases.before(champion, versions) if champion else None
            )
            if champion is None or target is None:
                remedy = "a rollback needs two promotions before it; `perennial versions` shows what there is"
                raise UsageError(
                    "there is no previous champion to go back to", file=self.uri, remedy=remedy
                )
            if target.number == champion.number:
                remedy = "name another that `perennial versions` lists"
                raise UsageError(
                    "this version is the champion", file=self.uri, value=to or "", remedy=remedy
                )
            self.untag(target, ROLLED_BACK)
            # The reason last: from then on whoever finds a champion with one carries the rollback out.
            self.tag(
                champion,
                {ROLLED_BACK_TO: str(target.number), ROLLED_BACK_AT: now(), ROLLED_BACK: reason},
            )
            finish_rollback(self)
        return self.version(str(target.number))

    def export_folder(self, version: Version) -> Path:
        """The version's export folder, linked out of the DVC cache into the state folder. Raises SourceMissing."""
        return self.cache.materialise(
            version.model_md5, self.state_folder / "models" / version.model_md5.removesuffix(".dir")
        )

    @contextmanager
    def _by_hand(self) -> Iterator[None]:
        """Around what a person decides: on what is settled, and told to git afterwards."""
        with self.locked():
            self.settle()
            reconcile(self)
            yield
            aliases.keep_reference(self)
            self.mirror_tags(self.origin)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the registry's lock; waits for a run that holds it."""
        private_folder(self.state_folder)
        with process_lock(self.state_folder / "registry.lock"):
            self.is_locked = True
            try:
                yield
            finally:
                self.is_locked = False

    def _carry_out(self, attempt: Attempt) -> None:
        """Each step is a no-op when it is already done."""
        store, decision, closing = self.writer(), attempt.verdict.decision, {}
        restored = attempt.tags.get(RESTORED)
        if restored:
            closing[VERSION] = str(self._number(attempt, taken=range(int(restored))))
        elif decision in REGISTERED:
            number = self._number(attempt, taken=read_tags(self.origin, self.name).versions.keys())
            closing[VERSION] = str(number)
            if decision == "promote":
                self._promote(number)
                if attempt.verdict.becomes_reference:
                    aliases.set_reference(self, number)
            elif (champion := self.champion()) is None or champion.number != number:
                store.set_alias(CHALLENGER, number)
        if self.run and not restored:
            closing[SETTLED_BY] = self.run
        metrics: dict[str, float] = json.loads(attempt.tags[METRICS])
        store.close_attempt(attempt.run_id, metrics, closing)

    def _number(self, attempt: Attempt, *, taken: Collection[int]) -> int:
        """The number of an attempt's version, which is created when there is none yet."""
        store, version = self.writer(), self.version_of(attempt.tags[KEY])
        if version:
            return version.number
        return store.create_version(
            attempt, attempt.tags[SOURCE], attempt.tags[DESCRIPTION], taken=taken
        )

    def _promote(self, number: int) -> None:
        store, versions = self.writer(), self.versions()
        champion, challenger = with_alias(versions, CHAMPION), with_alias(versions, CHALLENGER)
        store.tag_version(number, PROMOTED_AT, now())
        if champion is not None and champion.number != number:
            store.tag_version(number, REPLACED, str(champion.number))
            store.set_alias(PREVIOUS, champion.number)
        store.set_alias(CHAMPION, number)
        if challenger is not None and challenger.number == number:
            store.remove_alias(CHALLENGER)

    def tag(self, version: Version, tags: Mapping[str, str]) -> None:
        """Set those tags of a version that are not so already. Needs the lock."""
        for key, value in tags.items():
            if version.tags.get(key) != value:
                self.writer().tag_version(version.number, key, value)

    def untag(self, version: Version, key: str) -> None:
        """Remove a tag of a version, where it has it. Needs the lock."""
        if key in version.tags:
            self.writer().untag_version(version.number, key)

    def _reader(self) -> Reader:
        if self.uri.startswith(SQLITE):
            return SqliteReader(Path(self.uri.removeprefix(SQLITE)), self.name)
        return self.writer()

    def writer(self) -> MlflowStore:
        """MLflow itself, which costs seconds to import. Needs the lock."""
        if self._store is None:
            self._store = MlflowStore(self.uri, self.name)
        return self._store


def load_registry(settings: Settings, checkout: Path) -> Registry:
    """The registry that the settings name; SQLite in the state folder by default. Creates nothing yet."""
    state = settings.state_folder(checkout)
    uri = settings.registry_uri or f"{SQLITE}{state / 'registry.db'}"
    origin, cache = settings.origin(checkout), dvc_cache(checkout, settings)
    return Registry(
        uri=uri,
        name=settings.model_name,
        origin=origin,
        state_folder=state,
        cache=cache,
        run=settings.run_in(checkout),
    )
