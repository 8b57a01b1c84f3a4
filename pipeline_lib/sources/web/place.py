"""The place of files at http:// and https:// addresses: one, several, or those of a list."""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from pipeline_lib.errors import (
    AddressRefused,
    BadData,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.reasons import Reason
from pipeline_lib.settings import Settings
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.names import encode_name, is_archive, is_image_name
from pipeline_lib.sources.objects import Begin, Identified, SourceObject
from pipeline_lib.sources.s3 import READS_PER_WORKER, RELIST
from pipeline_lib.sources.web.exchange import Exchange
from pipeline_lib.sources.web.headers import Version
from pipeline_lib.sources.web.url_list import is_url_list
from pipeline_lib.sources.web.urls import Url, name_of, parse_url

log = logging.getLogger(__name__)
NAMED = 5  # examples in a message
CHANGES = 3  # of one file in a run; some servers name another version in each answer
FAILED_IN_A_ROW = 10  # files that do not come: then it is the network, or the server as a whole
KEPT_BYTES = 64 << 20  # of one file of a server without ranges, of which parts are asked for
HTML = frozenset({"text/html", "application/xhtml+xml"})
ARCHIVE_KINDS = {
    "application/zip": ".zip",
    "application/x-zip-compressed": ".zip",
    "application/x-tar": ".tar",
    "application/x-gtar": ".tar",
    "application/gzip": ".tar.gz",
    "application/x-gzip": ".tar.gz",
    "application/x-bzip2": ".tar.bz2",
    "application/x-xz": ".tar.xz",
}


class HttpPlace:
    """Files of web servers. is_single: the address is one archive or table; images of several addresses, or of a list, are
    named `host/path`, and one that is not served is refused alone."""

    def __init__(
        self, address: str, urls: Mapping[str, Url], settings: Settings, *, is_list: bool
    ) -> None:
        """urls: by name; of a single one the name may be "" until the server tells. is_list: others wrote the addresses, so
        they reach the open Internet only."""
        self._urls, self._settings = dict(urls), settings
        first = next(iter(urls.values()))
        self.address = first.shown if len(urls) == 1 and not is_list else address
        trusted = frozenset() if is_list else frozenset(url.origin for url in urls.values())
        self._exchange = Exchange(settings, trusted)
        self._whole: tuple[SourceObject, bytes] | None = None
        self._changes: Counter[str] = Counter()
        self._n_failed_in_a_row = 0
        self.is_single = not is_list and len(urls) == 1 and self._settle_name()

    def list(self) -> Iterator[SourceObject]:
        """Ask for each address, several at once. Raises what asking raised if no address is served."""
        threads = READS_PER_WORKER * self._settings.worker_count()
        failures: deque[PipelineError] = deque()
        n_unversioned = 0
        with ThreadPoolExecutor(threads) as pool:
            for key, found in zip(self._urls, pool.map(self._found, self._urls), strict=True):
                if isinstance(found, PipelineError):
                    failures.append(found)
                    if len(failures) == len(self._urls):
                        raise found
                    yield SourceObject(key, 0, fault=_reason_of(found))
                    continue
                n_unversioned += found.etag is None and not found.fault
                yield found
        self._report(tuple(failures), n_unversioned=n_unversioned)

    def identify(
        self, listed: Iterable[SourceObject], *, workers: int, begin: Begin
    ) -> Iterator[Identified]:
        """The objects as they are: servers name versions themselves, or not at all."""
        return map(Identified, listed)

    def look(self, wanted: SourceObject) -> SourceObject:
        """The present version; of several, that of the listing for one that is not served: reading it says why."""
        try:
            return self._object(wanted.key, self._exchange.look(self._urls[wanted.key]))
        except (ObjectRefused, SourceMissing, ServiceUnavailable):
            if self.is_single:
                raise
            return wanted

    def read(self, wanted: SourceObject) -> bytes:
        """The bytes of a file as listed.

        Raises ObjectRefused for a file of several that does not come as its server says, however often it is asked; but
        where one after the other does not come, the fault is that of the network, and raised as it is.
        """
        try:
            data = self.read_part(wanted, start=0, size_bytes=wanted.size_bytes)
        except (SourceMissing, ServiceUnavailable, BadData) as error:
            if self.is_single or not self._is_its_own_fault(wanted.key, error):
                raise
            raise ObjectRefused(
                error.what, file=error.file, value=error.value, remedy=error.remedy
            ) from error
        self._n_failed_in_a_row = 0
        return data

    def _is_its_own_fault(self, key: str, error: PipelineError) -> bool:
        if isinstance(error, SourceChanged):  # read again, but not for ever
            self._changes[key] += 1
            return self._changes[key] >= CHANGES
        self._n_failed_in_a_row += isinstance(error, ServiceUnavailable)
        return self._n_failed_in_a_row < FAILED_IN_A_ROW

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """Some of the bytes of a file as listed."""
        size_bytes = min(size_bytes, wanted.size_bytes - start)
        if size_bytes <= 0:
            return b""
        if self._whole and self._whole[0] == wanted:
            return self._whole[1][start : start + size_bytes]
        data = bytearray()
        copy = partial(
            self._exchange.copy,
            self._url(wanted),
            _version(wanted),
            write=data.extend,
            restart=data.clear,
        )
        try:
            copy(start=start, size_bytes=size_bytes)
        except ServiceUnavailable:  # it ignores ranges: a small file is read as a whole, once
            if not start or wanted.size_bytes > KEPT_BYTES:
                raise
            data.clear()
            copy(start=0, size_bytes=wanted.size_bytes)
            self._whole = (wanted, bytes(data))
            return self._whole[1][start : start + size_bytes]
        return bytes(data)

    def local_path(self, wanted: SourceObject) -> None:
        """Return None: a file of a server has no local path."""

    def fetch(
        self,
        wanted: SourceObject,
        arriving: Arriving,
        *,
        workers: int,
        step: Callable[[int], None],
    ) -> None:
        """Bring what follows the first missing piece of a file as listed, in one stream that goes on where it broke off."""
        at = arriving.missing[0].start if arriving.missing else wanted.size_bytes

        def write(chunk: bytes) -> None:
            nonlocal at
            arriving.write(chunk, at)
            at += len(chunk)
            step(len(chunk))

        def restart() -> None:
            nonlocal at
            step(-at)
            at = 0

        self._exchange.copy(
            self._url(wanted),
            _version(wanted),
            start=0,
            size_bytes=wanted.size_bytes,
            done=at,
            write=write,
            restart=restart,
        )
        _refuse_page(arriving.path, self._url(wanted))

    def _settle_name(self) -> bool:
        """Find the name of the only file, by the server where the address does not tell; whether it is an archive or table."""
        [(_, url)] = self._urls.items()
        name = url.path.rpartition("/")[2]
        if not (is_archive(name) or is_url_list(name) or is_image_name(name)):
            version = self._exchange.look(url)
            name = version.name or name or "file"
            if not is_archive(name):
                name += ARCHIVE_KINDS.get(version.kind, "")
        is_one = is_archive(name) or is_url_list(name)
        self._urls = {
            encode_name(name.encode("utf-8", "surrogatepass")) if is_one else name_of(url): url
        }
        return is_one

    def _url(self, wanted: SourceObject) -> Url:
        try:
            return self._urls[wanted.key]
        except KeyError:
            raise SourceMissing(
                "the list does not name it any more", file=wanted.key, remedy=RELIST
            ) from None

    def _found(self, key: str) -> SourceObject | PipelineError:
        try:
            return self._object(key, self._exchange.look(self._urls[key]))
        except (ObjectRefused, SourceMissing, ServiceUnavailable, BadData) as error:
            if self.is_single:
                raise
            return error

    def _object(self, key: str, version: Version) -> SourceObject:
        fault = None
        if version.kind in HTML:
            url = self._urls[key]
            if self.is_single:
                raise _is_a_page(url)
            fault = Reason.NOT_IMAGE
            log.warning(
                "%s: a web page (%s), not an image; it is quarantined", url.shown, version.kind
            )
        return SourceObject(key, version.size_bytes, etag=version.identity, fault=fault)

    def _report(self, failures: Sequence[PipelineError], *, n_unversioned: int) -> None:
        if failures:
            some = ", ".join(
                f"{one.file}: {one.what} {one.value}".strip() for one in failures[:NAMED]
            )
            log.warning(
                "%d of %d URLs are not served: %s; they are quarantined",
                len(failures),
                len(self._urls),
                some,
            )
        if n_unversioned:
            what = "%d of %d URLs have neither an ETag nor a date: a change of the same size is not noticed"
            log.warning(what, n_unversioned, len(self._urls))


def single_url(address: str, settings: Settings) -> HttpPlace:
    """The place of one address, or of several with spaces between. Raises BadData for what is no URL."""
    urls = [parse_url(text, file="discover.sources") for text in address.split()]
    named = {name_of(url): url for url in urls}
    return HttpPlace(address, named, settings, is_list=False)


def _version(wanted: SourceObject) -> Version:
    return Version(wanted.size_bytes, wanted.etag, "", "")


def _reason_of(error: PipelineError) -> Reason:
    return Reason.ADDRESS_REFUSED if isinstance(error, AddressRefused) else Reason.NOT_SERVED


def _refuse_page(file: Path, url: Url) -> None:
    with file.open("rb") as opened:
        head = opened.read(512).lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html")):
        raise _is_a_page(url)


def _is_a_page(url: Url) -> BadData:
    remedy = "name the address of the file itself; a page to log in or to accept terms needs url_tokens, or a download by hand"
    return BadData(
        "the server sends a web page in place of the file", file=url.shown, remedy=remedy
    )
