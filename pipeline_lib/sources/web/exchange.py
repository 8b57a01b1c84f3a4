"""Requests and their answers: redirects, retries, versions, and transfers that break off and go on."""

from __future__ import annotations

import contextlib
import http.client
import logging
import random
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pipeline_lib.errors import (
    BadData,
    ObjectRefused,
    PipelineError,
    ServiceUnavailable,
    SourceChanged,
    SourceMissing,
)
from pipeline_lib.settings import Settings
from pipeline_lib.sources.web.connections import CA_VARIABLES, Answer, Connections
from pipeline_lib.sources.web.headers import (
    MODIFIED,
    Version,
    identity_of,
    media_type,
    retry_after_s,
    total_bytes,
    version_of,
    whole_number,
)
from pipeline_lib.sources.web.urls import Origin, Url, next_hop

log = logging.getLogger(__name__)
TRIES = 5  # of a request, and of a transfer that breaks off without progress
HOPS = 5
PAUSE_S = 0.5  # before the second try; it doubles
LONGEST_PAUSE_S = 60.0  # also where Retry-After asks for more
PROGRESS_BYTES = 1 << 20  # a transfer that came so far since it last broke off may break off again
CHUNK_BYTES = 1 << 20
COUNTED_BYTES = 4 << 30  # of a file whose size the server does not state
SILENT_URLS = 5  # in a row; a server that answers none of them is not asked again in this run
REDIRECTS = frozenset({301, 302, 303, 307, 308})
BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
REFUSED = frozenset({401, 402, 403, 407, 451})
ABSENT = frozenset({404, 410})
NO_HEAD = frozenset({400, 403, 405, 501})  # signed addresses are for GET alone
RELIST = "run again: `dvc repro` lists the source again"


class Exchange:
    """Requests to web servers. Thread-safe. Nothing that it raises or logs holds a query, a token or a header."""

    def __init__(self, settings: Settings, trusted: frozenset[Origin]) -> None:
        self._connections = Connections(settings, trusted)
        self._unanswered: Counter[Origin] = Counter()  # URLs in a row that gave no answer

    def look(self, url: Url) -> Version:
        """The present version: HEAD, or one byte where a server does not answer HEAD or does not say the size.

        Raises ObjectRefused, SourceMissing, ServiceUnavailable.
        """
        with self._ask("HEAD", url, {}, accepted=NO_HEAD) as answer:
            answer.read()
            length = whole_number(answer.headers["Content-Length"])
            if answer.status not in NO_HEAD and length is not None:
                return _version(answer, length)
        first = {"Range": "bytes=0-0"}
        with self._ask("GET", url, first, accepted=frozenset({416})) as answer:
            return _version(answer, _size(answer))

    def copy(
        self,
        url: Url,
        wanted: Version,
        *,
        start: int,
        size_bytes: int,
        write: Callable[[bytes], object],
        restart: Callable[[], object],
        done: int = 0,
    ) -> None:
        """Pass `size_bytes` from `start` on to `write`, in order and all of one version; but for those that are `done`.

        A transfer that breaks off goes on by range where the version can be told; else, and where the server ignores
        ranges, `restart` is called and it begins again. Raises SourceChanged, BadData for another size than listed, and
        what `look` raises.
        """
        safe, tries_left, failure = done, TRIES, "the transfer broke off"
        can_resume = wanted.identity is not None
        while done < size_bytes and tries_left:
            if done and not can_resume:
                restart()
                done, safe = 0, 0
            try:
                for chunk in self._body(url, wanted, start + done, size_bytes - done):
                    write(chunk)
                    done += len(chunk)
                failure = f"{done} instead of {size_bytes} bytes"
            except _Whole:
                if start:
                    raise _ignores_ranges(url) from None
                restart()
                done, safe = 0, 0
                can_resume = False
            except _Broken as error:
                failure = str(error)
            if done >= safe + PROGRESS_BYTES:
                safe, tries_left = done, TRIES
            elif done < size_bytes:
                tries_left -= 1
                _pause(TRIES - tries_left)
        if done < size_bytes:
            remedy = f"{RELIST}; if it stays so, fetch the file by other means and name that"
            raise BadData(
                "the server does not send the whole file",
                file=url.shown,
                value=failure,
                remedy=remedy,
            )

    def _body(self, url: Url, wanted: Version, start: int, size_bytes: int) -> Iterator[bytes]:
        is_whole = start == 0 and size_bytes == wanted.size_bytes
        headers = _preconditions(wanted)
        if not is_whole:
            headers["Range"] = f"bytes={start}-{start + size_bytes - 1}"
        with self._ask("GET", url, headers) as answer:
            _check(answer, wanted, url, start=start if answer.status == 206 else 0)
            if not is_whole and answer.status != 206 and start:
                raise _Whole
            left = size_bytes
            while left and (chunk := _read(answer, min(CHUNK_BYTES, left))):
                left -= len(chunk)
                yield chunk
            if is_whole and not left and _read(answer, 1):
                raise _other_size(url, wanted, f"more than {wanted.size_bytes}")

    def _ask(
        self,
        method: str,
        url: Url,
        headers: Mapping[str, str],
        *,
        accepted: frozenset[int] = frozenset(),
    ) -> Answer:
        """The answer of the final address: 2xx or an accepted one. Raises what `look` raises, SourceChanged.

        Thousands of URLs of a server that is gone would take days of waiting, so that it is given up for all of them.
        """
        if self._unanswered[url.origin] >= SILENT_URLS:
            raise _given_up(url)
        for number in range(1, TRIES + 1):
            try:
                answer = self._follow(method, url, headers)
            except (OSError, http.client.HTTPException) as error:
                if number == TRIES or not _may_pass(error):
                    self._unanswered[url.origin] += 1
                    raise _silent(url, error) from error
                _pause(number)
                continue
            self._unanswered[url.origin] = 0
            if 200 <= answer.status < 300 or answer.status in accepted:
                return answer
            _discard(answer)
            if answer.status not in BUSY or number == TRIES:
                raise _translate(url, answer)
            _pause(number, retry_after_s(answer.headers))
        raise AssertionError(url)

    def _follow(self, method: str, url: Url, headers: Mapping[str, str]) -> Answer:
        hop = url
        for _ in range(HOPS + 1):
            answer = self._connections.send(method, hop, headers)
            location = answer.headers["Location"]
            if answer.status not in REDIRECTS or not location:
                return answer
            _discard(answer)
            following = next_hop(hop, location)
            if hop.origin.scheme == "https" and following.origin.scheme == "http":
                remedy = f"name {following.shown} itself if you accept a connection without TLS"
                raise ObjectRefused("a redirect from https to http", file=hop.shown, remedy=remedy)
            hop = following
        remedy = "name the address that a browser shows in the end"
        raise ObjectRefused(f"more than {HOPS} redirects", file=url.shown, remedy=remedy)


