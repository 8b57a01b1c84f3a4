"""The place of a source's objects, a local file or folder, a bucket or a web server: list, read and fetch them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline_lib.errors import SourceMissing
from pipeline_lib.settings import Settings
from pipeline_lib.shards.streams import refuse_foreign
from pipeline_lib.sources import s3
from pipeline_lib.sources.known_files import KnownFiles
from pipeline_lib.sources.local import LocalPlace
from pipeline_lib.sources.names import decode_name, encode_name, is_archive
from pipeline_lib.sources.objects import Begin, Identified, Place, SourceObject
from pipeline_lib.sources.s3_bytes import Objects, Wanted
from pipeline_lib.sources.web.url_list import is_url_list, read_url_list
from pipeline_lib.sources.web.urls import is_web

TABLE_ENDINGS = (
    ".csv", ".tsv", ".txt", ".json", ".jsonl", ".ndjson", ".manifest", ".labels", ".parquet",
)  # fmt: skip


def place_of(uri: str, settings: Settings, *, root: Path) -> Place:
    """The place of the images that a source's uri names; relative paths resolve against `root`.

    Raises BadData for an archive of a format that is not read, and for a list of URLs that is none.
    """
    refuse_foreign(uri)
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
    if scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", uri):
        remedy = "copy the objects to a folder or to S3, and name that"
        raise SourceMissing(f"{scheme[0]} cannot be read", file=uri, remedy=remedy)
    path = root / Path(uri).expanduser()
    name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    known = KnownFiles(root / settings.state_dir / "known_files" / f"{name}.parquet")
    return LocalPlace(uri, path, known)


class BucketPlace:
    """A prefix of a bucket, or one key that is an archive or a table. forks: see `Objects`."""

    def __init__(self, uri: str, opened: s3.S3, *, forks: bool = False) -> None:
        self.address, self._s3, self._forks = uri, opened, forks
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

    def identify(
        self,
        listed: Iterable[SourceObject],
        *,
        workers: int,
        begin: Begin,
    ) -> Iterator[Identified]:
        """The objects as they are: the listing has their ETags."""
        return map(Identified, listed)

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
        return Objects(self._s3, self._bucket, forks=self._forks)

    def _part(self, wanted: SourceObject, start: int, size_bytes: int) -> Wanted:
        etag = wanted.etag or ""
        return Wanted(self._key(wanted), etag, start, size_bytes, wanted.size_bytes)

    def _key(self, wanted: SourceObject) -> str:
        return self._prefix + decode_name(wanted.key).decode()

    def _object(self, entry: Any) -> SourceObject:
        key = encode_name(entry["Key"].removeprefix(self._prefix).encode())
        return SourceObject(key, entry["Size"], etag=entry["ETag"].strip('"'))
