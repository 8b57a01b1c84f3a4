"""The one place that speaks to MLflow: reads for a registry server, and every write.

SQLite is created under a lock: two processes on a missing file crash each other (measured, MLflow 3.17).
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pipeline_lib.errors import ServiceUnavailable
from pipeline_lib.registry.records import KEY, TURN, Attempt, Version, join_long, split_long

log = logging.getLogger(__name__)
Result = TypeVar("Result")
SQLITE = "sqlite:///"
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
}


class MlflowStore:
    """One model name in a MLflow registry. Make it under the registry's lock when the database is SQLite."""

    def __init__(self, uri: str, name: str) -> None:
        for variable, value in QUIET.items():
            os.environ.setdefault(variable, value)
        from mlflow import MlflowClient

        for loud in ("mlflow", "mlflow.store.db.utils", "alembic"):
            logging.getLogger(loud).setLevel(logging.WARNING)
        if uri.startswith(SQLITE):
            _create_sqlite(Path(uri.removeprefix(SQLITE)))
        self.uri, self.name = uri, name
        self.client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        self.experiment = self._experiment()

    def attempts(self) -> list[Attempt]:
        """All attempts, oldest first."""
        order = ["attributes.start_time ASC"]
        runs = self._pages(
            lambda token: self.client.search_runs(
                [self.experiment], order_by=order, page_token=token
            )
        )
        tags = [(run, dict(run.data.tags)) for run in runs]
        return [
            Attempt(run.info.run_id, run.info.status == "RUNNING", join_long(found))
            for run, found in tags
            if KEY in found
        ]

    def versions(self) -> list[Version]:
        """All versions, oldest first, with their aliases (MLflow's version search leaves those empty)."""
        query = f"name = '{self.name}'"
        found = self._pages(
            lambda token: self.client.search_model_versions(query, page_token=token)
        )
        aliases: dict[int, list[str]] = {}
        if found:
            model = self._ask(lambda: self.client.get_registered_model(self.name))
            for alias, number in sorted(model.aliases.items()):
                aliases.setdefault(int(number), []).append(alias)
        rows = sorted(
            (int(version.version), version.source, dict(version.tags)) for version in found
        )
        return [
            Version(self.name, n, source, join_long(tags), tuple(aliases.get(n, ())))
            for n, source, tags in rows
        ]

    def turn(self) -> int | None:
        """The newest tag of a champion that the registry knows; None before the first."""
        query = f"name = '{self.name}'"
        found = self._pages(
            lambda token: self.client.search_registered_models(query, page_token=token)
        )
        return next((int(model.tags[TURN]) for model in found if TURN in model.tags), None)

    def set_turn(self, number: int) -> None:
        """Remember the newest tag of a champion."""
        self._ask(lambda: self.client.set_registered_model_tag(self.name, TURN, str(number)))

    def open_attempt(self, tags: Mapping[str, str], title: str) -> str:
        """Record an attempt with all it needs to be carried out; one transaction. Returns the run's id."""
        run = self._ask(
            lambda: self.client.create_run(self.experiment, tags=split_long(tags), run_name=title)
        )
        return str(run.info.run_id)

    def close_attempt(
        self, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str]
    ) -> None:
        """Mark an attempt as carried out."""
        self.log(run_id, metrics, tags=tags)
        self._ask(lambda: self.client.set_terminated(run_id))

    def log(
        self,
        run_id: str,
        metrics: Mapping[str, float],
        *,
        step: int = 0,
        params: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Add figures, parameters and tags to a run; one request, one transaction."""
        from mlflow.entities import Metric, Param, RunTag

        time_ms = time.time_ns() // 1_000_000
        self._ask(
            partial(
                self.client.log_batch,
                run_id,
                [Metric(name, figure, time_ms, step) for name, figure in metrics.items()],
                [Param(name, str(value)) for name, value in (params or {}).items()],
                [RunTag(name, value) for name, value in (tags or {}).items()],
            )
        )

    def create_version(
        self, attempt: Attempt, source: str, description: str, *, taken: Collection[int] = ()
    ) -> int:
        """Create a version with all its tags in one transaction. Returns its number.

        taken: numbers that stand for other models. MLflow counts from 1 again when a model's name was deleted.
        """
        self._ask(self._ensure_model)
        tags = split_long(
            {key: value for key, value in attempt.tags.items() if key.startswith("perennial.")}
        )
        create = self.client.create_model_version
        while True:
            version = self._ask(
                lambda: create(
                    self.name,
                    source=source,
                    run_id=attempt.run_id,
                    tags=tags,
                    description=description,
                )
            )
            if int(version.version) not in taken:
                return int(version.version)
            self.delete_version(int(version.version))

    def tag_version(self, number: int, key: str, value: str) -> None:
        """Set one tag of a version."""
        self._ask(lambda: self.client.set_model_version_tag(self.name, str(number), key, value))

    def untag_version(self, number: int, key: str) -> None:
        """Remove one tag of a version."""
        self._ask(lambda: self.client.delete_model_version_tag(self.name, str(number), key))

    def delete_version(self, number: int) -> None:
        """Delete a version; its number is never given again."""
        self._ask(lambda: self.client.delete_model_version(self.name, str(number)))

    def set_alias(self, alias: str, number: int) -> None:
        """Point an alias at a version."""
        self._ask(lambda: self.client.set_registered_model_alias(self.name, alias, str(number)))

    def remove_alias(self, alias: str) -> None:
        """Remove an alias."""
        self._ask(lambda: self.client.delete_registered_model_alias(self.name, alias))

    def _experiment(self) -> str:
        found = self._ask(lambda: self.client.get_experiment_by_name(self.name))
        if (
            found is None
        ):  # an artifact location of our own keeps MLflow from making ./mlruns; nothing is ever stored there
            return str(
                self._ask(
                    lambda: self.client.create_experiment(self.name, artifact_location="dvc://md5")
                )
            )
        return str(found.experiment_id)

    def _ensure_model(self) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(self.name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _pages(self, fetch: Callable[[Any], Any]) -> list[Any]:
        rows: list[Any] = []
        token = None
        while True:
            page = self._ask(partial(fetch, token))
            rows += page
            token = page.token
            if not token:
                return rows

    def _ask(self, question: Callable[[], Result]) -> Result:
        with _translated(self.uri):
            return question()


def _create_sqlite(path: Path) -> None:
    """Create MLflow's tables beside `path` and rename: half of them would be refused for ever after a kill."""
    if path.exists():
        return
    from mlflow import MlflowClient

    log.info("creating the registry %s", path.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial_path = path.with_name(f"{path.name}.partial")
    partial_path.unlink(missing_ok=True)
    uri = f"{SQLITE}{partial_path}"
    with _translated(uri):
        MlflowClient(tracking_uri=uri, registry_uri=uri).search_experiments(max_results=1)
    partial_path.replace(path)


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Turn MLflow's failures (no server, an older schema, a locked file) into one line with a remedy."""
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        remedy = "see that the registry answers (setting registry_uri); after an update of MLflow run `mlflow db upgrade`"
        raise ServiceUnavailable(
            "the registry refused", file=uri, value=str(error), remedy=remedy
        ) from error
