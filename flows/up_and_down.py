"""Start and stop the Prefect server and worker of this project, as processes of their own on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from flows.prefect_home import (
    credential,
    credential_file,
    make_prefect_home,
    prefect_environment,
    prefect_home,
    server_record,
    server_url,
)
from flows.server_health import check_door, wait_until_healthy
from flows.server_process import listen, start_server, url_of
from pipeline_lib.errors import UsageError
from pipeline_lib.files.process_lock import process_lock
from pipeline_lib.harness.parent_watch import descendants
from tasks.git import checked_out, commit_of
from tasks.process_group import kill_group, put_on_record, recorded_pid

POOL = "perennial"
START_S = 180.0
RUN_GRACE_S = 15.0  # a flow gives its stages 5 s of their own


def bring_up(origin: Path, *, port: int, branch: str = "") -> str:
    """Start server and worker unless they run, deploy the flows, and return instructions. Safe to repeat.

    branch: the branch that deployed runs use; "": the one checked out now. Raises UsageError if there is none, and
    ServiceUnavailable.
    """
    branch = branch_to_deploy(origin, branch)
    with process_lock(make_prefect_home(origin) / "up.lock"):
        return _bring_up(origin, port=port, branch=branch)


def _bring_up(origin: Path, *, port: int, branch: str) -> str:
    url = server_url(origin)
    if url is None:
        url = _start_server(origin, port)
    check_door(url, credential(origin))
    os.environ.update(prefect_environment(origin, url))
    from flows.deploying import (
        deploy_all,
        wait_for_worker,
    )  # Prefect reads the environment when it is imported

    deploy_all(origin, POOL, branch=branch)
    worker = prefect_home(origin) / "worker.json"
    if recorded_pid(worker) is None:
        _start(
            ["worker", "start", "--pool", POOL, "--name", POOL, "--type", "process"],
            origin,
            url,
            "worker",
        )
        wait_for_worker(POOL, timeout_s=START_S)
    return (
        f"Prefect is up at {url}\n"
        f"  log in:   once per browser, with the line in {credential_file(origin)}; keep it secret\n"
        f"  run now:  {url}/deployments, `retrain`, Run; or `perennial run` here\n"
        f"  branch:   {branch}, whatever is checked out; to change it: `perennial up --branch NAME`\n"
        "            deployed runs use its commits; `perennial run` also includes uncommitted edits here\n"
        "  nightly:  02:00 UTC; to switch it off, use the UI or edit prefect.yaml\n"
        "  stop:     perennial down"
    )


def branch_to_deploy(origin: Path, branch: str) -> str:
    """Return the branch, tag or commit asked for, else the branch checked out. Raises UsageError if there is none."""
    named = branch or checked_out(origin)
    if named is None:
        remedy = "name a branch that `git branch -a` lists: `perennial up --branch NAME`"
        raise UsageError(
            "no branch is checked out", file=origin, value="detached HEAD", remedy=remedy
        )
    if commit_of(origin, named) is None:
        remedy = (
            "name a branch that `git branch -a` lists"
            if branch
            else "run `git add -A && git commit -m start` there"
        )
        raise UsageError("no commit to run from", file=origin, value=named, remedy=remedy)
    return named


def take_down(origin: Path) -> list[str]:
    """Stop the worker's runs, the worker and the server, in this order; return the names of those that were running."""
    stopped = []
    worker = recorded_pid(prefect_home(origin) / "worker.json")
    for pid in descendants(worker) if worker else []:
        if _leads_a_group(pid):
            kill_group(pid, grace_s=RUN_GRACE_S)
            stopped.append(f"run {pid}")
    for name in ("worker", "server"):
        record = prefect_home(origin) / f"{name}.json"
        process = recorded_pid(record)
        if process is not None:
            kill_group(process, grace_s=RUN_GRACE_S)
            stopped.append(name)
        record.unlink(missing_ok=True)
    return stopped


def _start_server(origin: Path, port: int) -> str:
    """Start the server, wait until it answers, and return its address."""
    log = make_prefect_home(origin) / "server.log"
    with listen(port) as listener:
        url = url_of(listener)
        process = start_server(origin, listener, log=log)
    put_on_record(process.pid, server_record(origin))
    (prefect_home(origin) / "address.json").write_text(json.dumps({"port": port}), encoding="utf-8")
    remedy = "run `perennial down`, then `perennial up`"
    wait_until_healthy(url, process, log=log, timeout_s=START_S, remedy=remedy)
    return url


def _start(arguments: list[str], origin: Path, url: str, name: str) -> None:
    """Start `prefect ...` as a process that outlives this one and writes to <name>.log."""
    home = prefect_home(origin)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    environment = {**os.environ, **prefect_environment(origin, url), "PATH": path}
    with (home / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", *arguments],
            cwd=origin,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    put_on_record(process.pid, home / f"{name}.json")


def _leads_a_group(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False
