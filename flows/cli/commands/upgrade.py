"""`perennial upgrade`: after `git pull`, take over the results of the release before."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline_lib.upgrade.dvc_lock import UpgradeStep

HELP = "after `git pull`: keep the results that the new code would make again byte for byte"
EPILOG = (
    "Rewrites dvc.lock, and that of the branch perennial/line, for the stages whose bytes upgrade/releases.toml "
    "declares the same since the release they ran with. Data, weights and registry stay as they are. "
    "docs/upgrading.md says more."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `perennial upgrade`."""
    parser.add_argument(
        "--leave",
        action="append",
        default=[],
        metavar="STAGE",
        help="leave this stage as it is, to be run again (may be given several times)",
    )


def run(options: argparse.Namespace) -> int:
    """Upgrade both dvc.lock, or neither, and say what will run again.

    Raises BadData where code of no known release ran, or is checked out; UsageError where nothing ran yet, and for a
    stage to leave that is none; Interrupted while a run holds the line.
    """
    from flows.cli.project import find_project
    from pipeline_lib.errors import Interrupted, UsageError
    from pipeline_lib.harness.line import LINE
    from pipeline_lib.settings import load_settings
    from pipeline_lib.upgrade.releases import KEPT_STAGES
    from tasks.line_lock import LineTaken, holding_the_line
    from tasks.line_upgrade import LOCK

    if unknown := sorted(set(options.leave) - set(KEPT_STAGES)):
        remedy = f"name one of {', '.join(KEPT_STAGES)}"
        raise UsageError(
            "no stage that keeps results", file="--leave", value=", ".join(unknown), remedy=remedy
        )
    origin = find_project(Path.cwd())
    state = load_settings(origin).state_folder(origin)
    try:
        with holding_the_line(state, "upgrade", waits=False, on_wait=lambda holder: None):
            steps = _upgrade(origin, options.leave)
    except LineTaken as taken:
        remedy = "wait until it ends; `perennial status` shows it"
        raise Interrupted(
            "a run is at work", file=LINE, value=taken.holder, remedy=remedy
        ) from None
    if not steps:
        remedy = "run `dvc repro` or `perennial run`"
        raise UsageError(
            "nothing ran here yet, so there is nothing to upgrade",
            file=origin / LOCK,
            remedy=remedy,
        )
    for place, those in steps.items():
        print(_told(place, those))
    print("now run `dvc repro`, or wait for the night")
    return 0


def _upgrade(origin: Path, leave: list[str]) -> dict[str, list[UpgradeStep]]:
    """Upgrade the dvc.lock of the checkout, that of the line, and DVC's run-cache; returns the steps of the former."""
    from pipeline_lib.files.atomic import write_text
    from pipeline_lib.harness.line import LINE
    from pipeline_lib.registry.dvc_cache import dvc_cache
    from pipeline_lib.settings import load_settings
    from pipeline_lib.upgrade.dvc_lock import carry_over, read_today, upgrade_lock
    from tasks.line_upgrade import LOCK, changed, commit_lock, dvc_lock_of_line
    from tasks.run_cache import upgrade_run_cache

    settings = load_settings(origin)
    today, cache = read_today(origin, settings.state_folder(origin)), dvc_cache(origin, settings)
    steps: dict[str, list[UpgradeStep]] = {}

    def upgraded(place: str, text: str) -> str:
        def change(content: object) -> None:
            steps[place] = upgrade_lock(content, today, cache, leave=leave)

        return changed(text, change)

    # All is worked out before anything is written: a refusal leaves everything as it was.
    file, line = origin / LOCK, dvc_lock_of_line(origin)
    here = upgraded(LOCK, file.read_text(encoding="utf-8")) if file.exists() else None
    nightly = upgraded(LINE, line[1]) if line else None
    if line and nightly and nightly != line[1]:
        commit_lock(origin, line[0], nightly)
    if here:
        write_text(file, here)
    upgrade_run_cache(cache.folders, lambda stage, entry: carry_over(stage, entry, today, cache))
    return steps


def _told(place: str, steps: list[UpgradeStep]) -> str:
    """What becomes of each stage of one dvc.lock, in lines."""
    from pipeline_lib.upgrade.releases import NEXT

    width = max((len(step.stage) for step in steps), default=0)
    lines = [f"{place}:"]
    for step in steps:
        since = "its code is today's" if step.since == NEXT else f"as of {step.since}"
        fate = f"runs again: {step.stale}" if step.stale else f"kept, {since}"
        lines.append(f"  {step.stage:<{width}}  {fate}")
    return "\n".join(lines)
