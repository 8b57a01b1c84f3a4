"""Report and model card of an attempt, in the state folder: rendered once per content; `latest` points to them.

The newest reports are kept, and those of versions with an alias; the images of a report go with it.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline_lib.files.atomic import atomic_folder, remove_tree
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.register.attempt import libraries
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.registry import Attempt, Registry, Version, records
from pipeline_lib.registry.closure import Closure
from pipeline_lib.registry.records import with_number
from pipeline_lib.registry.report_places import KEY_CHARACTERS, REPORT, report_of
from pipeline_lib.settings import Settings
from pipeline_lib.slices.names import GROUPS_FILE

if TYPE_CHECKING:
    from pipeline_lib.report import Before

log = logging.getLogger(__name__)
SHOWN, LATEST = "shown.txt", "latest"
COUNTED_AT_ONCE = (
    20  # comparisons of two nights' images that a run may make anew for the page of all nights
)
REPORT_VERSION = 11  # raised when the report shows the same artifacts otherwise


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
    shown = _shown(attempt, version, closure, previous, job)
    if not (folder / SHOWN).exists() or (folder / SHOWN).read_text(encoding="utf-8") != shown:
        _write(
            folder,
            attempt,
            version,
            job=job,
            registry=registry,
            closure=closure,
            previous=previous,
            shown=shown,
        )
        _write_history(registry, job.settings)
    _point(folder.parent / LATEST, folder.name)
    _remove_old(folder.parent, registry, keep=job.settings.keep_reports)
    return folder / REPORT


def latest_attempt(registry: Registry) -> Attempt | None:
    """The attempt whose report `latest` points to; None where there is none."""
    link = registry.state_folder / "reports" / LATEST
    name = link.readlink().name if link.is_symlink() else ""
    found = [one for one in registry.attempts() if one.tags[records.KEY][:KEY_CHARACTERS] == name]
    return found[-1] if found else None


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
    return state_folder / "reports" / report_of(key)


def _write(
    folder: Path,
    attempt: Attempt,
    version: Version | None,
    *,
    job: StageRun[RegisterParams],
    registry: Registry,
    closure: Closure,
    previous: tuple[int, Path] | None,
    shown: str,
) -> None:
    # Here and not above: pandas, Pillow and jinja cost 2 s that a run with nothing new need not pay.
    from pipeline_lib.lineage import Lineage, lineage_of_version
    from pipeline_lib.lineage.receipts import steps_to_weights, without_local_folders
    from pipeline_lib.report import Previous, Run, gather, write_report
    from pipeline_lib.slices.columns import Wanted

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
        _compared_with(attempt, job, closure=closure, registry=registry),
        _superclasses(job.checkout, closure),
        Wanted(job.params.slices, job.checkout),
    )
    content = gather(run, job.reads)
    with atomic_folder(folder) as partial:
        workers = job.settings.worker_count()
        write_report(content, partial, files=job.reads, reports=folder.parent, workers=workers)
        (partial / SHOWN).write_text(shown, encoding="utf-8")


def _write_history(registry: Registry, settings: Settings) -> None:
    """Bring the page of all nights up to date, which each report leads to."""
    from pipeline_lib.history import gather, write_page

    history = gather(registry, settings, running=[registry.run], most_counted=COUNTED_AT_ONCE)
    write_page(history, registry.state_folder / "reports")


def _compared_with(
    attempt: Attempt, job: StageRun[RegisterParams], *, closure: Closure, registry: Registry
) -> Before | None:
    """What the champion of the verdict says of the test images; None where there was none."""
    from pipeline_lib.register.champion_answers import ask_champion
    from pipeline_lib.report import Before

    comparison = attempt.verdict.comparison
    champion = with_number(registry.versions(), comparison.champion_version) if comparison else None
    if champion is None:
        return None
    asked = ask_champion(champion, job, closure=closure, registry=registry)
    if asked.answers is None:
        return Before(champion.number, None, why_silent=asked.why_silent)
    said = asked.answers.map(dict(asked.today))
    return Before(champion.number, said, frozenset(asked.today.values()))


def _superclasses(checkout: Path, closure: Closure) -> dict[str, tuple[str, ...]]:
    """class id -> names of what lies above it, from the top down, as people's words on classes have it."""
    from pipeline_lib.report.superclasses import read_superclasses

    # Of the files of this name `curate` reads the one that people write, and writes the other.
    words = [path for path in closure.stages["curate"].deps if Path(path).stem == "classes"]
    return read_superclasses(checkout / words[0]) if words else {}


def _remove_old(reports: Path, registry: Registry, *, keep: int) -> None:
    """Remove the oldest reports over `keep`, but none of a version with an alias, and not the latest."""
    in_use = {
        version.tags[records.KEY][:KEY_CHARACTERS]
        for version in registry.versions()
        if version.aliases
    }
    folders = [one for one in reports.iterdir() if one.is_dir() and not one.is_symlink()]
    folders.sort(key=lambda one: (one.stat().st_mtime_ns, one.name))
    latest = (reports / LATEST).readlink().name
    old = [one for one in folders if one.name not in in_use | {latest}]
    for folder in old[: max(0, len(folders) - keep)]:
        remove_tree(folder)


def _shown(
    attempt: Attempt,
    version: Version | None,
    closure: Closure,
    previous: tuple[int, Path] | None,
    job: StageRun[RegisterParams],
) -> str:
    """A digest of all that the report is made from."""
    outs = [sorted(receipt.outs.items()) for receipt in closure.stages.values()]
    outs.append(sorted(closure.stages["curate"].deps.items()))  # people's words on classes
    parts = [
        REPORT_VERSION,
        attempt.tags[records.VERDICT],
        version.number if version else None,
        outs,
    ]
    parts.append(previous[0] if previous else None)
    groups = job.checkout / GROUPS_FILE
    parts += [job.params.slices, groups.read_bytes() if groups.exists() else b""]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _point(link: Path, target: str) -> None:
    """Make `link` a symlink to a sibling, by rename, so that a reader finds the old or the new one."""
    if link.is_symlink() and link.readlink().name == target:
        return
    fresh = link.with_name(f"{link.name}.partial")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(link)
