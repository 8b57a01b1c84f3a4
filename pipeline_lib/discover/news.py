"""What is new in the sources since the last run, by source and class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from pipeline_lib.discover.listing import Listed
from pipeline_lib.sources.layout import detect_layout
from pipeline_lib.sources.source import Source

NAMED = 8  # classes in a sentence
ARCHIVE, NO_CLASS = "(archives)", "(no class folder)"
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
    old = {} if before is None else _versions(before, source.name)
    new = _versions(now, source.name)
    images_old, images_new = _images(old), _images(new)
    class_of = _classes(source, images_old | images_new)

    def by_class(keys: Iterable[str]) -> dict[str, int]:
        counts = Counter(class_of(key) for key in keys)
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))

    both = images_old.keys() & images_new.keys()
    return News(
        source=source.name,
        n_objects=len(images_new),
        is_first=not images_old,
        added=by_class(images_new.keys() - images_old.keys()),
        replaced=by_class(key for key in both if _differ(images_old[key], images_new[key])),
        withdrawn=by_class(images_old.keys() - images_new.keys()),
        touched=by_class(key for key in touched if key in images_new),
        tables=_changed_tables(old, new) if images_old else (),
    )


Facts = tuple[str, int, str | None, str | None, str | None]  # kind, size, etag, checksum, fault


def _versions(listing: pd.DataFrame, source: str) -> dict[tuple[str, str], Facts]:
    rows = (
        listing[listing["source"] == source].astype(object).where(lambda cell: cell.notna(), None)
    )
    columns = ("kind", "key", "size_bytes", "etag", "checksum", "fault")
    return {
        ("image" if kind == "archive" else kind, key): (kind, *facts)
        for kind, key, *facts in zip(*(rows[name] for name in columns), strict=True)
    }


def _images(versions: Mapping[tuple[str, str], Facts]) -> dict[str, Facts]:
    return {key: facts for (kind, key), facts in versions.items() if kind == "image"}


def _differ(old: Facts, new: Facts) -> bool:
    """Whether two versions differ; what only one of them tells (an earlier release knew no checksums) says nothing."""
    return any(
        a != b for a, b in zip(old, new, strict=True) if a is not None and b is not None
    ) or ((old[-1] is None) != (new[-1] is None))


def _changed_tables(
    old: Mapping[tuple[str, str], Facts], new: Mapping[tuple[str, str], Facts]
) -> tuple[str, ...]:
    kinds = ("labels", "votes", "subjects")
    of = {
        kind: [{key: facts for (k, key), facts in one.items() if k == kind} for one in (old, new)]
        for kind in kinds
    }
    return tuple(
        kind
        for kind, (was, now) in of.items()
        if was.keys() != now.keys() or any(_differ(was[key], now[key]) for key in was)
    )


def _classes(source: Source, images: Mapping[str, Facts]) -> Callable[[str], str]:
    loose = [key for key, facts in images.items() if facts[0] != "archive"]
    layout = detect_layout(loose, source.layout, source.splits)

    def class_of(key: str) -> str:
        if images[key][0] == "archive":
            return ARCHIVE
        return BY_LABELS if source.labels else layout.label(key) or NO_CLASS

    return class_of


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
