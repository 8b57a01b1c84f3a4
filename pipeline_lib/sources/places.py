"""The place of a source's objects, a local file or folder, a bucket or a web server: list, read and fetch them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from pipeline_lib.errors import BadData, ObjectRefused, SourceChanged, SourceMissing
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.sources import s3
from pipeline_lib.sources.names import decode_name, encode_name, is_archive
from pipeline_lib.sources.s3_bytes import Objects, Wanted
from pipeline_lib.sources.web.url_list import is_url_list, read_url_list
from pipeline_lib.sources.web.urls import is_web

FIX_SOURCES = "fix discover.sources in params.yaml"
TABLE_ENDINGS = (".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
LATEST_NS = (
    2**63 - 1
)  # in the year 2262: what a table holds; a camera's or a toolbox's wrong date may be any


@dataclass(frozen=True)
class SourceObject:
    """One file, S3 key or URL. key: stored name below the place. etag: names a version; S3 and web servers, without quotes.

    fault: why an existing file cannot be read; only this file is refused, and the run continues.
    """

    key: str
    size_bytes: int
    modified_ns: int
    etag: str | None = None
    fault: Reason | None = None


class Place(Protocol):
    """A place of objects. is_single: the address names one object, not a folder or prefix."""

    address: str
    is_single: bool

    def list(self) -> Iterator[SourceObject]:
        """Every object, in no particular order. Raises SourceMissing, CredentialsRefused, ServiceUnavailable."""

    def look(self, wanted: SourceObject) -> SourceObject:
        """Return the present version of an object. Raises SourceMissing or BadData if there is none."""

    def read(self, wanted: SourceObject) -> bytes:
        """The bytes of an object as listed. Raises SourceChanged when it changed since, ObjectRefused."""

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """Some of the bytes of an object as listed; fewer at its end."""

    def local_path(self, wanted: SourceObject) -> Path | None:
        """Return the path of the file if it is local and unchanged since the listing."""

    def fetch(
        self, wanted: SourceObject, target: Path, *, workers: int, step: Callable[[int], None]
    ) -> None:
        """Write an object to a file; only for objects without a local path."""


def place_of(uri: str, settings: Settings, *, root: Path) -> Place:
    """The place of the images that a source's uri names; relative paths resolve against `root`."""
    if not is_url_list(uri):
        return table_place(uri, settings, root=root)
    from pipeline_lib.sources.web.place import HttpPlace  # it imports this module

    table = table_place(uri, settings, root=root)
    urls = read_url_list(table.read(next(table.list())), file=uri)
    return HttpPlace(uri, urls, settings, is_list=True)


def table_place(uri: str, settings: Settings, *, root: Path) -> Place:
    """The place of what stands at an address itself, also of a table: a list of URLs is not followed."""
    if is_web(uri):
        from pipeline_lib.sources.web.place import single_url  # it imports this module

        return single_url(uri, settings)
    if uri.startswith("s3://"):
        return BucketPlace(uri, s3.open_s3(settings))
    return LocalPlace(uri, root / Path(uri).expanduser())


class LocalPlace:
    """A file or a folder of this machine."""

    def __init__(self, address: str, path: Path) -> None:
        try:
            is_there, is_file = path.exists(), path.is_file()
        except PermissionError as error:  # of a folder above it
            raise _unreadable(path, error) from error
        if not is_there:
            raise SourceMissing(
                "no such file or folder",
                file=address,
                value=f"looked at {path}",
                remedy=f"{FIX_SOURCES}, or put it there",
            )
        self.address, self.is_single = address, is_file
        self._folder = path.parent if self.is_single else path
        self._only = path if self.is_single else None

    def list(self) -> Iterator[SourceObject]:
        """Every file below, hidden ones too; links to files and folders are followed."""
        if self._only:
            yield self._object(self._only)
            return
        closed: list[Path] = []
        for folder, below, files in os.walk(
            self._folder, followlinks=True, onerror=_noted_in(closed, self._folder)
        ):
            circles = [name for name in below if _is_circle(Path(folder, name))]
            below[:] = [
                name for name in below if name not in circles
            ]  # `os.walk` goes into what is left here
            yield from (self._faulty(Path(folder, name), Reason.BROKEN_LINK) for name in circles)
            yield from (self._object(Path(folder, name)) for name in files)
        # what lies in them nobody knows, so each is one object
        yield from (
            SourceObject(self._key(folder), 0, 0, fault=Reason.UNREADABLE_FOLDER)
            for folder in closed
        )

    def look(self, wanted: SourceObject) -> SourceObject:
        """The file as it is now."""
        return self._object(self._folder / os.fsdecode(decode_name(wanted.key)))

    def read(self, wanted: SourceObject) -> bytes:
        """The bytes of a file."""
        data = self.read_part(wanted, start=0, size_bytes=wanted.size_bytes)
        self.local_path(wanted)  # and it did not change while we read
        return data

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """Some of the bytes of a file."""
        path = self.local_path(wanted)
        try:
            with path.open("rb") as file:
                file.seek(start)
                return file.read(size_bytes)
        except OSError as error:
            raise _unreadable(path, error) from error

    def local_path(self, wanted: SourceObject) -> Path:
        """The path of a file. Raises SourceChanged when it is not as listed."""
        path = self._folder / os.fsdecode(decode_name(wanted.key))
        try:
            now = path.stat()
        except OSError as error:
            raise BadData(
                "the file disappeared after it was listed",
                file=path,
                value=error.strerror,
                remedy=s3.RELIST,
            ) from error
        if (now.st_size, _within_table(now.st_mtime_ns)) != (wanted.size_bytes, wanted.modified_ns):
            found = f"{now.st_size} bytes instead of {wanted.size_bytes}, or a newer date"
            raise SourceChanged(
                "the file changed after it was listed", file=path, value=found, remedy=s3.RELIST
            )
        return path

    def fetch(
        self, wanted: SourceObject, target: Path, *, workers: int, step: Callable[[int], None]
    ) -> None:
        """Never needed: local archives are read where they are."""
        raise AssertionError(wanted)

    def _object(self, path: Path) -> SourceObject:
        try:
            facts = path.stat()
        except OSError as error:
            is_forbidden = error.errno in FORBIDDEN or not path.is_symlink()
            return self._faulty(
                path, Reason.UNREADABLE_FILE if is_forbidden else Reason.BROKEN_LINK
            )
        if not stat.S_ISREG(facts.st_mode) or not os.access(path, os.R_OK):
            return self._faulty(path, Reason.UNREADABLE_FILE)
        return SourceObject(self._key(path), facts.st_size, _within_table(facts.st_mtime_ns))

    def _faulty(self, path: Path, fault: Reason) -> SourceObject:
        """An image that cannot be read. Raises BadData for a whole archive or table, which nothing replaces."""
        key = self._key(path)
        if self._only or is_archive(key):
            remedy = "remove it, fix where it points, or allow reading it (`chmod u+r`)"
            raise BadData("it cannot be read", file=path, value=fault, remedy=remedy)
        return SourceObject(key, 0, 0, fault=fault)

    def _key(self, path: Path) -> str:
        return encode_name(os.fsencode(path.relative_to(self._folder).as_posix()))


