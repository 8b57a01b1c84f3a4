"""Deployed runs on a real Prefect server with a real worker: what they show, what cancelling and killing leave.

One file, since pytest-xdist gives a file to one process: two servers on one machine wait for each other.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from flows.prefect_home import HOST, credential_file
from pipeline_lib.harness.line import LINE, STAGES
from pipeline_lib.harness.parent_watch import descendants
from pipeline_lib.train.run import run as train_stage
from tasks.git import commit_of, git
from testing.attack import PREFLIGHT, ask, knock, order, serving_a_page
from testing.served import (
    PATIENCE_MS,
    PERENNIAL,
    WAIT_S,
    Served,
    environment,
    processes,
    stage_processes,
    wait_until,
)
from testing.small_line import QUICK, SmallLine
from testing.whole_line import give_whole_line
from tests.service.steps import (
    announced,
    branch_of_its_own_data,
    flow_pid,
    log_in,
    night_that_is_due_now,
    open_form,
    runs,
    wait_for_stage,
)

pytestmark = pytest.mark.service
ENDLESS = f"discover:{4 * WAIT_S}"  # a stage that no test can wait long enough for to end by itself


def test_up_is_safe_to_repeat_and_the_night_is_scheduled(served: Served) -> None:
    again = served.perennial("up", "--port", str(served.port))

    deployments = {one["name"]: one for one in served.ask("deployments/filter", {})}
    automations = [one["name"] for one in served.ask("automations/filter", {})]
    assert f"Prefect is up at http://127.0.0.1:{served.port}" in again.stdout
    assert sorted(deployments) == ["nightly", "retrain", "sweep"]
    assert [one["schedule"]["timezone"] for one in deployments["nightly"]["schedules"]] == ["UTC"]
    assert [one["global_concurrency_limit"] for one in deployments.values()] == [None] * 3
    assert {one["parameters"]["branch"] for one in deployments.values()} == {"main"}
    assert sorted(automations) == ["crash-runs-that-never-start", "crash-zombie-flows"]
    waiting = {
        "deployments": {"name": {"any_": ["nightly"]}},
        "flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}},
    }
    wait_until(lambda: served.ask("flow_runs/filter", waiting))


def test_a_deployed_run_shows_each_stage_its_state_and_artifacts_and_ends_on_the_line(
    served: Served,
) -> None:
    run = served.wait_for_end(served.trigger())

    states = served.task_states(run["id"])
    artifacts = {one["key"] for one in served.ask("artifacts/filter", {})}
    assert run["state_type"] == "COMPLETED", run["state"]
    assert {states.pop(stage) for stage in STAGES} <= {"Ran", "FromCache"}
    assert states == {"prepare": "Completed", "push": "NoRemote"}
    assert {"scores", "data-ledger", "train-progress"} <= artifacts
    tip = commit_of(served.origin, LINE)
    assert tip and tip[:12] in run["state"]["message"]
    assert (
        f"Ran main at commit {git(served.origin, 'rev-parse', 'main')[:12]}."
        in run["state"]["message"]
    )
    assert git(served.origin, "status", "--porcelain") == ""


def test_a_failed_stage_fails_the_run_and_the_command_with_its_one_line(served: Served) -> None:
    wish = served.wish("TOY_FAIL", "discover")

    said = served.perennial("run", check=False)

    wish.unlink()
    (run,) = served.ask("flow_runs/filter", {"flow_runs": {"deployment_id": {"is_null_": True}}})
    line = "images.tar: no image in it (found: 0 members). Remedy: name another archive"
    assert (run["state_type"], run["state"]["message"]) == ("FAILED", line)
    assert served.task_states(run["id"])["discover"] == "Failed"
    assert (said.returncode, said.stderr.splitlines()[-1]) == (
        65,
        f"perennial run: error[bad_data]: {line}",
    )


def test_the_line_has_one_run_at_a_time_a_second_waits_a_night_is_skipped_and_cancelling_leaves_no_process(
    served: Served,
) -> None:
    wish = served.wish("TOY_SLEEP", ENDLESS)
    deaf = served.wish("TOY_STUBBORN", "discover")
    run_id = served.trigger()
    wait_for_stage(served, run_id, "discover")
    holder = served.run_of(run_id)["name"]

    second = served.trigger()
    night = served.wait_for_end(night_that_is_due_now(served))
    wait_until(lambda: served.run_of(second)["state_name"] == "AwaitingLine")
    waits = served.run_of(second)
    status = json.loads(served.perennial("status", "--json").stdout)
    wish.unlink()
    deaf.unlink()
    served.ask(f"flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})
    cancelled, done = served.wait_for_end(run_id), served.wait_for_end(second)

    assert (night["state_type"], night["state_name"]) == ("COMPLETED", "Skipped")
    assert night["state"]["message"].startswith(f"Skipped: run {holder} holds the line;")
    assert served.task_states(night["id"]) == {}
    assert waits["state"]["message"] == f"waiting for the line, which run {holder} holds"
    assert (status["line"], status["waiting"]) == (holder, [waits["name"]])
    assert (cancelled["state_type"], done["state_type"]) == ("CANCELLED", "COMPLETED"), done[
        "state"
    ]
    assert stage_processes(served.origin) == []


def _newest_checkpoint(served: Served) -> float:
    """When training last saved, 0 where it has not."""
    saved = (served.origin / ".perennial/checkpoints").glob("*/checkpoint.pt")
    return max((file.stat().st_mtime for file in saved), default=0.0)


def wait_for_checkpoint(served: Served, run_id: str, *, after: float = 0.0) -> None:
    """Until training has saved; fails as soon as the run has ended without that."""
    wait_until(lambda: _newest_checkpoint(served) > after or served.has_ended(run_id))
    assert _newest_checkpoint(served) > after, served.run_of(run_id)["state"]


def test_a_training_killed_with_its_flow_and_then_cancelled_ends_in_the_bytes_of_an_undisturbed_one(
    served: Served, tmp_path: Path
) -> None:
    params: dict[str, Any] = {**QUICK, "epochs": 20}
    train_stage(SmallLine(served.origin / ".perennial/small_line").train(tmp_path, **params))
    real, slow = (
        served.wish("TOY_REAL", "train"),
        served.wish("TOY_PAUSE", "train:0.5"),
    )  # 140 steps, a minute
    settings = served.origin / "settings.toml"
    settings.write_text("checkpoint_every_s = 0.5\n")
    wanted = {"advanced": {"train": params}}

    killed = served.trigger(wanted)
    wait_for_checkpoint(served, killed)
    os.kill(flow_pid(served, killed), signal.SIGKILL)
    crashed = served.wait_for_end(killed)["state_type"]
    wait_until(lambda: not stage_processes(served.origin))
    saved = _newest_checkpoint(served)
    stopped = served.trigger(wanted)
    wait_for_checkpoint(served, stopped, after=saved)
    served.ask(f"flow_runs/{stopped}/set_state", {"state": {"type": "CANCELLING"}})
    cancelled = served.wait_for_end(stopped)["state_type"]
    wait_until(lambda: not stage_processes(served.origin))
    slow.unlink()
    kept = _newest_checkpoint(served)
    following = served.wait_for_end(served.trigger(wanted))

    real.unlink()
    settings.unlink()
    assert (crashed, cancelled) == ("CRASHED", "CANCELLED")
    assert kept > saved
    assert following["state_type"] == "COMPLETED", following["state"]
    weights = (
        served.origin
        / f".perennial/workspaces/{following['name']}/line/train/weights/model.safetensors"
    )
    assert weights.read_bytes() == (tmp_path / "weights/model.safetensors").read_bytes()
    assert not _newest_checkpoint(served)


def test_a_sweep_evaluates_only_what_validates_best_and_passes_over_what_fails(
    served: Served,
) -> None:
    wish = served.wish("TOY_FAIL", "train:3")
    before = commit_of(served.origin, LINE)

    run = served.wait_for_end(served.trigger({"grid": ["train.epochs=1,2,3"]}, flow="sweep"))

    wish.unlink()
    assert run["state_type"] == "COMPLETED", run["state"]
    (table,) = [one for one in served.ask("artifacts/filter", {}) if one["key"] == "sweep"]
    rows = [
        (row["train.epochs"], row["validation loss"], row[""]) for row in json.loads(table["data"])
    ]
    assert rows[:2] == [(1, 1.0, ""), (2, 0.5, "best")]
    assert rows[2][2].startswith("images.tar: no image in it")
    states = served.task_states(run["id"])
    assert {states["train 1"], states["train 2"]} <= {
        "Ran",
        "FromCache",
    }  # other tests trained so, too
    assert states["train 3"] == "Failed"
    assert {"discover", "evaluate", "register"} < set(states)
    (tag,) = [tag for tag in git(served.origin, "tag").splitlines() if tag.endswith(run["id"][:8])]
    assert tag.endswith(f"-t2-{run['id'][:8]}")
    assert "epochs: 2" in git(served.origin, "show", f"{tag}:params.yaml")
    assert commit_of(served.origin, LINE) == before


def test_the_form_shows_eight_fields_and_folds_the_rest(served: Served, page: Page) -> None:
    open_form(page, served)

    shown = re.findall(r"^(\w+\.\w+) \(Optional\)$", page.inner_text("body"), re.MULTILINE)

    assert len(shown) == 8
    assert "shard_min_bytes" not in page.inner_text("body")


def test_a_run_started_from_the_form_uses_the_override_and_shows_its_tasks(
    served: Served, page: Page
) -> None:
    open_form(page, served)

    before = runs(served)
    page.locator(".p-label").filter(has=page.get_by_text("train.epochs (Optional)")).last.locator(
        "input"
    ).fill("3")
    while (
        runs(served) == before
    ):  # SQLite at its busiest answers 503: a person would press again, too
        with page.expect_response(re.compile("create_flow_run"), timeout=PATIENCE_MS) as answer:
            page.get_by_role("button", name="Submit").click()
        assert answer.value.status in (201, 503)
    (run_id,) = runs(served) - before
    run = served.wait_for_end(run_id)
    page.goto(f"http://127.0.0.1:{served.port}/runs/flow-run/{run_id}?tab=TaskRuns")
    for stage in STAGES:
        expect(page.get_by_text(stage, exact=True).first).to_be_visible(timeout=PATIENCE_MS)

    assert {
        key: value for key, value in run["parameters"]["change"].items() if value is not None
    } == {"train_epochs": 3}
    assert run["state_type"] == "COMPLETED", run["state"]
    assert served.task_states(run_id)["train"] == "Ran"


def test_a_deployed_run_with_nothing_new_after_a_rollback_announces_no_promotion_and_says_who_is_champion(
    served: Served,
) -> None:
    """On a branch that is not checked out. The second run outlives a killed stage and redoes what an override asks."""
    branch, before = branch_of_its_own_data(served), commit_of(served.origin, LINE)
    give_whole_line(served.origin, wrong=range(20))
    served.wish("TOY_REAL", "register")
    first = served.wait_for_end(served.trigger({"branch": branch}))
    tip = commit_of(served.origin, LINE)
    give_whole_line(served.origin, model="two")
    served.wish("TOY_KILL", "discover:.dvc/tmp/was-killed")
    wanted = {"branch": branch, "change": {"train_epochs": 2}}
    second = served.wait_for_end(served.trigger(wanted))
    served.perennial("promote", "2", "--reason", "good in the field")
    served.perennial("rollback", "--reason", "it took sevens for ones")

    again = served.wait_for_end(served.trigger(wanted))

    commit = git(served.origin, "rev-parse", branch)[:12]
    assert first["state"]["message"].startswith("Promoted"), first["state"]
    assert f"Ran {branch} at commit {commit}." in first["state"]["message"]
    assert again["state"]["message"].startswith("Nothing new: version 2 was promoted on 2"), again[
        "state"
    ]
    assert "(it took sevens for ones); champion is version 1. Ran" in again["state"]["message"]
    wait_until(lambda: len(announced(served)) >= 3)  # the server stores events in batches
    assert announced(served) == [("promote", 1), ("candidate", 2), ("unchanged", 2)]
    assert (served.origin / f".perennial/workspaces/{second['name']}/.dvc/tmp/was-killed").exists()
    states = served.task_states(second["id"])
    assert [states[stage] for stage in ("inspect", "convert", "train", "evaluate")] == [
        "AlreadyCurrent",
        "AlreadyCurrent",
        "Ran",
        "Ran",
    ]
    assert before != tip == commit_of(served.origin, LINE)
    tag = next(
        tag for tag in git(served.origin, "tag").splitlines() if tag.endswith(second["id"][:8])
    )
    assert "epochs: 2" in git(served.origin, "show", f"{tag}:params.yaml")


def test_who_has_no_credential_makes_the_worker_run_nothing(
    served: Served, page: Page, tmp_path: Path
) -> None:
    url = f"http://{HOST}:{served.port}"
    secret = credential_file(served.origin).read_text().strip()
    made = tmp_path / "made-by-the-attack"

    statuses = order(
        url, f"touch {made}", credential=secret
    )  # by the owner: what an attack would order is possible
    wait_until(made.exists)
    made.unlink()
    refused = knock(url, f"touch {made}")
    rebound = ask(url, "POST", "flows/filter", {}, Host="rebound.example", credential=secret)
    foreign, own = [
        ask(url, "OPTIONS", "flows/", Origin=one, **PREFLIGHT)
        for one in ("https://evil.example", url)
    ]
    events = f"{url.replace('http', 'ws')}/api/events/out"
    spoken: Any = ["prefect"]
    with connect(events, subprotocols=spoken, proxy=None) as socket:
        socket.send(json.dumps({"type": "auth", "token": "perennial:guessed"}))
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=WAIT_S)

    assert statuses == [201, 201, 201]
    assert refused == [401, 401, 400, 401, 400]
    assert rebound.status == 400
    assert (foreign.status, foreign.headers["access-control-allow-origin"]) == (400, None)
    assert (own.status, own.headers["access-control-allow-origin"]) == (200, url)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1008
    with serving_a_page(tmp_path) as elsewhere:
        page.goto(elsewhere)
        from_a_page = "url => fetch(url + '/api/flows/', {method: 'POST', body: '{}'}).catch(error => error.message)"
        assert page.evaluate(from_a_page, url) == "Failed to fetch"
    answer = page.goto(url.replace(HOST, "rebound.example"))
    assert answer is not None
    assert (answer.status, answer.text()) == (400, "Invalid host header")
    assert not made.exists()


def test_the_ui_takes_the_credential_once_and_no_log_or_command_line_holds_it(
    served: Served, page: Page
) -> None:
    secret = credential_file(served.origin).read_text().strip()

    log_in(page, served, "/deployments")
    expect(page.get_by_text("nightly").first).to_be_visible()
    page.reload()
    expect(page.get_by_text("nightly").first).to_be_visible()

    said = (
        served.perennial("up").stdout
        + served.perennial("settings").stdout
        + served.perennial("status").stdout
    )
    state = served.origin / ".perennial"
    logs = [said, *(log.read_text() for log in (state / "prefect").glob("*.log"))]
    commands = [file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.exists()]
    assert str(credential_file(served.origin)) in said
    assert not [log for log in logs if secret.partition(":")[2] in log]
    assert not [command for command in commands if secret.encode() in command]
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (state, state / "prefect", credential_file(served.origin))
    ]
    assert modes == [0o700, 0o700, 0o600]


def test_a_run_that_dies_pending_reads_crashed_and_holds_nothing_up_and_down_ends_a_run_its_stage_worker_and_server(
    served: Served,
) -> None:
    (automation,) = [
        one
        for one in served.ask("automations/filter", {})
        if one["name"] == "crash-runs-that-never-start"
    ]
    kept = {
        key: automation[key] for key in ("name", "description", "enabled", "trigger", "actions")
    }
    soon = {**kept, "trigger": {**kept["trigger"], "within": 10}}  # two minutes are long for a test
    served.ask(f"automations/{automation['id']}", soon, method="PUT")
    worker = int(json.loads((served.origin / ".perennial/prefect/worker.json").read_text())["pid"])
    pending = served.trigger()
    wait_until(
        lambda: served.run_of(pending)["state_type"] == "PENDING" and descendants(worker),
        every_s=0.1,
    )
    for pid in (worker, *descendants(worker)):
        os.kill(pid, signal.SIGKILL)

    crashed = served.wait_for_end(pending)
    served.perennial("up")

    assert crashed["state"]["message"] == "worker and process died before the run began"
    assert served.ask(f"automations/{automation['id']}")["trigger"]["within"] == 120
    assert_down_ends_everything(served)


def assert_down_ends_everything(served: Served) -> None:
    """The next run goes on, and `down` ends it with its stage, the worker and the server."""
    wish = served.wish("TOY_SLEEP", ENDLESS)
    run_id = served.trigger()
    wait_for_stage(served, run_id, "discover")
    pid = flow_pid(served, run_id)

    said = served.perennial("down")

    wish.unlink()
    assert stage_processes(served.origin) == []
    assert not Path(f"/proc/{pid}").exists()
    assert said.stderr.strip().endswith("worker, server")
    assert served.perennial("down").stderr.strip() == "nothing was running"


@pytest.mark.parametrize(
    ("sign", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_run_with_a_server_of_its_own_that_is_stopped_leaves_no_process(
    repository: Served, sign: signal.Signals, code: int
) -> None:
    wish = repository.wish("TOY_SLEEP", ENDLESS)
    run = subprocess.Popen(
        [*PERENNIAL, "run"],
        cwd=repository.origin,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.SIG_DFL
        ),  # where these tests run in the background
    )
    wait_until(lambda: len(stage_processes(repository.origin)) >= 2 or run.poll() is not None)
    servers = processes(repository.origin, b"flows.server_process")
    environments = [Path(f"/proc/{pid}/environ").read_bytes() for pid in servers]
    addresses = [
        re.findall(rb"^PREFECT_API_URL=(.+)/api$", one.replace(b"\0", b"\n"), re.M)
        for one in environments
    ]
    refused = [knock(address.decode()) for found in addresses for address in found]

    os.killpg(run.pid, sign)  # as a terminal does: all of its group

    said, _ = run.communicate(timeout=WAIT_S)
    wish.unlink()
    assert (run.returncode, len(servers)) == (code, 1), said.decode()
    assert refused == [[401, 401, 400, 401, 400]]
    wait_until(lambda: not stage_processes(repository.origin))
    wait_until(lambda: not processes(repository.origin, b"flows.server_process"))
