"""The tables of a source: what arrived, and what the files of labels, votes and subjects that it names say of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from pipeline_lib.download.annotations import read_subjects, read_votes, subjects_of_source
from pipeline_lib.download.label_files import label_files
from pipeline_lib.download.plan import DownloadPlan, Unit, objects_of
from pipeline_lib.download.stored import StoredUnit
from pipeline_lib.download.tables import extras_frame, members_of_source, votes_frame, with_labels
from pipeline_lib.labels.formats import read_labels
from pipeline_lib.labels.match import ReceivedLabels, report_labels
from pipeline_lib.settings import Settings
from pipeline_lib.shards.cut import ShardSizes
from pipeline_lib.sources.doubt import doubt_of_source
from pipeline_lib.sources.objects import Place
from pipeline_lib.sources.places import table_place
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.warned import warn_once
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES


@dataclass(frozen=True)
class Origin:
    """Where the files of the sources are read, as they were listed. places: by source. root: of relative paths."""

    listing: pd.DataFrame
    places: Mapping[str, Place]
    settings: Settings
    root: Path

    def table(self, source: Source, kind: str, uri: str) -> bytes:
        """The bytes of a source's table as it was listed: else DVC would know another one by the listing of this one."""
        [listed] = objects_of(self.listing, source, kind)
        return table_place(uri, self.settings, root=self.root).read(listed)


@dataclass(frozen=True)
class SourceTables:
    """Rows as MEMBERS, VOTES and EXTRAS have them."""

    members: pd.DataFrame
    votes: pd.DataFrame
    extras: pd.DataFrame


def tables_of(
    source: Source,
    plan: DownloadPlan,
    stored: Mapping[Unit, StoredUnit],
    origin: Origin,
    limits: ShardSizes,
) -> SourceTables:
    """The tables of one source. Raises BadData when it has no image, or its files do not fit its images."""
    arrived = [stored[unit] for unit in plan.units]
    members = members_of_source(source, plan, arrived, limits)
    names = members["image_id"].str.removeprefix(f"{source.name}/")
    taken = frozenset(names[members["refusal"].isna()])
    _warn_of_doubt(source, plan, taken, origin)

    labels = _labels(source, plan, arrived, taken, origin)
    extras = EXTRAS.empty()
    if labels is not None:
        members = with_labels(members, source, labels)
        extras = extras_frame(source, labels)

    subjects = _subjects(source, frozenset(names), taken, labels, origin)
    if subjects:
        members["subject"] = names.map(subjects)

    votes = VOTES.empty()
    if source.votes:
        data = origin.table(source, "votes", source.votes)
        votes = votes_frame(source, read_votes(data, file=source.votes, members=frozenset(names)))
    return SourceTables(members, votes, extras)


def joined(tables: Iterable[SourceTables]) -> SourceTables:
    """The tables of all sources as one."""
    every = [SourceTables(MEMBERS.empty(), VOTES.empty(), EXTRAS.empty()), *tables]
    return SourceTables(
        pd.concat([one.members for one in every], ignore_index=True),
        pd.concat([one.votes for one in every], ignore_index=True),
        pd.concat([one.extras for one in every], ignore_index=True),
    )


def _warn_of_doubt(
    source: Source, plan: DownloadPlan, taken: frozenset[str], origin: Origin
) -> None:
    """Say once how the folders inside archives could be read too; `discover` said it of loose files."""
    archives = [unit.objects[0].key for unit in plan.units if unit.kind == "archive"]
    if archives:
        doubt = doubt_of_source(source, sorted(taken), archives)
        warn_once(doubt, origin.root / origin.settings.state_dir / "doubts", stage="download")


def _labels(
    source: Source,
    plan: DownloadPlan,
    arrived: Sequence[StoredUnit],
    taken: frozenset[str],
    origin: Origin,
) -> ReceivedLabels | None:
    """What the files of labels say; None where folders name the classes."""
    stated = source.labels_stated
    if stated is None:
        return None
    files = label_files(
        stated,
        plan,
        arrived,
        origin.places[source.name],
        objects_of(origin.listing, source, "labels"),
        origin.settings,
        root=origin.root,
    )
    file = stated.file or source.uri
    labels = read_labels(
        files, stated, file=file, members=taken, subject_column=source.subject_column
    )
    report_labels(labels, file)
    return labels


def _subjects(
    source: Source,
    names: frozenset[str],
    taken: frozenset[str],
    labels: ReceivedLabels | None,
    origin: Origin,
) -> Mapping[str, str]:
    """Member -> the person or object shown: by a file, by the images' names, or by a column of the labels."""
    if source.subjects:
        data = origin.table(source, "subjects", source.subjects)
        return read_subjects(data, file=source.subjects, members=names)
    if source.subject_pattern:
        return subjects_of_source(source.subject_pattern, taken, source=source.name)
    return labels.subject_of if labels is not None else {}
