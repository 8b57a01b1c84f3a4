"""Register the work pool, the deployments of prefect.yaml and the automations with a running Prefect server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import AutomationCore

from pipeline_lib.errors import ConfigError, ServiceUnavailable
from pipeline_lib.files.yaml_files import read_yaml

AUTOMATIONS = tuple(
    Path(__file__).with_name(f"{name}_automation.yaml") for name in ("zombie", "pending")
)


def deploy_all(origin: Path, pool: str, *, branch: str) -> None:
    """Create the process pool, bring the automations up to date, and apply prefect.yaml for a branch.

    Raises ConfigError when Prefect refuses the file.
    """
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
        for file in AUTOMATIONS:
            _install(client, AutomationCore.model_validate(read_yaml(file)))
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    environment = {**os.environ, "DEPLOYED_BRANCH": branch}
    done = subprocess.run(
        command, cwd=origin, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-1:]
        remedy = "fix that file, or restore it from git"
        raise ConfigError(
            "Prefect refused this file",
            file=origin / "prefect.yaml",
            value=" ".join(said),
            remedy=remedy,
        )


def _install(client: SyncPrefectClient, wanted: AutomationCore) -> None:
    """Create or update an automation; one that was switched off in the UI stays off."""
    found = client.read_automations_by_name(wanted.name)
    if not found:
        client.create_automation(wanted)
    for one in found:
        fresh = wanted.model_copy(update={"enabled": one.enabled})
        if not _is_same(one, fresh):
            client.update_automation(one.id, fresh)


def _is_same(one: AutomationCore, other: AutomationCore) -> bool:
    """Whether two automations do the same; each trigger has an id of its own."""
    said = [AutomationCore.model_validate(each.model_dump()).model_dump() for each in (one, other)]
    for content in said:
        content["trigger"].pop("id", None)
    return bool(said[0] == said[1])


def wait_for_worker(pool: str, *, timeout_s: float) -> None:
    """Wait until a worker asks the pool for work. Raises ServiceUnavailable."""
    deadline = time.monotonic() + timeout_s
    with get_client(sync_client=True) as client:
        while not any(
            worker.status == "ONLINE" for worker in client.read_workers_for_work_pool(pool)
        ):
            if time.monotonic() > deadline:
                remedy = "read worker.log in the state folder's prefect/, then run `perennial down` and `perennial up`"
                raise ServiceUnavailable("the worker did not start", file=pool, remedy=remedy)
            time.sleep(0.3)
