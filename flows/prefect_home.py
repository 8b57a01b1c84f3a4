"""Where this project's own Prefect lies and how to reach it: in the state folder, on loopback, telling nobody."""

from __future__ import annotations

import json
from pathlib import Path

from pipeline_lib.settings import load_settings
from tasks.process_group import recorded_pid

HOST = "127.0.0.1"


def prefect_home(origin: Path) -> Path:
    """The folder of Prefect's database, logs and process records."""
    return load_settings(origin).state_folder(origin) / "prefect"


def server_record(origin: Path) -> Path:
    """The record of the server's process, see process_group."""
    return prefect_home(origin) / "server.json"


def server_url(origin: Path) -> str | None:
    """The address of the running server of this project, None when there is none."""
    address = prefect_home(origin) / "address.json"
    if recorded_pid(server_record(origin)) is None or not address.exists():
        return None
    return f"http://{HOST}:{json.loads(address.read_text(encoding='utf-8'))['port']}"


def prefect_environment(origin: Path, url: str, *, pages: bool = True) -> dict[str, str]:
    """Environment variables for Prefect and its server at `url`; without pages, a run names none.

    Makes Prefect's folder: Prefect itself makes no folder whose parent is absent, and then waits in vain.
    """
    prefect_home(origin).mkdir(parents=True, exist_ok=True)
    return {
        "PERENNIAL_ROOT": str(origin),
        "PREFECT_HOME": str(prefect_home(origin)),
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
    }
