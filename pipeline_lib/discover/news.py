"""What is new in the sources since the last run, by source and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pipeline_lib.discover.listing import Listed
from pipeline_lib.errors import BadData
from pipeline_lib.sources.names import refusal
from pipeline_lib.sources.reading import NameReading, left_out, read_names
from pipeline_lib.sources.source import Source
from pipeline_lib.tables.listing import LISTING

NAMED = 8  # classes in a sentence
BATCH_ROWS = 50_000
IMAGES = ("image", "archive")
TOLD = ("kind", "key", "size_bytes", "etag", "checksum", "fault")  # of an object by a listing
UNDECIDED, EXCLUDED = "(classes are read in download)", "(left out by a pattern)"
ARCHIVE, NO_IMAGE, NO_CLASS = "(archives)", "(no image by its name)", "(no class folder)"
BY_LABELS = "(classes by the labels file)"


@dataclass(frozen=True)
class News:
    """What changed in one source; the counts are by class. n_objects: images and archives now.

    is_first: no earlier listing is known, and all of it counts as added. touched: local files with new dates or another
    inode and the same bytes, which move nothing. tables: kinds of tables (labels, votes, subjects) that changed.
    """

    source: str
    n_objects: int
    is_first: bool
    added: Mapping[str, int]
    replaced: Mapping[str, int]
    withdrawn: Mapping[str, int]
    touched: Mapping[str, int]
    tables: tuple[str, ...]

    @property
    def is_none(self) -> bool:
        """Whether the next run has nothing to fetch from this source."""
        return not (self.added or self.replaced or self.withdrawn or self.tables)


def news_of(sources: Sequence[Source], before: pd.DataFrame | None, listed: Listed) -> list[News]:
    """Compare the listing with an earlier one (None: there is none). An archive is one object."""
    return [
        _of_source(source, before, listed.frame, listed.touched.get(source.name, frozenset()))
        for source in sources
    ]


def _of_source(
    source: Source, before: pd.DataFrame | None, now: pd.DataFrame, touched: Collection[str]
) -> News:
    old = _rows(LISTING.empty() if before is None else before, source.name)
    new = _rows(now, source.name)
    both = _compared_in_parts(old, new)
    images = both[both["kind"].isin(IMAGES)]
    stays = images["was"] & images["is_now"]
    added = images[~images["was"]]
    replaced = images[stays & images["differs"]]
    withdrawn = images[~images["is_now"]]
    now_images = new["kind"].isin(IMAGES)
    only_touched = set(touched).difference(added["key"]) if touched else set()
    stayed = new[now_images & new["key"].isin(list(only_touched))]

    counted = [added, replaced, withdrawn, stayed]
    class_of = _classes(source, new["key"][new["kind"] == "image"], counted)
    by_class = [_counts(rows, class_of) for rows in counted]
    tables = both[~both["kind"].isin(IMAGES) & both["differs"]]
    is_first = not old["kind"].isin(IMAGES).any()
    return News(
        source=source.name,
        n_objects=int(now_images.sum()),
        is_first=is_first,
        added=by_class[0],
        replaced=by_class[1],
        withdrawn=by_class[2],
        touched=by_class[3],
        tables=() if is_first else tuple(sorted(set(tables["kind"]))),
    )


def _rows(listing: pd.DataFrame, source: str) -> pd.DataFrame:
    return listing.loc[listing["source"] == source, list(TOLD)]


def _compared_in_parts(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """As `_compared`, but for the objects of which both listings tell the same."""
    if old.empty:
        return _compared(old, new)
    is_kept_old, is_kept_new = _told_alike(old, new)
    pairs = _by_keys(old[~is_kept_old], new[~is_kept_new])
    return pd.concat([_compared(*pair) for pair in pairs], ignore_index=True)


def _told_alike(old: pd.DataFrame, new: pd.DataFrame) -> tuple[Any, Any]:
    """Which rows of each listing the other has too, by hashes of 64 bits: there may be millions, and few differ."""
    if old.reset_index(drop=True).equals(new.reset_index(drop=True)):
        return np.full(len(old), True), np.full(len(new), True)
    hashes = [_row_hashes(rows) for rows in (old, new)]
    return np.isin(hashes[0], hashes[1]), np.isin(hashes[1], hashes[0])


def _by_keys(old: pd.DataFrame, new: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Deal the rows of both listings out by their keys: to join millions at once takes several times their memory."""
    n_parts = 1 + max(len(old), len(new)) // BATCH_ROWS
    parts = [_row_hashes(rows[["key"]]) % np.uint64(n_parts) for rows in (old, new)]
    return ((old[parts[0] == part], new[parts[1] == part]) for part in range(n_parts))


