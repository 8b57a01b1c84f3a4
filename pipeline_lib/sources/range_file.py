"""An object of a source as a file that can be read anywhere."""

from __future__ import annotations

import errno
import io
from typing import Protocol

from pipeline_lib.sources.objects import SourceObject


class Readable(Protocol):
    """The part of a `Place` that a file of an object takes."""

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """As in `Place`."""


class RangeFile(io.RawIOBase):
    """An object as a file that can be read anywhere; on S3 each read is a request."""

    def __init__(self, place: Readable, wanted: SourceObject) -> None:
        self._place, self._wanted, self._at = place, wanted, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; nothing is read."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._wanted.size_bytes}[
            whence
        ]
        if start + offset < 0:  # as a file on a disk answers, which readers of zips count on
            raise OSError(errno.EINVAL, "before the beginning of the object")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as the object goes."""
        data = self._place.read_part(self._wanted, start=self._at, size_bytes=len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
