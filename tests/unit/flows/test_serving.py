"""Starting and stopping, as far as it goes without a server."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from flows.prefect_home import prefect_environment, prefect_home, server_record, server_url
from flows.serving import bring_up, runs_at_work, take_down
from pipeline_lib.errors import ServiceUnavailable
from tasks.process_group import put_on_record
from tasks.workspace import FLOW


def test_a_taken_port_is_named_with_another_to_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]

        with pytest.raises(
            ServiceUnavailable, match=rf"the port is taken .* use another: `perennial up --port {port + 1}`"
        ):
            bring_up(tmp_path, port=port)


def test_nothing_is_stopped_where_nothing_runs(tmp_path: Path) -> None:
    assert take_down(tmp_path) == []
    assert server_url(tmp_path) is None


def test_a_server_that_died_counts_as_none(tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir(parents=True)
    (prefect_home(tmp_path) / "address.json").write_text('{"port": 4200}')
    server_record(tmp_path).write_text('{"pid": 1, "start_time": "never"}')

    assert server_url(tmp_path) is None


def test_only_runs_whose_process_lives_are_at_work(tmp_path: Path) -> None:
    import os

    running = tmp_path / ".perennial" / "running"
    put_on_record(os.getpid(), running / "lives" / FLOW)
    (running / "died").mkdir()
    (running / "died" / FLOW).write_text('{"pid": 1, "start_time": "never"}')

    assert runs_at_work(tmp_path) == ["lives"]


def test_prefect_stays_on_this_machine_and_in_the_state_folder(tmp_path: Path) -> None:
    environment = prefect_environment(tmp_path, "http://127.0.0.1:4200")

    assert environment["PREFECT_HOME"].startswith(str(tmp_path))
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert environment["PREFECT_API_URL"] == environment["PREFECT_UI_API_URL"] == "http://127.0.0.1:4200/api"
