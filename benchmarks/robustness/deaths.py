"""kill -9 of a run, its worker, both, or the server: what the run reads afterwards, and that the next one goes on.

    python -m benchmarks.robustness.deaths

On a real Prefect server with a real worker and toy stages, and the real `register`. After each kill `perennial up`
starts again what is gone, and a run by hand follows at once. Writes benchmarks/results/deaths.json.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.support.results_file import Row, row, write_results
from pipeline_lib.harness.parent_watch import descendants
from tasks.git import git
from tasks.line_lock import holder_of_line, waiting_for_line
from testing.served import Served, free_port, wait_until
from testing.toy_repository import make_toy_repository
from testing.whole_line import give_whole_line

BOTH = "worker and engine"
KILLS = (
    ("promoted, not announced", BOTH),
    ("pending", BOTH),
    ("in a stage", BOTH),
    ("waiting for the line", BOTH),
    ("between stages", BOTH),
    ("in a stage", "engine"),
    ("in a stage", "server"),
    ("in a stage", "worker"),
    ("promoted, not announced", "engine"),
    ("pending", "engine"),
    ("pending", "worker"),
    ("waiting for the line", "engine"),
    ("between stages", "engine"),
)


@dataclass
class Death:
    """One kill. killed_at: in seconds since 1970. free_s: until the line was free of this run."""

    moment: str
    victim: str
    run: str
    killed_at: float
    free_s: float = 0.0
    next_s: float = 0.0
    next_state: str = ""


class Ground:
    """The repository that is died in."""

    def __init__(self, folder: Path) -> None:
        self.served = Served(make_toy_repository(folder), free_port())
        self.models = 0
        self.state = self.served.origin / ".perennial"
        self.ask_nothing()
        self.up()

    def up(self) -> None:
        """Start what is gone."""
        self.served.perennial("up", "--port", str(self.served.port))

    def ask_nothing(self) -> None:
        """Stages that do not dawdle, and end in the newest model."""
        self.served.forget_wishes()
        give_whole_line(
            self.served.origin,
            wrong=range(max(0, 24 - 8 * self.models)),
            model=f"model {self.models}",
        )
        self.served.wish("TOY_REAL", "register")

    def trigger(self) -> str:
        """A run as the UI starts it; its id."""
        return self.served.trigger()

    def pid(self, name: str) -> int:
        """Of the server or the worker."""
        return int(
            json.loads((self.state / "prefect" / f"{name}.json").read_text(encoding="utf-8"))["pid"]
        )

    def engine(self, run: str) -> int:
        """The process of a run at work or waiting, or the only one of the worker."""
        records = (
            *self.state.glob(f"running/*-{run[:8]}/flow.json"),
            *self.state.glob(f"waiting/*-{run[:8]}.json"),
        )
        if records:
            return int(json.loads(records[0].read_text(encoding="utf-8"))["pid"])
        return descendants(self.pid("worker"))[0]

    def new_model(self) -> None:
        """The next run trains otherwise, and promotes a better model."""
        self.models += 1
        self.ask_nothing()
        params = self.served.origin / "params.yaml"
        text = re.sub(
            "epochs: [a-z0-9]+", f"epochs: {self.models}", params.read_text(encoding="utf-8")
        )
        params.write_text(text, encoding="utf-8")
        git(self.served.origin, "commit", "-q", "-a", "-m", f"epochs {self.models}")

    def reach(self, moment: str) -> tuple[str, str | None]:
        """Bring a run to a moment; its id, and that of the run before it where it waits."""
        before = None
        if moment == "waiting for the line":
            self.served.wish("TOY_SLEEP", "discover:600")
            before = self.trigger()
            wait_until(lambda: (holder_of_line(self.state) or "").endswith(before[:8]))
        elif moment == "in a stage":
            self.served.wish("TOY_SLEEP", "discover:25")
        elif moment == "promoted, not announced":
            self.new_model()
            self.served.wish("TOY_LINGER", "register:600")
        reported, run = self.reports(), self.trigger()
        at_last: dict[str, Callable[[], Any]] = {
            "pending": lambda: (
                self.served.run_of(run)["state_type"] == "PENDING"
                and descendants(self.pid("worker"))
            ),
            "waiting for the line": lambda: (
                any(one.endswith(run[:8]) for one in waiting_for_line(self.state))
                and self.served.run_of(run)["state_name"] == "AwaitingLine"
            ),
            "in a stage": lambda: self.served.task_states(run).get("discover") == "Running",
            "between stages": lambda: (
                self.served.task_states(run).get("discover") in ("Ran", "FromCache")
            ),
            "promoted, not announced": lambda: self.reports() > reported,
        }
        _watch(at_last[moment])
        if moment == "in a stage":
            time.sleep(3)
        return run, before

    def reports(self) -> int:
        """How many models `register` has reported on, which it does when all else is done."""
        return len(list(self.state.glob("reports/*/*.html")))


def _watch(happened: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 480  # a busy machine
    while not happened():
        assert time.monotonic() < deadline, "the moment never came"
        time.sleep(0.1)


def die(ground: Ground, moment: str, victim: str) -> Death:
    """Kill at a moment, and let a run by hand follow."""
    run, before = ground.reach(moment)
    pids = [ground.pid(name) for name in ("worker", "server") if name in victim]
    pids += [ground.engine(run)] if "engine" in victim else []
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    death = Death(moment, victim, run, time.time())
    if before is None and "engine" in victim:
        _watch(lambda: not (holder_of_line(ground.state) or "").endswith(run[:8]))
        death.free_s = time.time() - death.killed_at
    ground.ask_nothing()
    if victim != "engine":
        ground.up()
    if before is not None:
        os.kill(ground.engine(before), signal.SIGKILL)
        wait_until(lambda: not (holder_of_line(ground.state) or "").endswith(before[:8]))
    started = time.monotonic()
    death.next_state = ground.served.wait_for_end(ground.trigger())["state_name"]
    death.next_s = time.monotonic() - started
    print(
        f"{moment}, {victim}: free after {death.free_s:.1f} s, next {death.next_state}", flush=True
    )
    return death


def rows_of(ground: Ground, death: Death) -> list[Row]:
    """What became of a run, once it has come to an end."""
    wait_until(lambda: ground.served.has_ended(death.run), timeout_s=300)
    state = ground.served.run_of(death.run)["state"]
    after_s = max(0.0, datetime.fromisoformat(state["timestamp"]).timestamp() - death.killed_at)
    case = f"{death.moment}: {death.victim} killed"
    rows = [
        row(case, f"until the run reads {state['name']}", "s", [after_s]),
        row(case, "the next run completed", "share", [float(death.next_state == "Completed")]),
        row(case, "until the next run had completed", "s", [death.next_s]),
    ]
    if "engine" in death.victim and death.moment != "waiting for the line":
        rows.append(row(case, "until the line was free", "s", [death.free_s]))
    if death.moment == "promoted, not announced":
        rows.append(
            row(
                case,
                "announcements of the promotion",
                "events",
                [float(_announcements(ground, death.run))],
            )
        )
    return rows


def _announcements(ground: Ground, run: str) -> int:
    wanted = {"filter": {"event": {"name": ["perennial.model.promote"]}}}
    names = [
        event["resource"]["prefect.resource.name"]
        for event in ground.served.ask("events/filter", wanted)["events"]
    ]
    return sum(name.endswith(run[:8]) for name in names)


def main() -> int:
    """Command line; 1 when a next run did not complete, or a promotion was not announced once."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.robustness.deaths", description=__doc__
    ).parse_args()
    deaths: list[Death] = []
    with tempfile.TemporaryDirectory() as temporary:
        ground = Ground(Path(temporary) / "origin")
        try:
            for moment, victim in KILLS:
                deaths.append(die(ground, moment, victim))
                rows = [
                    one
                    for death in deaths
                    if ground.served.has_ended(death.run)
                    for one in rows_of(ground, death)
                ]
                write_results("deaths", rows, also=("prefect",))  # so far: the whole takes a while
            rows = [one for death in deaths for one in rows_of(ground, death)]
        finally:
            ground.served.perennial("down", check=False)
    print(f"wrote {write_results('deaths', rows, also=('prefect',))}")
    once = {"the next run completed", "announcements of the promotion"}
    return 0 if all(one.median == 1 for one in rows if one.metric in once) else 1


if __name__ == "__main__":
    sys.exit(main())
