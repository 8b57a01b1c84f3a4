"""Read MLflow's SQLite file directly.

Importing MLflow costs 4 to 6 CPU-seconds (3.17, with pandas and FastAPI installed), which a `dvc repro` with nothing
new and `perennial predict` need not pay. Only reads, only these tables; a test holds the answers equal to MLflow's own.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

from pipeline_lib.registry.records import KEY, TURN, Attempt, Version, join_long

ATTEMPTS = """
    SELECT r.run_uuid, r.status, t.key, t.value FROM runs r
    JOIN experiments e ON e.experiment_id = r.experiment_id AND e.name = ?
    JOIN tags t ON t.run_uuid = r.run_uuid WHERE r.lifecycle_stage = 'active' ORDER BY r.start_time, r.run_uuid"""
VERSIONS = "SELECT version, source FROM model_versions WHERE name = ? AND current_stage != 'Deleted_Internal' ORDER BY version"
VERSION_TAGS = "SELECT version, key, value FROM model_version_tags WHERE name = ?"
ALIASES = "SELECT version, alias FROM registered_model_aliases WHERE name = ? ORDER BY alias"
MODEL_TAGS = "SELECT key, value FROM registered_model_tags WHERE name = ?"


class SqliteReader:
    """Attempts and versions of one model name. An absent file is an empty registry."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name = path, name

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        tags: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        for run_id, status, key, value in self._rows(ATTEMPTS):
            tags[run_id, status][key] = value
        return [
            Attempt(run, status == "RUNNING", join_long(found))
            for (run, status), found in tags.items()
            if KEY in found
        ]

    def versions(self) -> list[Version]:
        """All versions, oldest first, with their aliases."""
        tags: dict[int, dict[str, str]] = defaultdict(dict)
        aliases: dict[int, list[str]] = defaultdict(list)
        for number, key, value in self._rows(VERSION_TAGS):
            tags[number][key] = value
        for number, alias in self._rows(ALIASES):
            aliases[number].append(alias)
        found = self._rows(VERSIONS)
        return [
            Version(self.name, n, source, join_long(tags[n]), tuple(aliases[n]))
            for n, source in found
        ]

    def turn(self) -> int | None:
        """The newest tag of a champion that the registry knows; None before the first."""
        tags = dict(self._rows(MODEL_TAGS))
        return int(tags[TURN]) if TURN in tags else None

    def _rows(self, query: str) -> list[tuple]:  # type: ignore[type-arg] # rows differ by query
        if not self.path.exists():
            return []
        with closing(
            sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=30)
        ) as connection:
            return connection.execute(query, (self.name,)).fetchall()
