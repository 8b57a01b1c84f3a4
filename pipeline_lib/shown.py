"""Text from outside as it may be shown: no secret of an address, and nothing that a terminal or a page would obey.

Names of files and classes, cells of tables and addresses come from others. Every error, line of the log, page and
answer on a terminal goes through `shown`; files for machines keep the bytes as they are, escaped by their own rules.
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
    (re.compile(r"(?<=://)[^\s/@'\"]+@"), "***@"),  # user:password@ of an address
    (re.compile(r"(?i)([?&][^=&\s]*(?:token|secret|passw|signature|credential|apikey)[^=&\s]*=)[^&\s'\"]+"), r"\1***"),
)
# Control characters but tab and line feed, what turns the direction of text (Unicode TR 9: marks, embeddings, overrides
# and isolates), and halves of characters, which stand for bytes that are no UTF-8 and cannot be written.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def shown(text: str) -> str:
    """The text without secrets, each character that would be obeyed as its escape: `\\x1b`, `\\u202e`."""
    return visible(redacted(text))


def redacted(text: str) -> str:
    """The text with *** in place of users, passwords and tokens in addresses."""
    for pattern, instead in SECRETS:
        text = pattern.sub(instead, text)
    return text


def visible(text: str) -> str:
    """The text with the escape of each character that a terminal or browser would obey instead of showing it."""
    return OBEYED.sub(lambda found: found[0].encode("unicode_escape", "surrogatepass").decode(), text)


MARKUP = re.compile(r"[\\`\[\]|]")


def as_markdown(text: str) -> str:
    """Text from outside within Markdown, as it reads: no HTML, link, image, code or table of its own."""
    one_line = " ".join(shown(text).split())
    return MARKUP.sub(r"\\\g<0>", one_line).replace("&", "&amp;").replace("<", "&lt;")


def as_code(text: str) -> str:
    """Text from outside within a code span of Markdown."""
    return " ".join(shown(text).split()).replace("`", "'")


class ShownFormatter(logging.Formatter):
    """A line of the log. before: what precedes it as it is, such as the escape that wipes a live line."""

    def __init__(self, form: str, *, before: str = "") -> None:
        super().__init__(form)
        self.before = before

    def format(self, record: logging.LogRecord) -> str:
        """The record as it may be shown."""
        return self.before + shown(super().format(record))


def log_to_stderr(form: str, *, before: str = "", level: int = logging.WARNING) -> None:
    """Send the log of this process to stderr, unless somebody has begun one."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(ShownFormatter(form, before=before))
    logging.basicConfig(level=level, handlers=[handler])


@contextlib.contextmanager
def shown_on_stdout() -> Iterator[None]:
    """What is printed in the block goes to stdout as it may be shown."""
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
        return self.stream.isatty()

    def fileno(self) -> int:
        return self.stream.fileno()
