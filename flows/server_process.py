"""The process of a Prefect server: the lasting one that `perennial up` starts, or a temporary one for a single run.

It does the same as `prefect server start`, and also refuses requests for any host name but its own, which protects
against DNS rebinding by a web page. Its socket listens before the server starts, so that no other program can answer
at its address and receive the credential.

`python -m flows.server_process SOCKET [PID]` serves on that file descriptor, and ends with the process PID if given.
"""

from __future__ import annotations

import atexit
import os
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from flows.prefect_home import HOST, make_prefect_home, prefect_environment
from flows.server_health import wait_until_healthy
from pipeline_lib.errors import ServiceUnavailable
from pipeline_lib.harness.parent_watch import die_with_parents
from tasks.process_group import kill_group

RUN_SERVER_START_S = 300.0


def listen(port: int) -> socket.socket:
    """Listen on a loopback port (0: any free one). Raises ServiceUnavailable if another program uses it."""
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        remedy = f"stop the program that uses it, or choose another port: `perennial up --port {port + 1}`"
        raise ServiceUnavailable(
            "the port is taken", file=f"http://{HOST}:{port}", value=port, remedy=remedy
        ) from error


def start_server(
    origin: Path, listener: socket.socket, *, log: Path, run_pid: int | None = None
) -> subprocess.Popen[bytes]:
    """Start a server on a listening socket. run_pid: process of a run; the server ends with it and has no pages."""
    if find_spec("prefect") is None:
        raise ModuleNotFoundError("Prefect is not installed", name="prefect")
    url = url_of(listener)
    with log.open("ab") as output:
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "flows.server_process",
                str(listener.fileno()),
                *([str(run_pid)] if run_pid else []),
            ],
            env={**os.environ, **prefect_environment(origin, url)},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(listener.fileno(),),
            start_new_session=True,
        )


def start_run_server(origin: Path) -> str:
    """Start a temporary server for this run and return its address. Raises ServiceUnavailable if it does not start.

    It has its own session, so that Ctrl-C stops the run alone, which still reports its end to the server. Prefect's own
    temporary server would be gone by then, and would outlive a killed run. Call this before Prefect is imported: exit
    handlers run in reverse order, and Prefect's must send its last records before the server stops.
    """
    log = make_prefect_home(origin) / "run_server.log"
    log.unlink(missing_ok=True)
    with listen(0) as listener:
        url = url_of(listener)
        process = start_server(origin, listener, log=log, run_pid=os.getpid())
    atexit.register(_stop, process)
    remedy = "try again when the machine is less busy, or start one that stays with `perennial up`"
    wait_until_healthy(url, process, log=log, timeout_s=RUN_SERVER_START_S, remedy=remedy)
    return url


def url_of(listener: socket.socket) -> str:
    """Return the address of a server on this socket."""
    return f"http://{HOST}:{listener.getsockname()[1]}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    kill_group(process.pid)
    process.wait()


def main(descriptor: int, run_pid: int | None = None) -> None:
    """Serve Prefect until a signal stops it; for a run, the API without pages."""
    if run_pid is not None:
        die_with_parents(run_pid)
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    api = get_current_settings().server.api
    config = uvicorn.Config(
        TrustedHostMiddleware(
            create_app(ephemeral=run_pid is not None, final=True), allowed_hosts=[HOST]
        ),
        log_level="warning" if run_pid is None else "error",
        lifespan="on",
        timeout_keep_alive=api.keepalive_timeout,
        ws_ping_interval=api.websocket_ping_interval,
        ws_ping_timeout=api.websocket_ping_timeout,
    )
    uvicorn.Server(config).run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
