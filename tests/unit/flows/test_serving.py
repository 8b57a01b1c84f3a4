"""Starting and stopping, as far as it goes without a server."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from flows.prefect_home import prefect_environment, prefect_home, server_record, server_url
from flows.serving import branch_to_deploy, bring_up, take_down
from pipeline_lib.errors import ServiceUnavailable, UsageError
from tasks.git import git
from tests.toy.repository import make_toy_repository


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A committed repository on the branch `main`."""
    return make_toy_repository(tmp_path / "origin")


def test_a_taken_port_is_named_with_another_to_use(origin: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(
            ServiceUnavailable, match=rf"the port is taken .* use another: `perennial up --port {port + 1}`"
        ):
            bring_up(origin, port=port)


def test_nothing_is_stopped_where_nothing_runs(tmp_path: Path) -> None:
    assert take_down(tmp_path) == []
    assert server_url(tmp_path) is None


def test_a_server_that_died_counts_as_none(tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir(parents=True)
    (prefect_home(tmp_path) / "address.json").write_text('{"port": 4200}')
    server_record(tmp_path).write_text('{"pid": 1, "start_time": "never"}')

    assert server_url(tmp_path) is None


def test_deployments_name_the_branch_checked_out_or_the_one_asked_for(origin: Path) -> None:
    git(origin, "branch", "other")

    assert branch_to_deploy(origin, "") == "main"
    assert branch_to_deploy(origin, "other") == "other"


def test_without_a_branch_or_a_commit_to_run_from_nothing_is_deployed(origin: Path, tmp_path: Path) -> None:
    git(origin, "checkout", "-q", "--detach")
    empty = tmp_path / "empty"
    subprocess.run(["git", "init", "-q", "-b", "main", str(empty)], check=True)

    with pytest.raises(UsageError, match=r"no branch is checked out .*detached HEAD.*perennial up --branch NAME"):
        branch_to_deploy(origin, "")
    with pytest.raises(UsageError, match=r"no commit to run from \(found: nope\)\. Remedy: name one that `git branch"):
        branch_to_deploy(origin, "nope")
    with pytest.raises(UsageError, match=r"no commit to run from \(found: main\)\. Remedy: run `git add -A"):
        branch_to_deploy(empty, "")


def test_prefect_stays_on_this_machine_and_in_the_state_folder(tmp_path: Path) -> None:
    environment = prefect_environment(tmp_path, "http://127.0.0.1:4200")

    assert environment["PREFECT_HOME"].startswith(str(tmp_path))
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["PREFECT_API_URL"] == environment["PREFECT_UI_API_URL"] == "http://127.0.0.1:4200/api"
