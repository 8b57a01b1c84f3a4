"""What is new in the sources since the last run, by source and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline_lib.discover.listing import Listed
from pipeline_lib.errors import BadData
from pipeline_lib.sources.names import refusal
from pipeline_lib.sources.reading import NameReading, left_out, read_names
from pipeline_lib.sources.source import Source
from pipeline_lib.tables.listing import LISTING

NAMED = 8  # classes in a sentence
IMAGES = ("image", "archive")
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
    both = _compared(before, now, source.name)
    images = both[both["kind"].isin(IMAGES)]
    class_of = _classes(source, images)

    def by_class(rows: pd.DataFrame) -> dict[str, int]:
        pairs = zip(rows["key"].tolist(), rows["kind"].tolist(), strict=True)
        counts = Counter(class_of(key, kind) for key, kind in pairs)
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    stayed = images[images["where"] == "both"]
    is_first = len(stayed) == 0 and not (images["where"] == "left_only").any()
    tables = both[~both["kind"].isin(IMAGES) & ((both["where"] != "both") | both["differs"])]
    return News(
        source=source.name,
        n_objects=int((images["where"] != "left_only").sum()),
        is_first=is_first,
        added=by_class(images[images["where"] == "right_only"]),
        replaced=by_class(stayed[stayed["differs"]]),
        withdrawn=by_class(images[images["where"] == "left_only"]),
        touched=by_class(stayed[stayed["key"].isin(list(touched))]),
        tables=() if is_first else tuple(sorted(set(tables["kind"]))),
    )


def _compared(before: pd.DataFrame | None, now: pd.DataFrame, source: str) -> pd.DataFrame:
    """The objects of both listings: key, kind, where (left_only: before, right_only: now, both), differs.

    What only one listing tells says nothing: an earlier release knew no checksums.
    """
    old = LISTING.empty() if before is None else before
    sides = [
        listing[listing["source"] == source].assign(
            role=lambda rows: rows["kind"].where(~rows["kind"].isin(IMAGES), IMAGES[0])
        )
        for listing in (old, now)
    ]
    both = sides[0].merge(
        sides[1], on=["role", "key"], how="outer", suffixes=("_old", ""), indicator="where"
    )
    differs = both["fault_old"].isna() != both["fault"].isna()
    for name in ("kind", "size_bytes", "etag", "checksum", "fault"):
        differs |= (both[f"{name}_old"] != both[name]).fillna(False)
    kind = both["kind"].fillna(both["kind_old"])
    return pd.DataFrame(
        {
            "key": both["key"],
            "kind": kind,
            "where": both["where"].astype(str),
            "differs": differs.astype(bool),
        }
    )


def _classes(source: Source, images: pd.DataFrame) -> Callable[[str, str], str]:
    loose = images.loc[images["kind"] == "image", "key"].tolist()
    names = [key for key in loose if refusal(key) is None]
    excluded = left_out(names, source)
    reading = _reading([name for name in names if name not in excluded], source)

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
