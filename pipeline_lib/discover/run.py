"""List the sources and the line's own code. Always runs; later stages run only if one of these changed."""

from __future__ import annotations

import filecmp
import hashlib
import logging
import time
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import distributions
from pathlib import Path

import pyarrow as pa

from pipeline_lib.code_fingerprints import write_fingerprints
from pipeline_lib.discover.class_maps import with_class_maps
from pipeline_lib.discover.kept_listing import kept_listing_file
from pipeline_lib.discover.listing import list_sources
from pipeline_lib.discover.news import news_of, sentences
from pipeline_lib.discover.objects_before import holdings_of, last_listing
from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.files.atomic import atomic_file, write_text
from pipeline_lib.harness.stage import StageRun
from pipeline_lib.sources.source import sources_as_json
from pipeline_lib.sources.withdrawn import LastRun, Records, refuse_withdrawn
from pipeline_lib.tables.listing import LISTING

log = logging.getLogger(__name__)


def run(job: StageRun[DiscoverParams]) -> None:
    """params.yaml -> listing.parquet, sources.json, and for each later stage the fingerprint of its code.

    Raises ConfigError for a mistake in any section, what `train` would raise at what it names and cannot have, and
    DataCheckFailed when too much is gone since a person last decided on it.
    """
    state_folder = job.settings.state_folder(job.checkout)
    checked = _Checked.of(job, state_folder / "checked.txt")
    if not checked.is_known:
        _check_the_whole_line(job)
    write_fingerprints(job.writes, state_folder)
    params = job.params
    described = sources_as_json(params.sources)
    kept = kept_listing_file(job.settings.state_folder(job.checkout), described)
    if _is_fresh(kept, params):
        age_h = (time.time() - kept.stat().st_mtime) / 3600
        log.info(
            "refresh: %s: the sources were not listed again; the listing of %.1f h ago is used",
            params.refresh,
            age_h,
        )
        _copy(kept, job.writes["listing"])
    else:
        listed = list_sources(params.sources, job.settings, root=job.settings.origin(job.checkout))
        frame = listed.frame
        records = Records(job.settings.state_folder(job.checkout) / "held" / "objects")
        last = LastRun.of("discover", job.checkout, job.settings)
        before = None if last is None else last_listing(last, job.writes["listing"])
        for sentence in sentences(news_of(params.sources, before, listed)):
            log.info("%s", sentence)
        del before  # of millions of keys
        pa.default_memory_pool().release_unused()
        holdings = holdings_of(params.sources, frame, records, last, job.writes["listing"])
        accepted = refuse_withdrawn(holdings, params)
        LISTING.write(frame, job.writes["listing"])
        records.keep(holdings, accepted)
        log.info(
            "%d objects, %d bytes in %d sources",
            len(frame),
            frame["size_bytes"].sum(),
            len(params.sources),
        )
        if checked.is_known and not _are_alike(job.writes["listing"], kept):
            _check_the_whole_line(
                job
            )  # now something will run: what it needs may have gone meanwhile
        _copy(job.writes["listing"], kept)
    checked.keep()
    mapped = with_class_maps(params.sources, job.settings, root=job.settings.origin(job.checkout))
    write_text(job.writes["sources"], sources_as_json(mapped))


@dataclass(frozen=True)
class _Checked:
    """Whether the whole line was checked with these parameters and libraries: on a night without news nothing runs, and
    torch alone takes seconds to import. What runs again after a failure finds the stages before it done.
    """

    note: Path
    identity: str

    @classmethod
    def of(cls, job: StageRun[DiscoverParams], note: Path) -> _Checked:
        params = (job.checkout / "params.yaml").read_bytes()
        libraries = sorted(f"{one.name} {one.version}" for one in distributions())
        facts = "\n".join([job.settings.device, *libraries]).encode()
        return cls(note, hashlib.sha256(params + facts).hexdigest())

    @property
    def is_known(self) -> bool:
        return self.note.exists() and self.note.read_text(encoding="ascii") == self.identity

    def keep(self) -> None:
        write_text(self.note, self.identity)


def _are_alike(one: Path, other: Path) -> bool:
    return other.exists() and filecmp.cmp(one, other, shallow=False)


def _check_the_whole_line(job: StageRun[DiscoverParams]) -> None:
    """Fail now, not after hours of preparing data. Imports by name: other stages' code is no dependency of this one."""
    everything = import_module("pipeline_lib.params").load_params(job.checkout / "params.yaml")
    training = StageRun(job.checkout, {}, {}, everything.train, job.settings)
    import_module("pipeline_lib.train.preflight").look_ahead(training)
    origin = job.settings.origin(job.checkout)
    import_module("pipeline_lib.inspect.embedding").look_ahead(everything.inspect, origin)


def _is_fresh(kept: Path, params: DiscoverParams) -> bool:
    """Whether the last listing of these sources is recent enough to be used again."""
    if params.refresh == "always":
        return False
    if not kept.exists():
        log.info(
            "refresh: %s: there is no earlier listing of these sources, so they are listed now",
            params.refresh,
        )
        return False
    return params.refresh == "never" or time.time() - kept.stat().st_mtime < params.refresh * 3600


def _copy(source: Path, target: Path) -> None:
    """A real copy: DVC makes its own files read-only, links included."""
    with atomic_file(target) as file:
        file.write(source.read_bytes())
