"""This project's own Prefect: its folder in the state folder, its address on loopback, its credential.

Whoever can call its API can run code as the owner, so the API asks for a credential that only the owner can read.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from pathlib import Path

from pipeline_lib.errors import ConfigError
from pipeline_lib.files.atomic import private_folder
from pipeline_lib.settings import load_settings
from tasks.process_group import recorded_pid

HOST = "127.0.0.1"


def prefect_home(origin: Path) -> Path:
    """Return the folder of Prefect's database, logs, credential and process records."""
    return load_settings(origin).state_folder(origin) / "prefect"


def make_prefect_home(origin: Path) -> Path:
    """Create the folder of `prefect_home`. Prefect does not create missing parents, and then waits without end."""
    private_folder(load_settings(origin).state_folder(origin))
    return private_folder(prefect_home(origin))


def server_record(origin: Path) -> Path:
    """Return the file that records the server's process, see process_group."""
    return prefect_home(origin) / "server.json"


def server_url(origin: Path) -> str | None:
    """Return the address of this project's running server, None if there is none."""
    address = prefect_home(origin) / "address.json"
    if recorded_pid(server_record(origin)) is None or not address.exists():
        return None
    return f"http://{HOST}:{json.loads(address.read_text(encoding='utf-8'))['port']}"


def credential_file(origin: Path) -> Path:
    """Return the file of the credential, which a person pastes into the UI's login once."""
    return prefect_home(origin) / "credential"


def credential(origin: Path) -> str:
    """Return `user:password` of this project's Prefect, created at random on first use.

    Raises ConfigError where other users can read or write the file.
    """
    make_prefect_home(origin)
    path = credential_file(origin)
    if not path.exists():
        _make_credential(path)
    with path.open(encoding="utf-8") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or status.st_mode & 0o077:
            remedy = (
                "run `perennial down`, delete the file, run `perennial up`, which creates another; the "
                "file system must keep file modes"
            )
            mode = f"owner {status.st_uid}, mode {status.st_mode & 0o777:o}"
            raise ConfigError(
                "others can read or write Prefect's credential",
                file=path,
                value=mode,
                remedy=remedy,
            )
        return file.read().strip()


def _make_credential(path: Path) -> None:
    """Create the file atomically, readable by the owner alone; one that another process has just created stays."""
    number, partial = tempfile.mkstemp(
        dir=path.parent, prefix="credential-"
    )  # mode 600, and no file of others
    with os.fdopen(number, "w") as file:
        file.write(f"perennial:{secrets.token_urlsafe(32)}\n")
    with contextlib.suppress(FileExistsError):
        os.link(partial, path)
    Path(partial).unlink()


def prefect_environment(origin: Path, url: str, *, pages: bool = True) -> dict[str, str]:
    """Return the environment variables for Prefect and its server at `url`.

    pages: whether the server has web pages, so that a run prints their addresses.

    They hold the credential: pass them to processes of the owner, never on a command line or to a log.
    """
    secret = credential(origin)
    return {
        "PERENNIAL_ROOT": str(origin),
        "PREFECT_HOME": str(prefect_home(origin)),
        "PREFECT_SERVER_API_AUTH_STRING": secret,
        "PREFECT_API_AUTH_STRING": secret,
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": url,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_CLI_PROMPT": "false",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # what flows/zombie_automation.yaml counts on
        "PREFECT_WORKER_QUERY_SECONDS": "3",
        "PREFECT_WORKER_CANCELLATION_POLL_SECONDS": "3",  # where its websocket is lost; Prefect's 120 are long
        "PREFECT_API_URL": f"{url}/api",
        "PREFECT_UI_API_URL": f"{url}/api",
        "PREFECT_UI_URL": url if pages else "",
        "NO_PROXY": _past_the_proxy(),
        "no_proxy": _past_the_proxy(),
    }


def _past_the_proxy() -> str:
    """The hosts that no proxy of the environment is asked for, with ours: it would be sent the credential."""
    named = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    return named if HOST in named.split(",") else ",".join(filter(None, (named, HOST)))