def _row_hashes(rows: pd.DataFrame) -> Any:
    hashes = [
        pd.util.hash_pandas_object(batch.astype(object), index=False, categorize=False).to_numpy()
        for batch in _batches(rows)
    ]
    return np.concatenate([np.empty(0, dtype=np.uint64), *hashes])


def _batches(rows: Any) -> Iterator[Any]:
    """Cut rows: an object of Python takes several times the memory of a cell."""
    return (rows.iloc[start : start + BATCH_ROWS] for start in range(0, len(rows), BATCH_ROWS))


def _compared(old: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """The objects of both listings: key, kind, was (before), is_now, differs (also where only one listing has it).

    What only one listing tells of an object says nothing: an earlier release knew no checksums.
    """
    if old.empty:
        return new[["key", "kind"]].assign(was=False, is_now=True, differs=True)
    sides = [
        rows.assign(role=rows["kind"].where(~rows["kind"].isin(IMAGES), IMAGES[0]))
        for rows in (old, new)
    ]
    both = sides[0].merge(
        sides[1], on=["role", "key"], how="outer", suffixes=("_old", ""), indicator="where"
    )
    differs = both["fault_old"].isna() != both["fault"].isna()
    for name in ("kind", "size_bytes", "etag", "checksum", "fault"):
        differs |= (both[f"{name}_old"] != both[name]).fillna(False)
    was, is_now = both["where"] != "right_only", both["where"] != "left_only"
    return pd.DataFrame(
        {
            "key": both["key"],
            "kind": both["kind"].fillna(both["kind_old"]),
            "was": was,
            "is_now": is_now,
            "differs": differs.astype(bool) | (was != is_now),
        }
    )


def _counts(rows: pd.DataFrame, class_of: Callable[[str, str], str]) -> dict[str, int]:
    """How many there are of each class, the most first."""
    counts: Counter[str] = Counter()
    for batch in _batches(rows):
        pairs = zip(batch["key"].tolist(), batch["kind"].tolist(), strict=True)
        counts.update(class_of(key, kind) for key, kind in pairs)
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _classes(
    source: Source, loose: pd.Series[str], counted: Sequence[pd.DataFrame]
) -> Callable[[str, str], str]:
    """How the classes of the counted objects are read. loose: the keys of all that is no archive, which tell the layout.

    Layouts follow from folders, so one name of each folder stands for all; patterns read the counted names themselves.
    """
    by_pattern = source.class_from is not None or source.split_from is not None
    names: dict[str, None] = {}
    excluded: set[str] = set()
    folders: set[str] = set()
    for keys, is_counted in [(loose, False), *((rows["key"], True) for rows in counted)]:
        for batch in _batches(keys):
            some = [key for key in batch.tolist() if refusal(key) is None]
            out = left_out(some, source)
            for key in some:
                folder = key.rpartition("/")[0]
                if key in out:
                    excluded |= {key} if is_counted else set()
                elif folder not in folders or (by_pattern and is_counted):
                    folders.add(folder)
                    names[key] = None
    reading = _reading(list(names), source)

    def class_of(key: str, kind: str) -> str:
        if kind == "archive":
            return ARCHIVE
        if refusal(key):
            return NO_IMAGE
        if key in excluded:
            return EXCLUDED
        if source.labels:
            return BY_LABELS
        return UNDECIDED if reading is None else reading.label(key) or NO_CLASS

    return class_of


def _reading(names: Sequence[str], source: Source) -> NameReading | None:
    """How classes are read from names; None where loose files alone do not tell: `download` knows archives' members too."""
    try:
        return read_names(names, source, source=source.name)
    except BadData:
        return None


def sentences(news: Iterable[News]) -> list[str]:
    """One sentence per source."""
    return [_sentence(one) for one in news]


def _sentence(news: News) -> str:
    if news.is_first:
        return f"source {news.source}: {_told('objects, all new', news.added)}"
    parts = [
        _told(what, counts)
        for what, counts in (
            ("added", news.added),
            ("replaced", news.replaced),
            ("withdrawn", news.withdrawn),
            ("only touched", news.touched),
        )
        if counts
    ]
    parts += [f"another file of {kind}" for kind in news.tables]
    if news.is_none:
        parts = [f"nothing new in {news.n_objects} objects", *parts]
    return f"source {news.source}: {'; '.join(parts)}"


def _told(what: str, counts: Mapping[str, int]) -> str:
    shown = ", ".join(f"{name} {count}" for name, count in list(counts.items())[:NAMED])
    rest = f" and {len(counts) - NAMED} more classes" if len(counts) > NAMED else ""
    return f"{sum(counts.values())} {what} ({shown}{rest})"
