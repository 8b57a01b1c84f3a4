"""Starting and stopping, as far as it goes without a server."""

from __future__ import annotations

import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from flows.prefect_home import (
    credential,
    credential_file,
    prefect_environment,
    prefect_home,
    server_record,
    server_url,
)
from flows.server_health import basic_auth, check_door
from flows.up_and_down import branch_to_deploy, bring_up, take_down
from pipeline_lib.errors import ConfigError, ServiceUnavailable, UsageError
from pipeline_lib.files.atomic import private_folder
from tasks.git import git
from testing.toy_repository import make_toy_repository


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
            ServiceUnavailable,
            match=rf"the port is taken .* choose another port: `perennial up --port {port + 1}`",
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


def test_without_a_branch_or_a_commit_to_run_from_nothing_is_deployed(
    origin: Path, tmp_path: Path
) -> None:
    git(origin, "checkout", "-q", "--detach")
    empty = tmp_path / "empty"
    subprocess.run(["git", "init", "-q", "-b", "main", str(empty)], check=True)

    with pytest.raises(
        UsageError, match=r"no branch is checked out .*detached HEAD.*perennial up --branch NAME"
    ):
        branch_to_deploy(origin, "")
    with pytest.raises(
        UsageError,
        match=r"no commit to run from \(found: nope\)\. Remedy: name a branch that `git branch",
    ):
        branch_to_deploy(origin, "nope")
    with pytest.raises(
        UsageError, match=r"no commit to run from \(found: main\)\. Remedy: run `git add -A"
    ):
        branch_to_deploy(empty, "")


def test_prefect_stays_on_this_machine_and_in_the_state_folder(tmp_path: Path) -> None:
    environment = prefect_environment(tmp_path, "http://127.0.0.1:4200")

    assert environment["PREFECT_HOME"].startswith(str(tmp_path))
    assert environment["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert (
        environment["PREFECT_API_URL"]
        == environment["PREFECT_UI_API_URL"]
        == "http://127.0.0.1:4200/api"
    )


def test_the_credential_goes_by_the_environment_and_past_every_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "intranet.example")

    environment = prefect_environment(tmp_path, "http://127.0.0.1:4200")

    secret = credential(tmp_path)
    assert (
        environment["PREFECT_API_AUTH_STRING"]
        == environment["PREFECT_SERVER_API_AUTH_STRING"]
        == secret
    )
    assert environment["PREFECT_SERVER_CORS_ALLOWED_ORIGINS"] == "http://127.0.0.1:4200"
    assert environment["no_proxy"] == environment["NO_PROXY"] == "intranet.example,127.0.0.1"


def test_processes_that_need_the_credential_at_once_make_one_for_its_owner_alone(
    tmp_path: Path,
) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(credential, [tmp_path] * 8))

    assert len(made) == 1
    assert len(made.pop().partition(":")[2]) == 43  # 256 bits in base64
    assert [path.name for path in prefect_home(tmp_path).iterdir()] == ["credential"]
    assert stat.S_IMODE(credential_file(tmp_path).stat().st_mode) == 0o600


def test_a_credential_that_others_can_read_is_none(tmp_path: Path) -> None:
    credential(tmp_path)
    credential_file(tmp_path).chmod(0o644)

    with pytest.raises(
        ConfigError,
        match=r"others can read or write .*mode 644.*`perennial down`, delete the file, run",
    ):
        credential(tmp_path)


def test_a_state_folder_that_others_could_look_into_is_closed(tmp_path: Path) -> None:
    prefect_home(tmp_path).mkdir(parents=True)
    prefect_home(tmp_path).chmod(0o777)
    prefect_home(tmp_path).parent.chmod(0o755)

    credential(tmp_path)

    made = private_folder(tmp_path / "made" / "here")
    folders = (prefect_home(tmp_path).parent, prefect_home(tmp_path), made)
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in folders] == [0o700] * 3


@contextmanager
def door(secret: str | None) -> Iterator[str]:
    """The address of a server that asks for a credential, None: that accepts requests without a credential."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            right = (
                secret is None
                or self.headers["Authorization"] == basic_auth(secret)["Authorization"]
            )
            self.send_response(200 if right else 401)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_server_of_an_earlier_version_or_with_another_credential_is_named_with_the_remedy() -> (
    None
):
    with (
        door(None) as url,
        pytest.raises(
            ServiceUnavailable, match=r"accepts requests without a credential.*`perennial down`"
        ),
    ):
        check_door(url, "perennial:ours")
    with (
        door("perennial:old") as url,
        pytest.raises(ServiceUnavailable, match=r"another credential.*`perennial down`"),
    ):
        check_door(url, "perennial:ours")
    with door("perennial:ours") as url:
        check_door(url, "perennial:ours")