class BucketPlace:
    """A prefix of a bucket, or one key that is an archive or a table."""

    def __init__(self, uri: str, opened: s3.S3) -> None:
        self.address, self._s3 = uri, opened
        self._bucket, key = s3.parse_uri(uri)
        self.is_single = is_archive(key) or key.lower().endswith(TABLE_ENDINGS)
        self._only = key if self.is_single else None
        folder = key.rpartition("/")[0] if self.is_single else key.rstrip("/")
        self._prefix = f"{folder}/" if folder else ""

    def list(self) -> Iterator[SourceObject]:
        """Every object below the prefix, without the markers of empty folders."""
        if self._only:
            yield self._object(s3.head(self._s3.client, self._bucket, self._only))
            return
        for entry in s3.list_keys(self._s3.client, self._bucket, self._prefix):
            if not entry["Key"].endswith("/"):
                yield self._object(entry)

    def look(self, wanted: SourceObject) -> SourceObject:
        """The present version in the bucket."""
        return self._object(s3.head(self._s3.client, self._bucket, self._key(wanted)))

    def read(self, wanted: SourceObject) -> bytes:
        """The bytes of the listed version of an object."""
        return self._objects.read(self._part(wanted, 0, wanted.size_bytes))

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """Some of the bytes of the listed version of an object."""
        size_bytes = min(size_bytes, wanted.size_bytes - start)
        return self._objects.read(self._part(wanted, start, size_bytes)) if size_bytes > 0 else b""

    def local_path(self, wanted: SourceObject) -> None:
        """Return None: an object of a bucket has no local path."""

    def fetch(
        self, wanted: SourceObject, target: Path, *, workers: int, step: Callable[[int], None]
    ) -> None:
        """Write the listed version of an object to a file."""
        whole = self._part(wanted, 0, wanted.size_bytes)
        self._objects.fetch(whole, target, workers=workers, step=step)

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self._s3, self._bucket)

    def _part(self, wanted: SourceObject, start: int, size_bytes: int) -> Wanted:
        etag = wanted.etag or ""
        return Wanted(self._key(wanted), etag, start, size_bytes, wanted.size_bytes)

    def _key(self, wanted: SourceObject) -> str:
        return self._prefix + decode_name(wanted.key).decode()

    def _object(self, entry: Any) -> SourceObject:
        modified = entry["LastModified"]
        modified_ns = int(modified.timestamp()) * 1_000_000_000 + modified.microsecond * 1000
        key = encode_name(entry["Key"].removeprefix(self._prefix).encode())
        return SourceObject(
            key, entry["Size"], _within_table(modified_ns), entry["ETag"].strip('"')
        )


def _is_circle(folder: Path) -> bool:
    """Whether a linked folder leads back to one above it, under any name: listing it would never end."""
    try:
        return folder.is_symlink() and any(
            folder.samefile(above) for above in folder.absolute().parents
        )
    except (
        PermissionError
    ):  # of a folder that may be listed and not entered; `os.walk` will find it closed
        return False


def _noted_in(closed: list[Path], top: Path) -> Callable[[OSError], None]:
    """Return the error handler for `os.walk`: note an unreadable folder below `top`, raise other errors."""

    def note(error: OSError) -> None:
        folder = Path(error.filename)
        if error.errno not in FORBIDDEN or folder == top:
            raise _unreadable(folder, error) from error
        closed.append(folder)

    return note


def _within_table(modified_ns: int) -> int:
    return max(-LATEST_NS, min(modified_ns, LATEST_NS))


def _unreadable(path: Path, error: OSError) -> Exception:
    if error.errno in FORBIDDEN:
        return ObjectRefused(
            "not allowed to read it", file=path, value=error.strerror, remedy=f"chmod u+rX {path}"
        )
    return SourceMissing(
        "cannot be read", file=path, value=error.strerror, remedy="check the disk, then run again"
    )
