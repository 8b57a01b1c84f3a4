"""URLs: their parts, how to show them, and the names that they give to images."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urljoin, urlsplit

from pipeline_lib.errors import BadData
from pipeline_lib.sources.names import encode_name

WEB = ("http://", "https://")
PORTS = {"http": 80, "https": 443}
# What a signed address adds, other in each signature: S3, CloudFront, GCS, Azure. Never part of a name.
SIGNATURE = re.compile(
    r"(?i)^(x-amz-.*|x-goog-.*|signature|expires|key-pair-id|policy|awsaccesskeyid|googleaccessid|sig|s[eprtv]|spr|ske|sk.*"
    r"|.*token.*)$"
)


def is_web(uri: str) -> bool:
    """Whether an address is one, or several, of http:// and https://."""
    return uri.startswith(WEB)


@dataclass(frozen=True)
class Origin:
    """Where requests go: credentials are meant for one origin and no other."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_usual = self.port == PORTS[self.scheme]
        return f"{self.scheme}://{host}" if is_usual else f"{self.scheme}://{host}:{self.port}"


@dataclass(frozen=True)
class Url:
    """An address. target: path and query, as a request line has them."""

    origin: Origin
    target: str

    @property
    def path(self) -> str:
        """The path, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def shown(self) -> str:
        """The address without its query, which may hold a signature."""
        return f"{self.origin}{self.path}"

    def __str__(self) -> str:
        return f"{self.origin}{self.target}"


def parse_url(text: str, *, file: str, base: str = "") -> Url:
    """Read an http:// or https:// address. Raises BadData for anything else, and for a user or password in it.

    file: where the address stands, for the message. base: the address that a relative one is relative to.
    """
    try:
        parts = urlsplit(urljoin(base, text.strip()))
        port = parts.port
        host = (parts.hostname or "").encode("idna").decode("ascii") if parts.hostname else ""
    except (
        ValueError
    ) as error:  # a port that is no number, a bracket that does not close, a label of 64 letters
        raise BadData(
            "not a URL", file=file, value=_without_query(text), remedy=f"{error}"
        ) from error
    if parts.scheme not in PORTS or not host:
        remedy = "write http:// or https:// addresses"
        raise BadData("not a URL", file=file, value=_without_query(text), remedy=remedy)
    if parts.username or parts.password:
        remedy = (
            "leave them out, and name the variable that holds a token in the setting url_tokens"
        )
        raise BadData("a URL with a user or password in it", file=file, value=host, remedy=remedy)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._", errors="surrogateescape")
    query = quote(parts.query, safe="/%:@!$&'()*+,;=~-._?", errors="surrogateescape")
    target = f"{path}?{query}" if query else path
    return Url(Origin(parts.scheme, host, port or PORTS[parts.scheme]), target)


def next_hop(url: Url, location: str) -> Url:
    """The address that a redirect of `url` names. Raises BadData for what is no http:// or https:// address."""
    # http.client reads headers as Latin-1; most servers that escape nothing mean UTF-8
    escaped = re.sub(r"[^\x00-\x7f]", lambda found: f"%{ord(found[0]):02X}", location)
    return parse_url(escaped, file=url.shown, base=str(url))


def name_of(url: Url) -> str:
    """The name of an image from a URL, as bytes of a path would give it: `host/folder/1.jpg`.

    The host keeps equal paths of two servers apart. A query that is not just a signature adds ten digits of its digest.
    """
    host = str(url.origin).partition("://")[2].strip("[]").replace(":", "_")
    raw = unquote_to_bytes(url.path).split(b"/")
    parts = [part for part in raw if part not in (b"", b".", b"..")] or [b"index"]
    query = url.target.partition("?")[2]
    kept = [
        pair for pair in parse_qsl(query, keep_blank_values=True) if not SIGNATURE.match(pair[0])
    ]
    if kept:
        digest = hashlib.sha256(repr(kept).encode()).hexdigest()[:10].encode()
        stem, dot, ending = parts[-1].rpartition(b".")
        parts[-1] = stem + b"-" + digest + b"." + ending if dot else parts[-1] + b"-" + digest
    return encode_name(host.encode() + b"/" + b"/".join(parts))


def _without_query(text: str) -> str:
    return text.partition("?")[0][:200]
