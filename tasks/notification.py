"""Announce the outcome for a model as a Prefect event, which an automation can send by mail, chat or webhook.

A run that dies between promoting a model and announcing it leaves a file of its name in the state folder's
`unannounced/`; the next run makes the announcement.
"""

from __future__ import annotations

from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from prefect.events import emit_event
from prefect.events.worker import EventsWorker

from pipeline_lib.register.publish import report_path
from pipeline_lib.registry import Outcome, load_registry, outcome_of
from pipeline_lib.registry.records import KEY, SETTLED_BY
from pipeline_lib.settings import load_settings
from tasks.registration import Registration
from tasks.workspace import Workspace

PROMOTE = "promote"


def announce(registration: Registration, workspace: Workspace) -> None:
    """Emit `perennial.model.<what happened>` with its sentence, the versions and the path of the report.

    `promote` is emitted only by the run that promoted, while its model is champion, since deployments react to it.
    """
    _emit(registration.outcome, workspace.run, registration.report)


def expect_to_announce(workspace: Workspace) -> None:
    """Record that this run may promote, before it does."""
    record = _unannounced(workspace.state) / workspace.run
    record.parent.mkdir(parents=True, exist_ok=True)
    record.touch()


def forget_announcement(workspace: Workspace) -> None:
    """Remove the record: this run has made its announcement."""
    (_unannounced(workspace.state) / workspace.run).unlink(missing_ok=True)


def announce_left(origin: Path, *, said: str | None = None) -> list[str]:
    """Announce promotions by dead runs that are still champion. The caller holds the line.

    said: the registration key that the calling run has just registered and announced. That run has also carried out
    the decisions that dead runs only recorded, so all records are removed. Without it, a record stays until its
    promotion is found. Returns the runs named in the announcements.
    """
    settings, named = load_settings(origin), []
    left = {path.name: path for path in _unannounced(settings.state_folder(origin)).glob("*")}
    registry = load_registry(settings, origin)
    versions = registry.versions() if left else []
    for attempt in registry.attempts() if left else []:
        run, key = attempt.tags.get(SETTLED_BY, ""), attempt.tags[KEY]
        if run not in left or attempt.open or attempt.verdict.decision != PROMOTE or key == said:
            continue
        outcome = outcome_of(attempt, versions, is_new=True)
        if outcome.happened == PROMOTE:
            _emit(outcome, run, report_path(registry.state_folder, key))
            named.append(run)
        left[run].unlink(missing_ok=True)
    for record in left.values() if said else ():
        record.unlink(missing_ok=True)
    return named


def _emit(outcome: Outcome, run: str, report: Path) -> None:
    """Emit an event and wait until it is sent: only then may the record be removed.

    The event's id is a hash of its content, and the server keeps one event per id, so that after a kill in between
    the announcement is still made once.
    """
    sent = emit_event(
        event=f"perennial.model.{outcome.happened}",
        resource={"prefect.resource.id": f"perennial.run.{run}", "prefect.resource.name": run},
        payload={
            "sentence": outcome.sentence,
            "version": outcome.version,
            "champion": outcome.champion,
            "report": str(report),
        },
        id=uuid5(NAMESPACE_URL, f"perennial:{report}:{run}:{outcome.happened}:{outcome.version}"),
    )
    if sent is not None:  # None if events are switched off
        EventsWorker.instance().wait_until_empty()


def _unannounced(state: Path) -> Path:
    return state / "unannounced"
