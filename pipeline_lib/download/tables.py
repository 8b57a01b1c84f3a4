"""Make the rows of members.parquet and votes.parquet from stored units."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from unicodedata import normalize

import pandas as pd

from pipeline_lib.download.annotations import AnnotationLine
from pipeline_lib.download.plan import DownloadPlan, Unit
from pipeline_lib.download.stored import StoredMember, StoredUnit
from pipeline_lib.errors import BadData
from pipeline_lib.labels.match import ReceivedLabels
from pipeline_lib.reasons import Reason
from pipeline_lib.shards.cut import ShardSizes, cut_shards, shard_id
from pipeline_lib.sources.names import respelled
from pipeline_lib.sources.reading import left_out, patterns_without_effect, read_names
from pipeline_lib.sources.source import Source
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Row:
    """A member on its way into the table. image_id is unique: `#2` marks the second member of a name."""

    image_id: str
    member: StoredMember
    refused: Reason | None
    container: str | None


def members_of_source(
    source: Source, plan: DownloadPlan, stored: Sequence[StoredUnit], limits: ShardSizes
) -> pd.DataFrame:
    """The members of one source, as MEMBERS has them but for the subject, which is empty.

    stored: one for each unit of the plan. Raises BadData when the source has no image at all.
    """
    rows: list[Row] = []
    shard_of: dict[str, tuple[str, int]] = {}
    seen: Counter[str] = Counter()
    for unit, arrived in zip(plan.units, stored, strict=True):
        members = _without_excluded(source, arrived.members)
        found = [_row(source, member, arrived.container.name, seen) for member in members]
        rows += found
        shard_of |= _shards(unit, [row for row in found if row.refused is None], limits)
    for one, reason in plan.refused:
        rows.append(
            _row(source, StoredMember(one.key, -1, one.size_bytes, None, reason), None, seen)
        )
    _report_excluded(source, [row.member.name for row in rows])
    if not shard_of:
        counts = ", ".join(
            f"{reason}: {count}"
            for reason, count in sorted(Counter(row.refused for row in rows).items())
        )
        remedy = "name the folder or archive that holds images in discover.sources of params.yaml"
        raise BadData(
            "the source holds no image", file=source.uri, value=counts or "no files", remedy=remedy
        )
    return _frame(source, rows, shard_of)


def _without_excluded(source: Source, members: Sequence[StoredMember]) -> Sequence[StoredMember]:
    """The members of an archive, those refused that the source leaves out. Loose ones were not read at all."""
    excluded = left_out((member.name for member in members), source)
    if not excluded:
        return members
    reason = Reason.EXCLUDED_BY_PATTERN
    return [replace(one, refused=reason) if one.name in excluded else one for one in members]


def _report_excluded(source: Source, names: Sequence[str]) -> None:
    """Log how many files each pattern leaves out, and warn of patterns that fit none."""
    counts = Counter(left_out(names, source).values())
    if counts:
        by_pattern = ", ".join(f"{n} by {pattern}" for pattern, n in sorted(counts.items()))
        log.info("%s: %d files left out: %s", source.name, counts.total(), by_pattern)
    for pattern in patterns_without_effect(names, source):
        log.warning("%s: %s fits no file of the source", source.name, pattern)


def _row(source: Source, member: StoredMember, container: str | None, seen: Counter[str]) -> Row:
    seen[member.name] += 1
    count = seen[member.name]
    suffix = f"#{count}" if count > 1 else ""
    refused = member.refused or (Reason.NAME_COLLISION if count > 1 else None)
    return Row(
        f"{source.name}/{member.name}{suffix}", member, refused, None if refused else container
    )


def _shards(unit: Unit, rows: list[Row], limits: ShardSizes) -> dict[str, tuple[str, int]]:
    """image_id -> (shard, row in it). A pack is one shard; an archive is as many as the cutting rule makes."""
    names, sizes = [row.member.name for row in rows], [row.member.size_bytes for row in rows]
    parts = [range(len(rows))] if unit.kind == "pack" else cut_shards(names, sizes, limits)
    placed: dict[str, tuple[str, int]] = {}
    for part in parts:
        identity = shard_id([(rows[at].image_id, rows[at].member.sha256 or "") for at in part])
        placed |= {rows[at].image_id: (identity, number) for number, at in enumerate(part)}
    return placed


def _frame(source: Source, rows: list[Row], shard_of: dict[str, tuple[str, int]]) -> pd.DataFrame:
    taken = [row.member.name for row in rows if row.refused is None]
    reading = read_names(taken, source, source=source.name)
    texts = {text for name in taken if (text := reading.class_text(name)) is not None}
    for sentence in respelled(texts):
        log.warning("%s: %s", source.name, sentence)
    records = []
    for row in rows:
        shard, number = shard_of.get(row.image_id, (None, None))
        is_taken = row.refused is None
        label = reading.label(row.member.name) if is_taken else None
        split = source.split or (reading.split(row.member.name) if is_taken else None)
        records.append(
            {
                "image_id": row.image_id,
                "source": source.name,
                "shard": shard,
                "row_in_shard": number,
                "container": row.container,
                "offset_bytes": row.member.offset_bytes if is_taken else None,
                "size_bytes": row.member.size_bytes,
                "sha256": row.member.sha256 if is_taken else None,
                "label_received": label,
                "split_received": split if is_taken else None,
                "subject": None,
                "refusal": None if is_taken else str(row.refused),
            }
        )
    columns = [column.name for column in MEMBERS.columns]
    return pd.DataFrame(records, columns=columns).astype(
        {"row_in_shard": "Int32", "offset_bytes": "Int64"}
    )


def with_labels(frame: pd.DataFrame, source: Source, labels: ReceivedLabels) -> pd.DataFrame:
    """Replace the classes of folders by those of files of labels, and the splits too if the files have any.

    An image without a class has no split: that of a published test set without labels would leave no test images.
    """
    names = frame["image_id"].str.removeprefix(f"{source.name}/").where(frame["refusal"].isna())
    label = names.map(labels.class_of).astype(object)
    split = frame["split_received"]
    if source.split is None:
        split = names.map(labels.split_of).astype(object).fillna(split)
    absent = label.isna()
    split = split if source.split else split.mask(absent, None)
    return frame.assign(
        label_received=label.mask(absent, None), split_received=split.where(split.notna(), None)
    )


def extras_frame(source: Source, labels: ReceivedLabels) -> pd.DataFrame:
    """What the labels say beside class and split, as EXTRAS has it."""
    rows = ((f"{source.name}/{member}", text) for member, text in labels.extras_of.items())
    return pd.DataFrame(rows, columns=[column.name for column in EXTRAS.columns], dtype=object)


def votes_frame(source: Source, lines: list[AnnotationLine]) -> pd.DataFrame:
    """The votes of one source, as VOTES has them."""
    rows = [
        (
            f"{source.name}/{line.member}",
            line.cells["annotator"],
            normalize("NFC", line.cells["label"]),
        )
        for line in lines
    ]
    return pd.DataFrame(rows, columns=[column.name for column in VOTES.columns], dtype=object)
