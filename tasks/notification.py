"""Tell Prefect what became of a model, as an event: an automation can send it on by mail, chat or webhook."""

from __future__ import annotations

from prefect.events import emit_event

from tasks.registration import Registration
from tasks.workspace import Workspace


def announce(registration: Registration, workspace: Workspace) -> None:
    """Emit `perennial.model.<what happened>` with its sentence, the versions and where the report lies.

    `promote` only by the run that promoted, and only while its model is the champion: whoever deploys acts on it.
    """
    emit_event(
        event=f"perennial.model.{registration.outcome.happened}",
        resource={"prefect.resource.id": f"perennial.run.{workspace.run}", "prefect.resource.name": workspace.run},
        payload={
            "sentence": registration.outcome.sentence,
            "version": registration.outcome.version,
            "champion": registration.outcome.champion,
            "report": str(registration.report),
        },
    )
