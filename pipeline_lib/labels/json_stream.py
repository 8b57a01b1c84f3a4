"""Read a large JSON file in parts: the items of its arrays and objects, one at a time, in bounded memory.

Python's json reads whole texts only, several gigabytes for COCO's training set.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from pipeline_lib.errors import BadData

CHUNK_BYTES = 1 << 20
MOST_ITEM_BYTES = 1 << 26  # one record; a larger one is no record of an image
SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()


class JsonStream:
    """A cursor in a JSON text. file: for messages. Raises BadData, naming the byte, for what is no JSON or is cut off."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._dropped, self._ended = "", 0, 0, False

    def peek(self) -> str:
        """The next character that is not a blank; "" at the end."""
        while True:
            self._at = SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def members(self) -> Iterator[str]:
        """Yield the keys of the object that begins here; the caller reads or skips each value before the next."""
        self._expect("{")
        while self.peek() != "}":
            key = self.value()
            if not isinstance(key, str):
                raise self._broken("a key that is no text")
            self._expect(":")
            yield key
            if self.peek() != "}":
                self._expect(",")
        self._expect("}")

    def items(self) -> Iterator[int]:
        """Yield the index of each item of the array that begins here; the caller reads each before the next."""
        self._expect("[")
        number = 0
        while self.peek() != "]":
            yield number
            number += 1
            if self.peek() != "]":
                self._expect(",")
        self._expect("]")

    def value(self) -> Any:
        """Read one value as a whole."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if self._ended or len(self._text) - self._at > MOST_ITEM_BYTES:
                    is_cut = error.pos >= len(self._text.rstrip()) - 1
                    is_cut = is_cut or error.msg.startswith("Unterminated")
                    raise self._broken(error.msg, is_cut=self._ended and is_cut) from error
            except RecursionError as error:
                raise self._broken("nested too deeply") from error
            else:
                # a number at the end of the text may go on
                if end < len(self._text) or self._ended:
                    self._at = end
                    return found
            self._more()

    def skip(self) -> None:
        """Read past one value; the items of an array or object are read one by one."""
        start = self.peek()
        if start == "[":
            for _ in self.items():
                self.value()
        elif start == "{":
            for _ in self.members():
                self.skip()
        else:
            self.value()

    def _expect(self, sign: str) -> None:
        found = self.peek()
        if found != sign:
            raise self._broken(f"{sign} expected", is_cut=not found)
        self._at += 1

    def _more(self) -> bool:
        """Read on, as much again as is held, so that a long value is not tried too often; False at the end of the file."""
        if self._ended:
            return False
        data = self._file.read(max(CHUNK_BYTES, len(self._text) - self._at))
        self._ended = not data
        try:
            text = self._decode.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise BadData(
                "not UTF-8 text", file=self._name, value=error, remedy="save it as UTF-8"
            ) from error
        self._dropped += self._at
        self._text, self._at = self._text[self._at :] + text, 0
        return not self._ended

    def _broken(self, detail: str, *, is_cut: bool = False) -> BadData:
        what = "the JSON file is cut off" if is_cut else "not valid JSON"
        what += f" at character {self._dropped + self._at}"
        remedy = "fetch or write the file again, and compare its size"
        return BadData(what, file=self._name, value=detail, remedy=remedy)
