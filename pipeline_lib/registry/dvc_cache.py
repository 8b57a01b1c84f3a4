"""Find objects in DVC's local cache by md5, without importing DVC: the layout is `<cache>/files/md5/ab/cdef...`.

A folder's object (`.dir`) is a JSON list of {md5, relpath}. The cache folder is read from `.dvc/config` and
`.dvc/config.local`, as DVC does (https://doc.dvc.org/user-guide/project-structure/internal-files).
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.errors import OutputDamaged, SourceMissing
from pipeline_lib.files.atomic import link_or_copy, remove_tree, shared_folder
from pipeline_lib.settings import Settings

REMEDY = (
    "bring it back with `dvc fetch --all-tags` from the remote (with `git checkout TAG` and `dvc fetch` if the remote is "
    "newer than the tag), or `dvc repro` where it was made"
)


@dataclass(frozen=True)
class DvcCache:
    """The caches to look in, in order: the checkout's own and the original repository's."""

    folders: tuple[Path, ...]

    def find(self, md5: str) -> Path | None:
        """The object's file, or None when no cache has it."""
        places = (folder / "files" / "md5" / md5[:2] / md5[2:] for folder in self.folders)
        return next((place for place in places if place.is_file()), None)

    def object(self, md5: str) -> Path:
        """The object's file. Raises SourceMissing with the remedy when no cache has it."""
        found = self.find(md5)
        if found is None:
            raise SourceMissing(
                "the DVC cache does not hold this object",
                file=self.folders[0],
                value=md5,
                remedy=REMEDY,
            )
        return found

    def listing(self, md5: str) -> dict[str, str]:
        """relative path -> md5 of a folder's files; `md5` ends in `.dir`. Raises SourceMissing."""
        entries = json.loads(self.object(md5).read_text(encoding="utf-8"))
        return {entry["relpath"]: entry["md5"] for entry in entries}

    def materialise(self, md5: str, target: Path) -> Path:
        """Put a folder's files at `target` (links where the file system can), unless they are there; verified by md5.

        Raises SourceMissing when an object is absent and OutputDamaged when one is not what its name says.
        """
        if target.is_dir():
            return target
        files = {name: self.object(hash_) for name, hash_ in self.listing(md5).items()}
        with shared_folder(target) as folder:
            for name, path in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                link_or_copy(path, folder / name)
                _verify(folder / name, self.listing(md5)[name], path)
        return target


def dvc_cache(checkout: Path, settings: Settings) -> DvcCache:
    """The cache of a checkout, then the one of its original repository."""
    folders = [_cache_folder(checkout), _cache_folder(settings.origin(checkout))]
    return DvcCache(tuple(dict.fromkeys(folders)))


def _cache_folder(root: Path) -> Path:
    folder = _config(root).get("cache", "dir", fallback="cache")
    return Path(os.path.normpath(root / ".dvc" / Path(folder).expanduser()))


def _config(root: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read([root / ".dvc" / "config", root / ".dvc" / "config.local"])
    return parser


def _verify(path: Path, md5: str, origin: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if found != md5:
        remove_tree(path)
        remedy = f"delete the damaged object and {REMEDY}"
        raise OutputDamaged(
            "an object in the DVC cache is not what its name says",
            file=origin,
            value=found,
            remedy=remedy,
        )
