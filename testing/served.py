"""A toy repository with `perennial up`, and the few questions that the tests put to its Prefect server."""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.prefect_home import credential
from flows.server_health import basic_auth
from testing.toy_repository import ROOT

PERENNIAL = [sys.executable, "-m", "flows.cli"]
WAIT_S = 480.0  # a busy machine: stages, server, worker and other tests share two cores
PATIENCE_MS = 120_000.0  # of a browser there


@dataclass(frozen=True)
class Served:
    """A repository and the port of its server."""

    origin: Path
    port: int

    def perennial(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command in the repository."""
        return subprocess.run(
            [*PERENNIAL, *arguments],
            cwd=self.origin,
            env=environment(),
            capture_output=True,
            text=True,
            check=check,
            timeout=WAIT_S,
        )

    def ask(
        self, path: str, body: dict[str, Any] | None = None, *, method: str | None = None
    ) -> Any:
        """POST to the API of the server, or GET without a body, or by another method.

        SQLite at its busiest makes the server answer 503, or nothing for half a minute, as to any client.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **basic_auth(credential(self.origin))}
        address = f"http://127.0.0.1:{self.port}/api/{path}"
        request = urllib.request.Request(address, data=data, headers=headers, method=method)
        for _ in range(10):
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    text = answer.read()
                return json.loads(text) if text else None
            except urllib.error.HTTPError as error:
                if error.code != 503:
                    raise AssertionError(f"{path}: {error.read().decode()}") from error
                time.sleep(1)
            except TimeoutError:
                assert body is None or path.endswith("/filter"), (
                    f"{path}: no answer; asking twice might do it twice"
                )
        raise AssertionError(f"{path}: busy ten times")

    def trigger(self, parameters: dict[str, Any] | None = None, *, flow: str = "retrain") -> str:
        """Start a deployed run as the UI does; its id. It waits where another holds the line."""
        found = self.ask(f"deployments/name/{flow}/{flow}")
        body = {"parameters": parameters or {}, "state": {"type": "SCHEDULED"}}
        return str(self.ask(f"deployments/{found['id']}/create_flow_run", body)["id"])

    def run_of(self, run_id: str) -> Any:
        """The flow run with its state."""
        return self.ask(f"flow_runs/{run_id}")

    def has_ended(self, run_id: str) -> bool:
        """Whether the flow run has come to an end, good or bad."""
        return self.run_of(run_id)["state_type"] in ("COMPLETED", "FAILED", "CANCELLED", "CRASHED")

    def wait_for_end(self, run_id: str) -> Any:
        """The flow run when it has come to its end."""
        wait_until(lambda: self.has_ended(run_id))
        return self.run_of(run_id)

    def task_states(self, run_id: str) -> dict[str, str]:
        """Task run name -> state name; without a run that was just made and has no state yet."""
        body = {"flow_runs": {"id": {"any_": [run_id]}}}
        return {
            run["name"]: run["state"]["name"]
            for run in self.ask("task_runs/filter", body)
            if run["state"]
        }

    def wish(self, name: str, value: str) -> Path:
        """Ask the toy stages for something, see testing/toy_stage.py; the file is the wish."""
        file = self.origin / ".perennial" / "wishes" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(value)
        return file

    def forget_wishes(self) -> None:
        """Nothing is asked of the toy stages any longer, or given to them."""
        shutil.rmtree(self.origin / ".perennial" / "wishes", ignore_errors=True)
        shutil.rmtree(self.origin / ".perennial" / "whole_line", ignore_errors=True)


def environment() -> dict[str, str]:
    """That of the tests without what a surrounding run may have set, and with this Python and repository first."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PREFECT_", "PERENNIAL_", "DVC_"))
    }
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    before = kept.get("PYTHONPATH")
    return {
        **kept,
        "PATH": path,
        "PYTHONPATH": f"{ROOT}{os.pathsep}{before}" if before else str(ROOT),
    }


def free_port() -> int:
    """A port that nobody listens on, below those that the kernel gives out: nobody is given it before it is used."""
    given_out = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(1024, max(given_out, 10_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def refusing_port() -> Iterator[int]:
    """A port that refuses connections: it is held, and nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield int(held.getsockname()[1])


def wait_until(
    happened: Callable[[], Any], *, timeout_s: float = WAIT_S, every_s: float = 0.5
) -> None:
    """Look twice a second, or as often as that; fails when it has not happened in time."""
    deadline = time.monotonic() + timeout_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(every_s)


def stage_processes(origin: Path) -> list[int]:
    """The dvc and stage processes at work below a repository."""
    return processes(origin, b"dvc", b"toy_stage", b"pipeline_lib.stage")


def processes(origin: Path, *names: bytes) -> list[int]:
    """The processes below a repository with one of the names in their command."""
    below = f"{origin}/"
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            where, command = str((entry / "cwd").readlink()), (entry / "cmdline").read_bytes()
        except OSError:  # ended while we looked
            continue
        if f"{where}/".startswith(below) and any(name in command for name in names):
            found.append(int(entry.name))
    return found
