"""The class of an image by its folders, where files of labels tell its split alone."""

from __future__ import annotations

from functools import cached_property

from pipeline_lib.sources.layout import FolderLayout
from pipeline_lib.sources.names import class_name
from pipeline_lib.sources.recognise import Listing, recognise


class FolderClasses:
    """The classes that folders tell: the innermost is one, or where they lie below first letters all that follow the letter,
    as in SUN397 (a/apartment_building/outdoor). members: the images' names. were_asked: whether any class was.
    """

    def __init__(self, members: frozenset[str]) -> None:
        self._members = members
        self.were_asked = False

    def of(self, member: str) -> str:
        """The class of an image; "" where it lies in no folder."""
        self.were_asked = True
        return (self._layout.label(member) if self._layout else folder_of(member)) or ""

    @cached_property
    def _layout(self) -> FolderLayout | None:
        shape = recognise(Listing(tuple(sorted(self._members))))
        is_path = shape is not None and shape.layout == "path_folders"
        return FolderLayout("path_folders", shape.depth or 0, {}) if shape and is_path else None


def folder_of(member: str) -> str:
    """The innermost folder of an image, as a class; "" without one."""
    return class_name(member.split("/")[-2]) if "/" in member else ""
