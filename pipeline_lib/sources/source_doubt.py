"""The doubt about a source as params.yaml has it: refused where it leaves the reading open, warned of where it states one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipeline_lib.errors import ConfigError
from pipeline_lib.sources.doubt import SHOWN, UNOPENED, Doubt, as_params, find_doubt, in_words
from pipeline_lib.sources.layout import layout_of_folders
from pipeline_lib.sources.names import without_archive_ending
from pipeline_lib.sources.reading import left_out
from pipeline_lib.sources.source import Source
from pipeline_lib.sources.strays import stray_folders


@dataclass(frozen=True)
class SourceDoubt:
    """The doubt about a source, as a message. identity: a text that changes with the doubt, but not with the counts.

    undecided: why nothing can be taken, where params.yaml leaves the reading open (`layout: auto`); None where it states one.
    """

    source: str
    text: str
    identity: str
    undecided: ConfigError | None = None


def doubt_of_source(
    source: Source, names: Sequence[str], archives: Sequence[str] = ()
) -> SourceDoubt | None:
    """The doubt about the folders of a source, where params.yaml does not say how to read them; else None.

    archives: names of archives that hold the images, or whose own names stand for them.
    """
    told = (source.labels, source.class_from, source.split_from)
    if source.layout == "flat" or any(one is not None for one in told):
        return None
    out = left_out([*names, *archives], source)
    names = [name for name in names if name not in out]
    is_stated = source.splits is not None or source.depth is not None
    in_archives = [without_archive_ending(name) for name in archives]
    doubt = None if is_stated else find_doubt(names, in_archives)
    if doubt is None:
        strays = stray_folders(source, names) if names else {}
        return _stray_doubt(source, strays) if strays else None
    taken = layout_of_folders([tuple(name.split("/")[:-1]) for name in names], source.layout).kind
    others = "; ".join(f"{one.layout}: {in_words(one)}" for one in doubt.readings)
    text = (
        f"source {source.name}: {doubt.why}. They are read as {taken}, by the default rules. Possible readings: {others}. "
        f"State one with `layout` and `splits` in discover.sources of params.yaml ({as_params(doubt.readings[0])}, "
        "for example; `splits: {}` if no folder is a split), or run `perennial init`."
    )
    identity = "\n".join([doubt.why, taken, *map(as_params, doubt.readings)])
    return SourceDoubt(source.name, text, identity, _undecided(source, doubt, others))


def _undecided(source: Source, doubt: Doubt, readings: str) -> ConfigError | None:
    if source.layout != "auto":
        return None
    remedy = (
        f"state one in discover.sources, such as {as_params(doubt.readings[0])} (`splits: {{}}` if no folder is "
        "a split), or run `perennial init`, which asks"
    )
    what = f"source {source.name} can be read in several ways: {doubt.why}"
    return ConfigError(what, file="params.yaml", value=readings, remedy=remedy)


def _stray_doubt(source: Source, strays: Mapping[str, str]) -> SourceDoubt:
    some = ", ".join(f"{pattern} ({why})" for pattern, why in list(strays.items())[:SHOWN])
    more = f" and {len(strays) - SHOWN} more" if len(strays) > SHOWN else ""
    text = (
        f"source {source.name}: folders that are probably no part of the data set: {some}{more}. Leave them out with "
        f"`exclude: [{next(iter(strays))}]` of the source in params.yaml, move them, or run `perennial init` to say how they "
        "are read."
    )
    undecided = None
    if source.layout == "auto":
        remedy = (
            f"leave them out with `exclude: [{next(iter(strays))}]` in discover.sources, or state `layout: "
            "class_folders` if they are classes; or run `perennial init`"
        )
        what = f"source {source.name} has folders that are probably no part of the data set"
        undecided = ConfigError(what, file="params.yaml", value=some + more, remedy=remedy)
    return SourceDoubt(source.name, text, "\n".join(strays), undecided)


def stand_in(archive: str) -> str:
    """Make up the name of an image inside an archive that was not opened."""
    return f"{without_archive_ending(archive)}/{UNOPENED}"
