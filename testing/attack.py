"""What a web page, or another user of the machine, would order of a Prefect server: a shell command of their choice."""

from __future__ import annotations

import contextlib
import functools
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from flows.prefect_home import HOST
from flows.server_health import basic_auth
from flows.up_and_down import POOL

PREFLIGHT: dict[str, Any] = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type",
}
STEP = "prefect.deployments.steps.run_shell_script"


@dataclass(frozen=True)
class Answer:
    """What the server said. content: of its JSON; headers: by name in any case, None where absent."""

    status: int
    headers: http.client.HTTPMessage
    content: Any


def ask(
    url: str,
    method: str,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    credential: str = "",
    **headers: str,
) -> Answer:
    """One request to the API, with any header: also those that a library would set by itself, as Host."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    sent = {
        "Content-Type": "application/json",
        **headers,
        **(basic_auth(credential) if credential else {}),
    }
    connection.request(method, f"/api/{path}", None if body is None else json.dumps(body), sent)
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    is_json = "json" in answer.headers.get("Content-Type", "")
    return Answer(answer.status, answer.headers, json.loads(text) if is_json and text else None)


def order(url: str, command: str, *, credential: str) -> list[int]:
    """The three requests that run a command in the worker, as issue 14 found them; their statuses."""
    flow = ask(url, "POST", "flows/", {"name": "attack"}, credential=credential)
    step = {
        "name": "attack",
        "flow_id": flow.content["id"],
        "work_pool_name": POOL,
        "entrypoint": "absent.py:absent",
    }
    deployment = ask(
        url,
        "POST",
        "deployments/",
        {**step, "pull_steps": [{STEP: {"script": command}}]},
        credential=credential,
    )
    path = f"deployments/{deployment.content['id']}/create_flow_run"
    run = ask(url, "POST", path, {"state": {"type": "SCHEDULED"}}, credential=credential)
    return [flow.status, deployment.status, run.status]


def knock(url: str, command: str = "true") -> list[int]:
    """The first request by another user, a page, one of a rebound name, a guess, and a preflight; their statuses."""
    page: dict[str, Any] = {"Origin": "https://evil.example"}
    return [
        ask(url, "POST", "flows/", {"name": command}).status,
        ask(url, "POST", "flows/", {"name": command}, **page).status,
        ask(url, "POST", "flows/", {"name": command}, **page, Host="rebound.example").status,
        ask(url, "POST", "flows/", {"name": command}, credential="perennial:guessed").status,
        ask(url, "OPTIONS", "flows/", **page, **PREFLIGHT).status,
    ]


@contextlib.contextmanager
def serving_a_page(folder: Path) -> Iterator[str]:
    """The address of a web page of another origin, the listing of a folder."""
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{HOST}:{server.server_port}"
        server.shutdown()
