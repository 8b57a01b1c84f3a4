"""Find the images that a cell of a table names, however it spells their paths."""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import normalize

from pipeline_lib.sources.names import encode_name, without_image_ending
from pipeline_lib.sources.web.urls import is_web, name_of, parse_url


class Finder:
    """Find the images whose path fits a cell: the shorter of the two must be the end of the longer.

    A name without the ending of an image stands for that of any. Names are compared composed (Unicode's NFC): a table
    comes from a keyboard, and files may come from macOS, which decomposes their names. Capitals count where a name in
    them exists: Windows and macOS do not tell IMG_1.JPG from img_1.jpg.
    """

    def __init__(self, members: frozenset[str]) -> None:
        self._members = members
        # One entry for most names keeps a million of them in 200 MB.
        self._by_stem: dict[str, str | list[str]] = {}
        for member in sorted(members):
            stem = without_image_ending(normalize("NFC", member).rpartition("/")[2])
            known = self._by_stem.setdefault(stem, member)
            if isinstance(known, list):
                known.append(member)
            elif known is not member:
                self._by_stem[stem] = [known, member]
        self._in_capitals: dict[str, list[str]] = {}  # stems with capitals, by the same without
        for stem in self._by_stem:
            if (small := stem.casefold()) != stem:
                self._in_capitals.setdefault(small, []).append(stem)

    def find(self, cell: str, folder: str | None = None) -> list[str]:
        """Return the fitting members; exactly one if the cell is unambiguous. folder: of the file with the cell, which the
        path may be relative to.
        """
        spelt = normalize("NFC", cell).replace("\\", "/")
        while spelt.startswith("./"):
            spelt = spelt[2:]
        if not is_web(spelt):
            return self._find(encode_name(spelt.encode("utf-8", "surrogateescape")), folder)
        # As `download` names what it fetches there, or as a person saved it.
        return self._find(name_of(parse_url(spelt, file="labels")), folder) or self._find(
            name_of(parse_url(spelt.partition("?")[0], file="labels")), folder
        )

    def _find(self, path: str, folder: str | None) -> list[str]:
        """As `find`. path: as names are stored."""
        parts = [part for part in path.split("/") if part]
        while parts[:1] == [".."] and folder is not None:
            parts, folder = parts[1:], folder.rpartition("/")[0]
        while parts[:1] == [".."]:
            parts = parts[1:]
        if folder and f"{folder}/{path}" in self._members:
            return [f"{folder}/{path}"]
        if path in self._members:
            return [path]
        found = self._fitting(parts) or self._fitting_in_any_case(parts)
        exact = [member for member in found if normalize("NFC", member) == path]
        if folder and len(found) > 1:
            below = "/".join([folder, *parts])
            exact = [
                member
                for member in found
                if below
                in (normalize("NFC", member), without_image_ending(normalize("NFC", member)))
            ] or exact
        return exact or found

    def _fitting(self, parts: Sequence[str]) -> list[str]:
        name = parts[-1] if parts else ""
        stem = without_image_ending(name)
        named = self._of_stem(stem)
        if stem != name or any(_last(one) == name for one in named):
            named = [one for one in named if _last(one) == name]
        return [member for member in named if _agree(member, parts)]

    def _fitting_in_any_case(self, parts: Sequence[str]) -> list[str]:
        small = [part.casefold() for part in parts]
        name = small[-1] if small else ""
        stem = without_image_ending(name)
        stems = [stem, *self._in_capitals.get(stem, ())]
        named = [one for each in stems for one in self._of_stem(each)]
        if stem != name:
            named = [one for one in named if _last(one).casefold() == name]
        return [member for member in named if _agree(member.casefold(), small)]

    def _of_stem(self, stem: str) -> list[str]:
        known = self._by_stem.get(stem, ())
        return [known] if isinstance(known, str) else list(known)


def _last(member: str) -> str:
    return normalize("NFC", member).rpartition("/")[2]


def _agree(member: str, cell: Sequence[str]) -> bool:
    """Whether the folders are the same as far as both go back from the file name, which agree already."""
    folders = normalize("NFC", member).split("/")
    return all(one == other for one, other in zip(folders[-2::-1], cell[-2::-1], strict=False))
