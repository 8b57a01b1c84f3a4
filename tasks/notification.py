"""Tell Prefect what the gate decided, as an event: an automation can send it on by mail, chat or webhook."""

from __future__ import annotations

from prefect.events import emit_event

from tasks.registration import Registration
from tasks.workspace import Workspace


def announce(registration: Registration, workspace: Workspace) -> None:
    """Emit `perennial.model.<decision>` with the verdict's sentence, the version and where the report lies."""
    emit_event(
        event=f"perennial.model.{registration.verdict.decision}",
        resource={"prefect.resource.id": f"perennial.run.{workspace.run}", "prefect.resource.name": workspace.run},
        payload={
            "sentence": registration.verdict.sentence,
            "version": registration.version.number if registration.version else None,
            "report": str(registration.report),
        },
    )
