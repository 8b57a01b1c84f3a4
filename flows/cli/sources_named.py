"""The sources that `perennial init` is told of: a place, a name and a role for each; and those of params.yaml that stay."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from pipeline_lib.errors import UsageError
    from pipeline_lib.sources.roles import Role
    from pipeline_lib.survey import EarlierSource

ALONE = "pictures"  # what the only source of labelled images is called
MOST_LETTERS = 60
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
OF_ONE = ("name", "labels")  # options that say something of one source


@dataclass(frozen=True)
class NamedSource:
    """role: None for labelled images. said: the place as a person wrote it."""

    name: str
    uri: str
    role: Role | None
    said: str


def named_sources(
    options: argparse.Namespace, earlier: Sequence[EarlierSource], origin: Path
) -> list[NamedSource]:
    """The sources of the command line: labelled ones, then those of roles. Nothing is read.

    A place keeps the name that it has in params.yaml. Raises UsageError for places that hold the same images, two sources
    of one name, and options that can only be meant for one source.
    """
    given: list[tuple[str, Role | None]] = [(one, None) for one in options.source]
    given += [(one, "unlabelled") for one in options.unlabelled]
    given += [(one, "test") for one in options.extra_test]
    if len(options.source) > 1:
        _refuse_options_of_one(options)
    placed = [(*_name_and_place(said, origin), role, said) for said, role in given]
    names = [name for name, *_ in placed]
    known = {one.uri: one.name for one in earlier}
    for n, (name, uri, _, _) in enumerate(placed):
        names[n] = name or known.get(uri, "")
    if len(options.source) == 1:
        names[0] = options.name or names[0] or ("" if options.add else ALONE)
    taken = {*filter(None, names), *(one.name for one in earlier)}
    derived = _derived(
        [uri for name, (_, uri, _, _) in zip(names, placed, strict=True) if not name], taken
    )
    sources = [
        NamedSource(name or derived[uri], uri, role, said)
        for name, (_, uri, role, said) in zip(names, placed, strict=True)
    ]
    refuse_same_images([(one.said, one.uri) for one in sources], origin, chosen=_chooses(options))
    _refuse_one_name(sources)
    return sources


def _refuse_options_of_one(options: argparse.Namespace) -> None:
    from pipeline_lib.errors import UsageError

    for option in OF_ONE:
        value = getattr(options, option)
        if value is not None and value != "folders":
            remedy = (
                "write NAME=PLACE"
                if option == "name"
                else "name this source alone, then the others: `perennial init --add PLACE`"
            )
            what = f"--{option} says something of one source, and {len(options.source)} are named"
            raise UsageError(what, file=f"--{option}", value=value, remedy=remedy)


def _name_and_place(said: str, origin: Path) -> tuple[str, str]:
    """`NAME=PLACE` or a place; the name is "" then, and a path is as in params.yaml. Raises UsageError without a place."""
    from flows.cli.project import inside
    from pipeline_lib.errors import UsageError

    name, sign, place = said.partition("=")
    if not sign or re.search(r"[/:]", name) or Path(said).expanduser().exists():
        name, place = "", said
    elif not NAME.fullmatch(name):
        what, remedy = "not the name of a source", "use small letters, digits, - and _: NAME=PLACE"
        raise UsageError(what, file="perennial init", value=name, remedy=remedy)
    if not place.strip():
        remedy = "write a folder, an archive or an address, or NAME=PLACE"
        raise UsageError("no place is named", file="perennial init", value=said, remedy=remedy)
    return name, place if "://" in place else inside(origin, place)


def _derived(uris: Sequence[str], taken: set[str]) -> dict[str, str]:
    """Names made of the ends of addresses, as long as it takes to tell them apart; in whatever order they are named."""
    names = {uri: _name_of(uri, 1) for uri in uris}
    for n_parts in range(2, 10):
        counts = Counter(names.values())
        alike = [uri for uri in names if counts[names[uri]] > 1 or names[uri] in taken]
        for uri in alike:
            names[uri] = _name_of(uri, n_parts)
    return names


def _name_of(uri: str, n_parts: int) -> str:
    """`s3://cameras/Night 2026.tar` -> `night-2026`, with two parts `cameras-night-2026`."""
    from pipeline_lib.sources.names import without_archive_ending

    last = uri.split()[-1] if "://" in uri else uri  # of several addresses
    if "://" in last:
        last = last.partition("?")[0].replace("://", "/")
    path = PurePosixPath(without_archive_ending(last.rstrip("/")))
    if path.suffix in (".csv", ".tsv", ".txt"):  # a list of addresses
        path = path.with_suffix("")
    parts = [re.sub(r"[^a-z0-9_]+", "-", part.lower()).strip("-_") for part in path.parts]
    return (
        "-".join([part for part in parts if part][-n_parts:])[-MOST_LETTERS:].strip("-_")
        or "images"
    )


def _chooses(options: argparse.Namespace) -> bool:
    return bool(options.include or options.exclude)


def refuse_same_images(
    places: Sequence[tuple[str, str]], origin: Path, *, chosen: bool = False
) -> None:
    """Raise UsageError for one place twice, or one within another: its images would come twice, perhaps with two roles.

    places: as said, and as in params.yaml. chosen: patterns leave out some files, so that only a person can tell.
    """
    from pipeline_lib.errors import UsageError

    parts = [(said, _parts(uri, origin)) for said, uri in places]
    for n, (said, inner) in enumerate(parts):
        for k, (other, outer) in enumerate(parts):
            if n < k and inner == outer:
                remedy = "name it once, in one role"
                raise UsageError("the same place twice", file=said, value=other, remedy=remedy)
            if len(outer) < len(inner) and inner[: len(outer)] == outer and not chosen:
                below = "/".join(inner[len(outer) :])
                remedy = (
                    f"name one of the two, or leave it out of the other: `--exclude '/{below}'`"
                )
                what = "a place within another, whose images would come twice"
                raise UsageError(what, file=said, value=f"in {other}", remedy=remedy)


def _parts(uri: str, origin: Path) -> tuple[str, ...]:
    """What two addresses of one place have in common, and one below another begins with."""
    if "://" in uri:
        scheme, _, rest = uri.partition("://")
        return (scheme, *filter(None, rest.split("/")))
    return ("file", *(origin / uri).resolve().parts)


def _refuse_one_name(sources: Sequence[NamedSource]) -> None:
    from pipeline_lib.errors import UsageError

    first: dict[str, NamedSource] = {}
    for one in sources:
        if one.name in first:
            value = f"{first[one.name].said} and {one.said}"
            remedy = "name each in its own way: NAME=PLACE"
            raise UsageError(
                f"two sources are named {one.name}",
                file="perennial init",
                value=value,
                remedy=remedy,
            )
        first[one.name] = one


def kept_sources(
    named: Sequence[NamedSource], earlier: Sequence[EarlierSource], origin: Path
) -> list[EarlierSource]:
    """The sources of params.yaml that stay, since the command line names neither them nor their places.

    Raises UsageError where they hold images of a source that is named.
    """
    names, uris = {one.name for one in named}, {one.uri for one in named}
    kept = [one for one in earlier if one.name not in names and one.uri not in uris]
    for one in kept:
        chosen = bool(one.content.get("include") or one.content.get("exclude"))
        for other in named:
            pair = [(other.said, other.uri), (f"{one.in_words} of params.yaml", one.uri)]
            refuse_same_images(pair, origin, chosen=chosen)
    return kept


def no_labelled() -> UsageError:
    """The error for a command line without images to learn from."""
    from pipeline_lib.errors import UsageError

    remedy = "name a place of labelled images too, or `perennial init --add` to keep those of params.yaml"
    return UsageError("no source of labelled images is named", file="perennial init", remedy=remedy)


def what_happens(
    named: Sequence[NamedSource],
    earlier: Sequence[EarlierSource],
    kept: Sequence[EarlierSource],
) -> list[str]:
    """A line for each source of params.yaml that stays as it is, or does not stay."""
    by_name, by_uri = ({one.name: one for one in named}, {one.uri: one for one in named})
    lines, goes = [f"kept     {one.in_words}: as params.yaml has it" for one in kept], False
    for one in earlier:
        if one in kept:
            continue
        same_name, same_place = by_name.get(one.name), by_uri.get(one.uri)
        if same_name and same_name.uri != one.uri:
            lines.append(f"replaced {one.in_words}: {one.name} is {same_name.uri} now")
        elif same_place and same_place.name != one.name:
            lines.append(f"replaced {one.in_words}: called {same_place.name} now")
        elif same_place and same_place.role != one.role:
            lines.append(f"replaced {one.in_words}: {same_place.role or 'labelled'} now")
        elif not same_place:
            lines.append(f"replaced {one.in_words}: not named, and these are other data")
            goes = True
    hint = "         (`perennial init --add PLACE` keeps what params.yaml has)"
    return [*lines, hint] if goes else lines
