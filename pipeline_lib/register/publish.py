"""Report and model card of an attempt, in the state folder: rendered once per content; `latest` points to them."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path

from pipeline_lib.files.atomic import atomic_folder
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.register.attempt import libraries
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Attempt, Registry, Version, records
from pipeline_lib.registry.closure import Closure

log = logging.getLogger(__name__)
REPORT, CARD, SHOWN = "report.html", "model-card.md", "shown.txt"
REPORT_VERSION = 6  # raised when the report shows the same artifacts otherwise


def publish(
    attempt: Attempt,
    version: Version | None,
    *,
    job: StageRun[RegisterParams],
    closure: Closure,
    registry: Registry,
) -> Path:
    """Write the report unless it already shows these artifacts and this verdict, and point `latest` to it."""
    folder = report_path(registry.state_folder, attempt.tags[records.KEY]).parent
    previous = previous_profile(registry, version)
    shown = _shown(attempt, version, closure, previous)
    if not (folder / SHOWN).exists() or (folder / SHOWN).read_text(encoding="utf-8") != shown:
        _write(folder, attempt, version, job=job, closure=closure, previous=previous, shown=shown)
    _point(folder.parent / "latest", folder.name)
    return folder / REPORT


def previous_profile(registry: Registry, version: Version | None) -> tuple[int, Path] | None:
    """The newest version before this one (None: before the next) whose profile the cache still holds: number, file."""
    earlier = [one for one in registry.versions() if version is None or one.number < version.number]
    for one in reversed(earlier):
        md5s = {Path(path).stem: md5 for path, md5 in one.closure.stages["curate"].outs.items()}
        profile = registry.cache.find(md5s["profile"]) if "profile" in md5s else None
        if profile:
            return one.number, profile
    return None


def report_path(state_folder: Path, key: str) -> Path:
    """Where the report of a registration key lies."""
    return state_folder / "reports" / key[:12] / REPORT


def _write(
    folder: Path,
    attempt: Attempt,
    version: Version | None,
    *,
    job: StageRun[RegisterParams],
    closure: Closure,
    previous: tuple[int, Path] | None,
    shown: str,
) -> None:
    # Here and not above: pandas, Pillow and jinja cost 2 s that a run with nothing new need not pay.
    from pipeline_lib.lineage import Lineage, lineage_of_version
    from pipeline_lib.lineage.receipts import steps_to_weights, without_local_folders
    from pipeline_lib.report import Previous, Run, gather, render_card, render_report

    tags = attempt.tags
    dirty = tags.get(records.DIRTY) == "true"
    trained_on = tags.get(records.TRAINED_ON, "")
    steps = steps_to_weights(
        closure, commit=tags.get(records.COMMIT, ""), dirty=dirty, trained_on=trained_on
    )
    lineage = (
        lineage_of_version(version, "") if version else Lineage("", job.settings.model_name, steps)
    )
    lineage = replace(lineage, steps=without_local_folders(lineage.steps))
    number = version.number if version else None
    before = Previous(*previous) if previous else None
    judged = tags.get(records.REGISTERED_AT, "")
    run = Run(
        job.settings.model_name,
        number,
        tags[records.KEY],
        attempt.verdict,
        lineage,
        libraries(),
        before,
        judged,
    )
    content = gather(run, job.reads)
    with atomic_folder(folder) as partial:
        (partial / REPORT).write_text(render_report(content), encoding="utf-8")
        (partial / CARD).write_text(render_card(content), encoding="utf-8")
        (partial / SHOWN).write_text(shown, encoding="utf-8")


def _shown(
    attempt: Attempt, version: Version | None, closure: Closure, previous: tuple[int, Path] | None
) -> str:
    """A digest of all that the report is made from."""
    outs = [sorted(receipt.outs.items()) for receipt in closure.stages.values()]
    parts = [
        REPORT_VERSION,
        attempt.tags[records.VERDICT],
        version.number if version else None,
        outs,
    ]
    parts.append(previous[0] if previous else None)
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _point(link: Path, target: str) -> None:
    """Make `link` a symlink to a sibling, by rename, so that a reader finds the old or the new one."""
    if link.is_symlink() and link.readlink().name == target:
        return
    fresh = link.with_name(f"{link.name}.partial")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
