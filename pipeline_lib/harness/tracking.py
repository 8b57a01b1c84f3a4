"""Send training curves to experiment trackers: TensorBoard, MLflow, Weights & Biases (setting `trackers`).

No result depends on a tracker, and curves.csv holds the same numbers. A tracker that cannot be opened ends the stage
before training starts. One that fails later is named in the log and not called again, since a server's failure must not
end a training.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline_lib.errors import DependencyMissing
from pipeline_lib.files.process_lock import process_lock
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)
Tell = Callable[[int, Mapping[str, float]], object]  # epoch (1-based), name -> value
TAG = "perennial_training"
PATIENCE = {  # with an unreachable server: the other processes wait at most five minutes for rank 0
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


@dataclass(frozen=True)
class Training:
    """The training as trackers see it. name: the same after a stop and restart. folder: for the tracker's files."""

    name: str
    params: Mapping[str, Any]
    folder: Path
    project: str


@dataclass(frozen=True)
class Tracker:
    """One tracker: functions to send the metrics of an epoch and to close it."""

    name: str
    tell: Tell
    close: Callable[[], object]


@contextmanager
def open_trackers(
    name: str, params: Mapping[str, Any], *, settings: Settings, checkout: Path
) -> Iterator[Tell]:
    """Open the trackers that the setting names; yield a function that sends an epoch's metrics to all.

    Raises DependencyMissing if a package is missing, ServiceUnavailable if the MLflow server does not answer.
    """
    state = settings.state_folder(checkout)
    training = Training(name, params, state / "tracking", settings.model_name)
    trackers = [
        OPEN[tracker](training, settings, state)
        for tracker in filter(None, settings.trackers.split(","))
    ]

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
    """Call a tracker and return whether it succeeded; a failure is logged."""
    try:
        act()
    except Exception as error:  # noqa: BLE001 - see the module's docstring
        log.warning(
            "%s failed and is not used any more, training goes on: %s: %s",
            name,
            type(error).__name__,
            error,
        )
        return False
    return True


def _tensorboard(training: Training, settings: Settings, state: Path) -> Tracker:
    """Write event files to <state folder>/tracking/tensorboard/<name>; `tensorboard --logdir` shows all trainings."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise _missing("tensorboard", error) from error
    writer: Any = SummaryWriter(str(training.folder / "tensorboard" / training.name))
    writer.add_text(
        "params", "\n".join(f"    {key}: {value}" for key, value in training.params.items())
    )

    def tell(epoch: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            writer.add_scalar(name, value, epoch)
        writer.flush()

    return Tracker("tensorboard", tell, writer.close)


def _mlflow(training: Training, settings: Settings, state: Path) -> Tracker:
    """Write to a run of the experiment `<model name>-training` in the registry: SQLite by default, or a server."""
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    from pipeline_lib.registry.mlflow_store import SQLITE, MlflowStore

    state.mkdir(parents=True, exist_ok=True)
    with process_lock(state / "registry.lock"):
        uri = settings.registry_uri or f"{SQLITE}{state / 'registry.db'}"
        store = MlflowStore(uri, f"{training.project}-training")
    found = store.client.search_runs(
        [store.experiment], filter_string=f"tags.{TAG} = '{training.name}'", max_results=1
    )
    if found:
        run_id = found[0].info.run_id
        store.client.update_run(run_id, status="RUNNING")
    else:
        tags = {TAG: training.name}
        run_id = store.client.create_run(
            store.experiment, run_name=training.name, tags=tags
        ).info.run_id
        store.log(run_id, {}, params=training.params)

    def tell(epoch: int, figures: Mapping[str, float]) -> None:
        store.log(run_id, figures, step=epoch)

    return Tracker("mlflow", tell, lambda: store.client.set_terminated(run_id))


def _wandb(training: Training, settings: Settings, state: Path) -> Tracker:
    """Write a run to <state folder>/tracking/wandb, offline unless WANDB_MODE=online; `wandb sync` sends it later."""
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
    remedy = f"`make setup WITH=trackers`, or remove {package} from the setting trackers"
    return DependencyMissing(
        "a tracker's package is not installed", file=package, value=error.name or "", remedy=remedy
    )


OPEN = {"tensorboard": _tensorboard, "mlflow": _mlflow, "wandb": _wandb}
