"""Tell a running Prefect server about the work pool, the deployments of prefect.yaml and the zombie automation."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.events.schemas.automations import AutomationCore

from pipeline_lib.errors import ConfigError, ServiceUnavailable
from pipeline_lib.yaml_files import read_yaml

AUTOMATION = Path(__file__).with_name("zombie_automation.yaml")


def deploy_all(origin: Path, pool: str) -> None:
    """Create the process pool and the automation where they are absent, and apply prefect.yaml. Raises ConfigError."""
    automation = AutomationCore.model_validate(read_yaml(AUTOMATION))
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"), overwrite=True)
        if not client.read_automations_by_name(automation.name):
            client.create_automation(automation)
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
    done = subprocess.run(command, cwd=origin, capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        said = (done.stdout + done.stderr).strip().splitlines()[-1:]
        remedy = "mend that file, or restore it from git"
        raise ConfigError("Prefect refused it", file=origin / "prefect.yaml", value=" ".join(said), remedy=remedy)


def wait_for_worker(pool: str, *, timeout_s: float) -> None:
    """Wait until a worker asks the pool for work. Raises ServiceUnavailable."""
    deadline = time.monotonic() + timeout_s
    with get_client(sync_client=True) as client:
        while not any(worker.status == "ONLINE" for worker in client.read_workers_for_work_pool(pool)):
            if time.monotonic() > deadline:
                remedy = "read worker.log in the state folder's prefect/; `perennial down` and up again"
                raise ServiceUnavailable("the worker did not start", file=pool, remedy=remedy)
            time.sleep(0.3)