class _Broken(Exception):
    """The connection ended, as opposed to a fault of the disk that is written to."""


class _Whole(Exception):
    """200 where 206 was asked for: the bytes begin at 0 and not where we are."""


def _read(answer: Answer, size_bytes: int) -> bytes:
    try:
        return answer.read(size_bytes)
    except (OSError, http.client.HTTPException) as error:
        raise _Broken(f"{type(error).__name__}: {error}") from error


def _discard(answer: Answer) -> None:
    """Leave the connection fit for the next request, or close it where much would have to be read."""
    with answer, contextlib.suppress(OSError, http.client.HTTPException):
        answer.read(1 << 16)


def _version(answer: Answer, size_bytes: int) -> Version:
    return version_of(answer.headers, size_bytes, path=answer.url.path)


def _size(answer: Answer) -> int:
    """The size by the answer to a request for the first byte; where it does not say it, all is read and counted."""
    total = total_bytes(answer.headers)
    length = whole_number(answer.headers["Content-Length"])
    try:
        if answer.status in (206, 416) and total is not None:
            answer.read()
            return total
        if answer.status == 200 and length is not None:
            return length
        return _counted(answer)
    except (OSError, http.client.HTTPException) as error:
        raise _silent(answer.url, error) from error


def _counted(answer: Answer) -> int:
    """Read a file whose size the server does not state. Raises ObjectRefused for what has no end."""
    is_stream = media_type(answer.headers).startswith("multipart/")  # of a camera
    size_bytes = 0
    while not is_stream and (chunk := answer.read(CHUNK_BYTES)):
        size_bytes += len(chunk)
        is_stream = size_bytes > COUNTED_BYTES
    if is_stream:
        value = f"{media_type(answer.headers)}, {size_bytes} bytes so far".removeprefix(", ")
        remedy = "name the address of a file whose size the server states, or fetch it by other means and name that"
        raise ObjectRefused(
            "a stream without an end", file=answer.url.shown, value=value, remedy=remedy
        )
    return size_bytes


