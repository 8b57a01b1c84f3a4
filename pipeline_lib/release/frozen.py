"""The files of a release: read once, compared with the md5 that dvc.lock holds, and given a sha256."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline_lib.errors import BadData
from pipeline_lib.harness.progress import progress
from pipeline_lib.registry.closure import Closure
from pipeline_lib.registry.dvc_cache import DvcCache
from pipeline_lib.settings import Settings

ROLES = ("shards", "members", "votes", "manifest", "selection", "classes", "balance", "profile")
BLOCK = 1 << 20
REMEDY = "run `dvc repro`, or `dvc checkout` to bring back what dvc.lock names"


@dataclass(frozen=True)
class FrozenFile:
    """One file. path: below the checkout, with `/`. role: the out of the line that it belongs to."""

    role: str
    path: str
    size_bytes: int
    sha256: str


def freeze(
    checkout: Path, closure: Closure, cache: DvcCache, settings: Settings
) -> tuple[FrozenFile, ...]:
    """Hash every file of the release, by role and path.

    Raises BadData when one is absent or is not the file of dvc.lock, SourceMissing when the cache lacks a listing.
    """
    expected = [(role, *entry) for role in ROLES for entry in _entries(*closure.out(role), cache)]
    files = []
    with progress("release", "files", len(expected), settings) as step:
        for role, path, md5 in expected:
            files.append(freeze_file(role, checkout, path, md5))
            step(1)
    return tuple(files)


def as_checksums(files: tuple[FrozenFile, ...]) -> str:
    """The form that `sha256sum --check` reads, run at the root of the checkout."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in files)


def _entries(path: str, md5: str, cache: DvcCache) -> list[tuple[str, str]]:
    """Path and md5 of an out, or of each file in it when it is a folder."""
    if not md5.endswith(".dir"):
        return [(path, md5)]
    return [(f"{path}/{name}", hash_) for name, hash_ in sorted(cache.listing(md5).items())]


def freeze_file(role: str, checkout: Path, path: str, md5: str) -> FrozenFile:
    """Hash one file. Raises BadData when it is absent or its md5 is not that of dvc.lock."""
    received, named = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    size = 0
    try:
        with (checkout / path).open("rb") as file:
            while block := file.read(BLOCK):
                received.update(block)
                named.update(block)
                size += len(block)
    except FileNotFoundError:
        raise BadData("a file of the line is absent", file=checkout / path, remedy=REMEDY) from None
    if received.hexdigest() != md5:
        found = received.hexdigest()
        raise BadData(
            "not the file that dvc.lock names", file=checkout / path, value=found, remedy=REMEDY
        )
    return FrozenFile(role, path, size, named.hexdigest())
