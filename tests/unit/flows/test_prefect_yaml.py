"""prefect.yaml against Prefect's own models: it drops keys that it does not know without a word."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from prefect.cli.deploy._models import DeploymentConfig
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.schemas.automations import AutomationCore

from flows.deploying import AUTOMATIONS
from flows.up_and_down import POOL
from pipeline_lib.files.yaml_files import read_yaml

ROOT = Path(__file__).parents[3]
CONTENT = read_yaml(ROOT / "prefect.yaml")
DEPLOYMENTS: list[dict[str, Any]] = CONTENT["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_prefect_knows_every_key_of_a_deployment(deployment: dict[str, Any]) -> None:
    known = DeploymentConfig.model_validate(deployment)

    assert set(deployment) <= set(DeploymentConfig.model_fields)
    assert known.concurrency_limit is None, "one run at a time is the matter of tasks/line_lock.py"
    assert deployment["parameters"] == {"branch": "{{ $DEPLOYED_BRANCH }}"}
    assert deployment["work_pool"] == {"name": POOL}


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda one: one["name"])
def test_the_entrypoint_is_a_flow_that_exists(deployment: dict[str, Any]) -> None:
    file, _, name = deployment["entrypoint"].partition(":")

    module = importlib.import_module(file.removesuffix(".py").replace("/", "."))

    assert getattr(module, name).name == name


def test_the_night_has_a_cron_with_a_time_zone() -> None:
    (nightly,) = [one for one in DEPLOYMENTS if one["name"] == "nightly"]
    (schedule,) = nightly["schedules"]

    assert CronSchedule(cron=schedule["cron"], timezone=schedule["timezone"])
    assert set(schedule) == {"cron", "timezone", "active", "slug"}


def test_the_file_names_no_path_of_a_machine() -> None:
    text = (ROOT / "prefect.yaml").read_text()

    assert CONTENT["pull"] == [
        {"prefect.deployments.steps.set_working_directory": {"directory": "{{ $PERENNIAL_ROOT }}"}}
    ]
    assert "/work" not in text and "/home" not in text


@pytest.mark.parametrize("file", AUTOMATIONS, ids=lambda file: file.stem)
def test_an_automation_is_one_that_prefect_accepts_and_expects_every_end_of_a_run(
    file: Path,
) -> None:
    content = read_yaml(file)

    automation = AutomationCore.model_validate(content)

    ends = {"Completed", "Skipped", "Failed", "Cancelled", "Crashed"}
    assert automation.name in ("crash-zombie-flows", "crash-runs-that-never-start")
    assert content["trigger"]["within"] >= 3 * 30, "three heartbeats, see prefect_home.py"
    assert {f"prefect.flow-run.{end}" for end in ends} <= set(content["trigger"]["expect"])
