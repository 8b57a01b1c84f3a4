"""Store the results of finished work units (shards) under a key made of everything that their bytes depend on.

The memo saves time and never changes a byte. It is in the state folder, is no output and can be deleted at any time.
Restored files are checked against the digests stored with them; a damaged or partial entry counts as missing. Like git
and DVC, the check reads a file only if its size, date or inode has changed: otherwise it would cost more to find all
shards of a large set unchanged than to convert the few new ones.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import math
import shutil
import time
from importlib.metadata import version
from pathlib import Path

from pipeline_lib.files.atomic import link_or_copy, shared_folder

log = logging.getLogger(__name__)
FILES = "files.json"  # name -> digest and stat of the file


class Memo:
    """The memo of one stage: entry key -> files.

    folder: `<state folder>/memo/<stage>`. stage_key: everything shared by all entries, see `stage_key`.
    """

    def __init__(self, folder: Path, stage_key: str) -> None:
        self.folder, self.stage_key = folder, stage_key
        self.hits = self.misses = 0

    def restore(self, unit: str, target: Path) -> bool:
        """Restore the files of a unit into the folder `target`; return False if there is no valid entry for it."""
        entry = self._entry(unit)
        if not _sound(entry):
            self.misses += 1
            return False
        target.mkdir(parents=True, exist_ok=True)
        try:
            for name in json.loads((entry / FILES).read_text(encoding="utf-8")):
                link_or_copy(entry / name, target / name)
            (entry / FILES).touch()
        except FileNotFoundError:  # another run is removing it
            self.misses += 1
            return False
        self.hits += 1
        return True

    def keep(self, unit: str, files: list[Path]) -> None:
        """Store the files of a unit under their names. They must never be written in place afterwards."""
        entry = self._entry(unit)
        with shared_folder(entry) as folder:
            for file in files:
                link_or_copy(file, folder / file.name)
            known = {file.name: [_checksum(file), *_stamp(folder / file.name)] for file in files}
            (folder / FILES).write_text(json.dumps(known), encoding="utf-8")

    def forget_older_than(self, days: int) -> int:
        """Remove entries that were not used for that many days; return their number."""
        now = time.time()
        limits = {
            ".partial": now - 86_400,
            "": now - days * 86_400,
        }  # a partial entry older than a day is left from a killed run
        old = [
            entry for entry in self.folder.glob("*/*") if _last_used(entry) < limits[entry.suffix]
        ]
        for entry in old:
            shutil.rmtree(entry, ignore_errors=True)  # another run may be removing the same entry
        return len(old)

    def _entry(self, unit: str) -> Path:
        key = hashlib.sha256(f"{self.stage_key}\0{unit}".encode()).hexdigest()
        return self.folder / key[:2] / key


def stage_key(*, format_version: int, params: str, libraries: tuple[str, ...]) -> str:
    """Compute the part of the key that all units of a stage share.

    format_version: a constant of the stage, raised whenever its code writes other bytes for the same input (the golden
    hashes guard it). params: the parameters that change bytes, as canonical JSON. libraries: distributions whose
    version changes bytes.
    """
    versions = ",".join(f"{name}={version(name)}" for name in libraries)
    return f"{format_version}|{params}|{versions}"


def digest(path: Path) -> str:
    """Return the sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksum(path: Path) -> str:
    """Return the XXH3 of a file: it finds damage, at a tenth of the time of sha256, which all bytes of a set would cost."""
    import xxhash  # not in the set of packages that reads a model alone

    found, buffer = xxhash.xxh3_128(), bytearray(1 << 20)
    with path.open("rb") as file:
        while size_bytes := file.readinto(buffer):
            found.update(memoryview(buffer)[:size_bytes])
    return found.hexdigest()


def _sound(entry: Path) -> bool:
    if not (entry / FILES).exists():
        return False
    try:
        expected: dict[str, list[str | int]] = json.loads(
            (entry / FILES).read_text(encoding="utf-8")
        )
        sound = all(
            _stamp(entry / name) == stamp or _checksum(entry / name) == value
            for name, (value, *stamp) in expected.items()
        )
    except (OSError, ValueError):
        sound = False
    if not sound:
        log.warning(
            "memo: entry %s is damaged and removed; its shard is processed again", entry.name[:12]
        )
        shutil.rmtree(entry, ignore_errors=True)
    return sound


def _stamp(path: Path) -> list[int]:
    """Return size, date and inode of a file; if one of them differs, the bytes may differ."""
    facts = path.stat()
    return [facts.st_size, facts.st_mtime_ns, facts.st_ino]


def _last_used(entry: Path) -> float:
    """Return the time of last use in seconds since 1970; infinity for an entry that is being removed."""
    for path in (entry / FILES, entry):
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_mtime
    return math.inf
