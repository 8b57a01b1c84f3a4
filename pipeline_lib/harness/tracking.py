"""The curves of a training for the tools that people watch: TensorBoard, MLflow, Weights & Biases (setting `trackers`).

They are told and never asked: no result depends on them, and curves.csv holds the same numbers. One that cannot be
opened ends the stage before it has begun; one that fails later is named in the log and told no more, since a server's
trouble must not cost a training.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.errors import DependencyMissing
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)
Tell = Callable[[int, Mapping[str, float]], object]  # epoch (1-based), name -> value
TAG = "perennial_training"
PATIENCE = {  # with a server that has gone: other processes wait for the one that tells, five minutes at most
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True)
class Training:
    """What trackers call a training. name: the same for one that was stopped and goes on. folder: where files go."""

    name: str
    params: Mapping[str, Any]
    folder: Path
    project: str


@dataclass(frozen=True)
class Tracker:
    """One of them: how it is told, and how it is closed."""

    name: str
    tell: Tell
    close: Callable[[], object]


@contextmanager
def open_trackers(name: str, params: Mapping[str, Any], *, settings: Settings, checkout: Path) -> Iterator[Tell]:
    """Open what the setting names; gives a function that tells them all.

    Raises DependencyMissing when a package is absent, ServiceUnavailable when the MLflow server is.
    """
    state = settings.state_folder(checkout)
    training = Training(name, params, state / "tracking", settings.model_name)
    trackers = [OPEN[tracker](training, settings, state) for tracker in filter(None, settings.trackers.split(","))]

    def tell(epoch: int, figures: Mapping[str, float]) -> None:
        for tracker in list(trackers):
            if not _forgiven(tracker.name, lambda tracker=tracker: tracker.tell(epoch, figures)):  # type: ignore[misc]
                trackers.remove(tracker)

    try:
        yield tell
    finally:
        for tracker in trackers:
            _forgiven(tracker.name, tracker.close)


def _forgiven(name: str, act: Callable[[], object]) -> bool:
    """Whether it went well; a failure is said."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - see the module's docstring
        log.warning("%s failed and is told no more, training goes on: %s: %s", name, type(error).__name__, error)
        return False
    return True


def _tensorboard(training: Training, settings: Settings, state: Path) -> Tracker:
    """Event files in <state folder>/tracking/tensorboard/<name>: `tensorboard --logdir` shows all trainings."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise _missing("tensorboard", error) from error
    writer: Any = SummaryWriter(str(training.folder / "tensorboard" / training.name))
    writer.add_text("params", "\n".join(f"    {key}: {value}" for key, value in training.params.items()))

    def tell(epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    return Tracker("tensorboard", tell, writer.close)


def _mlflow(training: Training, settings: Settings, state: Path) -> Tracker:
    """A run of the experiment `<model name>-training`, where the registry is: SQLite by default, or a server."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    from pipeline_lib.registry.mlflow_store import SQLITE, MlflowStore

    state.mkdir(parents=True, exist_ok=True)
    with (state / "registry.lock").open("a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        uri = settings.registry_uri or f"{SQLITE}{state / 'registry.db'}"
        store = MlflowStore(uri, f"{training.project}-training")
    found = store.client.search_runs([store.experiment], filter_string=f"tags.{TAG} = '{training.name}'", max_results=1)
    if found:
        run_id = found[0].info.run_id
        store.client.update_run(run_id, status="RUNNING")
    else:
        tags = {TAG: training.name}
        run_id = store.client.create_run(store.experiment, run_name=training.name, tags=tags).info.run_id
        for key, value in training.params.items():
            store.client.log_param(run_id, key, value)

    def tell(epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            store.client.log_metric(run_id, name, value, step=epoch)

    return Tracker("mlflow", tell, lambda: store.client.set_terminated(run_id))


def _wandb(training: Training, settings: Settings, state: Path) -> Tracker:
    """A run in <state folder>/tracking/wandb, offline unless WANDB_MODE says `online`; `wandb sync` sends it later."""
    try:
        import wandb
    except ModuleNotFoundError as error:
        raise _missing("wandb", error) from error
    training.folder.mkdir(parents=True, exist_ok=True)
    mode: Any = os.environ.get("WANDB_MODE", "offline")
    run = wandb.init(
        project=training.project,
        id=training.name,
        name=training.name,
        config=dict(training.params),
        dir=str(training.folder),
        mode=mode,
        resume="allow",
        settings=wandb.Settings(silent=True, console="off", disable_git=True, x_disable_stats=True),
    )

    def close() -> None:
        run.finish()
        wandb.teardown()  # waits for its process, which may still be writing the file

    return Tracker("wandb", lambda epoch, figures: run.log(dict(figures), step=epoch), close)


def _missing(package: str, error: ModuleNotFoundError) -> DependencyMissing:
    remedy = f"`make setup WITH=trackers`, or take {package} out of the setting trackers"
    return DependencyMissing(
        "a tracker's package is not installed", file=package, value=error.name or "", remedy=remedy
    )


OPEN = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
