"""Make text from outside safe to show: no secrets of addresses, no control sequences for a terminal or a page.

File and class names, table cells and addresses come from others. Every error, log line, page and terminal output goes
through `shown`; files for machines keep the original bytes, escaped by the rules of their format.
"""

from __future__ import annotations

import contextlib
import io
import logging
import re
import sys
from collections.abc import Iterator
from typing import TextIO

SECRETS = (
    (re.compile(r"(?<=://)[^\s/@'\"]+@"), "***@"),  # user:password@ in an address
    (
        re.compile(
            r"(?i)([?&](?:[^=&\s]*(?:token|secret|passw|signature|credential|apikey)[^=&\s]*"
            r"|sig|pwd|jwt)=)[^&\s'\"]+"  # sig: of Azure's signed addresses
        ),
        r"\1***",
    ),
)
# Control characters but tab and line feed, what turns the direction of text (Unicode TR 9: marks, embeddings, overrides
# and isolates), and halves of characters, which stand for bytes that are no UTF-8 and cannot be written.
OBEYED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def shown(text: str) -> str:
    """Remove secrets, and replace each control character by its escape: `\\x1b`, `\\u202e`."""
    return visible(redacted(text))


def redacted(text: str) -> str:
    """Replace users, passwords and tokens in addresses by ***."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def visible(text: str) -> str:
    """Replace each character that a terminal or browser would obey instead of showing by its escape."""
    return OBEYED.sub(
        lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text
    )


MARKUP = re.compile(r"[\\`\[\]|]")


def as_markdown(text: str) -> str:
    """Escape text from outside for Markdown: it makes no HTML, link, image, code or table."""
    one_line = " ".join(shown(text).split())
    return MARKUP.sub(r"\\\g<0>", one_line).replace("&", "&amp;").replace("<", "&lt;")


def as_code(text: str) -> str:
    """Escape text from outside for a code span of Markdown."""
    return " ".join(shown(text).split()).replace("`", "'")


class ShownFormatter(logging.Formatter):
    """Format log lines for display. before: an unescaped prefix, such as the escape that clears a live line."""

    def __init__(self, form: str, *, before: str = "") -> None:
        super().__init__(form)
        self.before = before

    def format(self, record: logging.LogRecord) -> str:
        """Format the record, safe to show."""
        return self.before + shown(super().format(record))


def log_to_stderr(form: str, *, before: str = "", level: int = logging.WARNING) -> None:
    """Send the log of this process to stderr, unless a handler is already set up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ShownFormatter(form, before=before))
    logging.basicConfig(level=level, handlers=[handler])


@contextlib.contextmanager
def shown_on_stdout() -> Iterator[None]:
    """Make everything printed in the block safe to show."""
    with contextlib.redirect_stdout(_Shown(sys.stdout)):
        yield


class _Shown(io.TextIOBase):
    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(shown(text))
        return len(text)

    def flush(self) -> None:
        self.stream.flush()

    def isatty(self) -> bool:
        return not self.stream.closed and self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()
