"""What the tests of deployed runs do and ask, step by step: log in, wait for a stage, make a night due."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

from playwright.sync_api import Page, expect

from flows.prefect_home import credential_file
from tasks.git import git
from tasks.workspace import FLOW
from testing.served import PATIENCE_MS, Served, stage_processes, wait_until


def flow_pid(served: Served, run_id: str) -> int:
    """The process of a run, which is on record as soon as it works."""
    running = served.origin / ".perennial" / "running"
    wait_until(lambda: list(running.glob(f"*-{run_id[:8]}/{FLOW}")))
    (record,) = running.glob(f"*-{run_id[:8]}/{FLOW}")
    return int(json.loads(record.read_text())["pid"])


def wait_for_stage(served: Served, run_id: str, stage: str) -> None:
    """Until a stage is at work."""
    wait_until(
        lambda: (
            served.task_states(run_id).get(stage) == "Running"
            and len(stage_processes(served.origin)) >= 2
        )
    )


def log_in(page: Page, served: Served, path: str) -> None:
    """Open a page of the UI as a person does for the first time: with the line that `perennial up` names."""
    page.goto(f"http://127.0.0.1:{served.port}{path}")
    page.get_by_placeholder("admin:pass").fill(credential_file(served.origin).read_text().strip())
    page.get_by_role("button", name="Login").click()


def open_form(page: Page, served: Served) -> None:
    deployment = served.ask("deployments/name/retrain/retrain")
    log_in(page, served, f"/deployments/deployment/{deployment['id']}/run")
    expect(page.get_by_text("train.epochs (Optional)")).to_be_visible(timeout=PATIENCE_MS)


def night_that_is_due_now(served: Served) -> str:
    """A run that the schedule made, due now; its id."""
    wanted = {
        "deployments": {"name": {"any_": ["nightly"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    wait_until(lambda: served.ask("flow_runs/filter", wanted))
    night = str(served.ask("flow_runs/filter", wanted)[0]["id"])
    now = {"type": "SCHEDULED", "state_details": {"scheduled_time": datetime.now(UTC).isoformat()}}
    served.ask(f"flow_runs/{night}/set_state", {"state": now, "force": True})
    return night


def announced(served: Served) -> list[tuple[str, int]]:
    """What was said of models as events, oldest first: the event's last word and the version."""
    wanted = {"filter": {"event": {"prefix": ["perennial.model."]}, "order": "ASC"}}
    return [
        (event["event"].removeprefix("perennial.model."), event["payload"]["version"])
        for event in served.ask("events/filter", wanted)["events"]
    ]


def branch_of_its_own_data(served: Served) -> str:
    """A branch beside the one checked out, whose line was never run; its name."""
    params = served.origin / "params.yaml"
    git(served.origin, "checkout", "-q", "-b", "models")
    params.write_text(re.sub(r"uri: .*", "uri: elsewhere", params.read_text(), count=1))
    git(served.origin, "commit", "-q", "-a", "-m", "models")
    git(served.origin, "checkout", "-q", "main")
    return "models"


def runs(served: Served) -> set[str]:
    """The ids of the runs of `retrain`."""
    return {
        run["id"]
        for run in served.ask("flow_runs/filter", {"deployments": {"name": {"any_": ["retrain"]}}})
    }
