"""Headers of answers, in which a server may write anything: what is no number, date or name counts as absent."""

from __future__ import annotations

import email.utils
import http.client
import time
from dataclasses import dataclass

MODIFIED = "modified "  # before a date that stands for an ETag
MOST_DIGITS = 18  # of a number of bytes; more fit no table, and Python reads no number of 4,300


@dataclass(frozen=True)
class Version:
    """One version of what a URL names. identity: its strong ETag, else `modified <date>`, else None: nothing tells versions
    apart but the size. name: what the server calls the file. kind: its media type."""

    size_bytes: int
    identity: str | None
    kind: str
    name: str


def version_of(headers: http.client.HTTPMessage, size_bytes: int, *, path: str) -> Version:
    """The version that headers describe. path: of the URL; its last part is the name where the server gives none."""
    name = _file_name(headers) or path.rpartition("/")[2]
    return Version(size_bytes, identity_of(headers), media_type(headers), name)


def identity_of(headers: http.client.HTTPMessage) -> str | None:
    """See `Version`."""
    etag = (headers["ETag"] or "").strip()
    if etag.startswith('"') and etag.endswith('"') and len(etag) > 2:
        return etag[1:-1]
    return f"{MODIFIED}{headers['Last-Modified'].strip()}" if headers["Last-Modified"] else None


def media_type(headers: http.client.HTTPMessage) -> str:
    """Such as `image/jpeg`; "" where the server gives none."""
    return headers.get_content_type() if headers["Content-Type"] else ""


def whole_number(text: str | None) -> int | None:
    """A number of 0 or more. Digits are ASCII's: `isdigit` takes `²` too, and `int` does not."""
    digits = (text or "").strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS
    return int(digits) if is_number else None


def total_bytes(headers: http.client.HTTPMessage) -> int | None:
    """The size of the whole file in Content-Range."""
    return whole_number((headers["Content-Range"] or "").rpartition("/")[2])


def retry_after_s(headers: http.client.HTTPMessage) -> float:
    """How long a busy server asks to wait, by seconds or by a date; 0 where it does not say."""
    text = headers["Retry-After"]
    if (seconds := whole_number(text)) is not None:
        return float(seconds)
    date = email.utils.parsedate_tz(text or "")
    try:
        return email.utils.mktime_tz(date) - time.time() if date else 0.0
    except (ValueError, OverflowError):  # a year that is none
        return 0.0


def _file_name(headers: http.client.HTTPMessage) -> str | None:
    try:
        return headers.get_filename()
    except (LookupError, ValueError):  # by a character set that is none
        return None
