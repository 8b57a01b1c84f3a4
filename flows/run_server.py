"""A Prefect server for one run, where none is up. It ends with the run, also when that is killed.

It stands in a session of its own, so that Ctrl-C reaches the run alone, which still reports its end to it; Prefect's
own temporary server would be gone by then, and would outlive a run that is killed.

`python -m flows.run_server PORT PID` is the server of the run PID.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from pathlib import Path

from flows.prefect_home import HOST, prefect_environment, prefect_home
from flows.server_health import wait_until_healthy
from pipeline_lib.parent_watch import die_with_parents
from tasks.process_group import kill_group

START_S = 300.0


def start_run_server(origin: Path) -> str:
    """Start a server on a free port of loopback; its address. Raises ServiceUnavailable when it does not start.

    To be called before Prefect is imported: it is stopped after Prefect, at its own exit, has sent what it holds.
    """
    port = _free_port()
    url = f"http://{HOST}:{port}"
    environment = {**os.environ, **prefect_environment(origin, url)}
    log = prefect_home(origin) / "run_server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.run_server", str(port), str(os.getpid())],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    atexit.register(_stop, process)
    remedy = "try again when the machine is less busy, or start one that stays with `perennial up`"
    wait_until_healthy(url, process, log=log, timeout_s=START_S, remedy=remedy)
    return url


def _stop(process: subprocess.Popen[bytes]) -> None:
    kill_group(process.pid)
    process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def main(port: int, run_pid: int) -> None:
    """Serve Prefect's API without its pages until told to stop."""
    die_with_parents(run_pid)
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(ephemeral=True, final=True)
    uvicorn.run(app, host=HOST, port=port, log_level="error", lifespan="on")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