def _preconditions(wanted: Version) -> dict[str, str]:
    if wanted.identity is None:
        return {}
    if wanted.identity.startswith(MODIFIED):
        return {"If-Unmodified-Since": wanted.identity.removeprefix(MODIFIED)}
    return {"If-Match": f'"{wanted.identity}"'}


def _check(answer: Answer, wanted: Version, url: Url, *, start: int) -> None:
    """Raise SourceChanged unless the answer is of the listed version, for servers that ignore preconditions."""
    now = identity_of(answer.headers)
    is_unknown = now is None and not start
    if wanted.identity is not None and now != wanted.identity and not is_unknown:
        value = f"{now} instead of {wanted.identity}"
        raise SourceChanged(
            "the file changed after it was listed", file=url.shown, value=value, remedy=RELIST
        )
    if answer.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(?:\d+|\*)", answer.headers["Content-Range"] or "")
        if not found or whole_number(found[1]) != start:
            raise _ignores_ranges(url)
        total = total_bytes(answer.headers)
    else:
        total = whole_number(answer.headers["Content-Length"])
    if total is not None and total != wanted.size_bytes:
        raise _other_size(url, wanted, str(total))


def _other_size(url: Url, wanted: Version, found: str) -> PipelineError:
    return SourceChanged(
        "the file has another size than when it was listed",
        file=url.shown,
        value=f"{found} instead of {wanted.size_bytes} bytes",
        remedy=RELIST,
    )


def _ignores_ranges(url: Url) -> PipelineError:
    remedy = "fetch the file by other means and name the local file"
    return ServiceUnavailable("the server ignores ranges", file=url.shown, remedy=remedy)


def _translate(url: Url, answer: Answer) -> PipelineError:
    status, found, final = answer.status, answer.found, answer.url
    if final != url:
        found += f", from {final.shown}"
    if status in ABSENT:
        remedy = f"fix the address; if it was removed just now, {RELIST}"
        return SourceMissing(
            "no such file on the server", file=url.shown, value=found, remedy=remedy
        )
    if status in (412, 416):
        return SourceChanged(
            "the file changed after it was listed", file=url.shown, value=found, remedy=RELIST
        )
    if status in REFUSED:
        remedy = f"name the variable that holds a token for {final.origin.host} in the setting url_tokens, or open access"
        return ObjectRefused(
            "the server refuses access", file=url.shown, value=found, remedy=remedy
        )
    remedy = "run again later; finished work is kept"
    return ServiceUnavailable(
        "the server answered with an error", file=url.shown, value=found, remedy=remedy
    )


def _silent(url: Url, error: Exception) -> PipelineError:
    what, remedy = (
        "the server does not answer as expected",
        "check the address, the network and the proxy (http_proxy, https_proxy, no_proxy), then run again",
    )
    if isinstance(error, ssl.SSLCertVerificationError):
        what = "the server's certificate is not trusted"
        remedy = f"name the file of your own authority in {' or '.join(CA_VARIABLES)}"
    elif isinstance(error, socket.gaierror):
        what = "no server has this name"
    value = f"{type(error).__name__}: {error}"
    return ServiceUnavailable(what, file=url.shown, value=value, remedy=remedy)


def _given_up(url: Url) -> PipelineError:
    what = f"the server gave no answer to {SILENT_URLS} other URLs, so that it was not asked for this one"
    remedy = "check the address and the network, then run again"
    return ServiceUnavailable(what, file=url.shown, remedy=remedy)


def _may_pass(error: Exception) -> bool:
    """Whether a second try may succeed."""
    if isinstance(error, socket.gaierror):
        return error.errno == socket.EAI_AGAIN
    return not isinstance(error, ssl.SSLCertVerificationError | http.client.InvalidURL)


def _pause(number: int, asked_s: float = 0.0) -> None:
    """Wait after try `number`: as long as the server asks, within bounds, else twice as long each time."""
    own_s = (
        PAUSE_S * 2 ** (number - 1) * random.uniform(0.5, 1)
    )  # many threads must not come back at once
    time.sleep(min(max(asked_s, own_s), LONGEST_PAUSE_S))
