"""The place of a source's objects, a local file or folder, a bucket or a web server: list, read and fetch them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from pipeline_lib.errors import SourceMissing
from pipeline_lib.settings import Settings
from pipeline_lib.shards.streams import refuse_foreign
from pipeline_lib.sources import s3
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.cloud_bucket import CloudBucket
from pipeline_lib.sources.known_files import KnownFiles
from pipeline_lib.sources.local import LocalPlace
from pipeline_lib.sources.names import decode_name, encode_name, is_archive
from pipeline_lib.sources.object_bytes import Bucket, Entry, Objects, Wanted
from pipeline_lib.sources.objects import (
    FIX_SOURCES,
    Begin,
    Identified,
    Place,
    SourceObject,
)
from pipeline_lib.sources.s3_bucket import S3Bucket
from pipeline_lib.sources.schemes import CLOUDS, form_in_place_of, scheme_of
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
    scheme = scheme_of(uri)
    if scheme == "s3":
        return s3_place(uri, settings)
    if scheme in CLOUDS:
        return BucketPlace(uri, CloudBucket(uri, split_address(uri)[0], settings))
    if scheme:
        remedy = f"name {form_in_place_of(scheme)}"
        raise SourceMissing(f"{scheme}:// cannot be read", file=uri, remedy=remedy)
    try:
        path = root / Path(uri).expanduser()
        name = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:32]
    except (OSError, RuntimeError, ValueError) as error:  # no such user, a circle of links, a NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise SourceMissing(
            "not a path that can be followed", file=uri[:200], value=reason, remedy=FIX_SOURCES
        ) from error
    known = KnownFiles(root / settings.state_dir / "known_files" / f"{name}.parquet")
    return LocalPlace(uri, path, known)


def s3_place(uri: str, settings: Settings) -> BucketPlace:
    """The place of an s3:// address. Raises as `open_s3` does."""
    bucket = split_address(uri)[0]
    opened = s3.open_s3(settings, is_public=settings.is_public(f"s3://{bucket}"))
    return BucketPlace(uri, S3Bucket(opened, bucket))


def split_address(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/b` -> ("bucket", "a/b"); of other schemes too."""
    bucket, _, key = uri.partition("://")[2].partition("/")
    return bucket, key


class BucketPlace:
    """A prefix of a bucket, or one key that is an archive or a table."""

    def __init__(self, uri: str, bucket: Bucket) -> None:
        self.address, self._bucket = uri, bucket
        key = split_address(uri)[1]
        self.is_single = is_archive(key) or key.lower().endswith(TABLE_ENDINGS)
        self._only = key if self.is_single else None
        folder = key.rpartition("/")[0] if self.is_single else key.rstrip("/")
        self._prefix = f"{folder}/" if folder else ""

    def list(self) -> Iterator[SourceObject]:
        """Every object below the prefix, without the markers of empty folders."""
        if self._only:
            yield self._object(self._bucket.head(self._only))
            return
        for entry in self._bucket.list(self._prefix):
            if entry.size_bytes or not entry.key.endswith("/"):
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
        return self._object(self._bucket.head(self._key(wanted)))

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
        self,
        wanted: SourceObject,
        arriving: Arriving,
        *,
        workers: int,
        step: Callable[[int], None],
    ) -> None:
        """Bring the missing pieces of the listed version of an object, several at once."""
        whole = self._part(wanted, 0, wanted.size_bytes)
        self._objects.fetch(whole, arriving, workers=workers, step=step)

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self._bucket)

    def _part(self, wanted: SourceObject, start: int, size_bytes: int) -> Wanted:
        etag = wanted.etag or ""
        return Wanted(self._key(wanted), etag, start, size_bytes, wanted.size_bytes)

    def _key(self, wanted: SourceObject) -> str:
        return self._prefix + decode_name(wanted.key).decode()

    def _object(self, entry: Entry) -> SourceObject:
        key = encode_name(entry.key.removeprefix(self._prefix).encode())
        return SourceObject(key, entry.size_bytes, etag=entry.etag)
