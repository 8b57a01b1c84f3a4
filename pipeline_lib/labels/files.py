"""The files that labels are read from, wherever they lie: beside a source, loose in it, or inside its archives."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO, cast

from pipeline_lib.errors import BadData, SourceMissing
from pipeline_lib.labels.params import fits
from pipeline_lib.sources.objects import Place, SourceObject
from pipeline_lib.sources.range_file import RangeFile

BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class Files:
    """Files by name, as the source stores names. address: what comes before the names in messages."""

    open_by_name: Mapping[str, Callable[[], BinaryIO]]
    address: str = ""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        return tuple(sorted(self.open_by_name))

    def stream(self, name: str) -> BinaryIO:
        """Open a file for reading, from its beginning."""
        return self.open_by_name[name]()

    def read(self, name: str) -> bytes:
        """The whole of a small file."""
        with self.stream(name) as file:
            return file.read()

    def head(self, name: str, size_bytes: int) -> bytes:
        """The first bytes of a file."""
        with self.stream(name) as file:
            return file.read(size_bytes)

    def matching(self, patterns: Sequence[str]) -> list[str]:
        """The names that fit any pattern, sorted. Raises SourceMissing for a pattern that none fits."""
        found: set[str] = set()
        for pattern in patterns:
            here = [name for name in self.names if fits(pattern, name)]
            if not here:
                raise SourceMissing(
                    "the source has no such file of labels",
                    file=self.at(pattern),
                    remedy="fix `labels` of the source in params.yaml, or run `perennial init` again",
                )
            found.update(here)
        return sorted(found)

    def at(self, name: str) -> str:
        """A name for messages."""
        return f"{self.address.rstrip('/')}/{name}" if self.address else name


def files_beside(place: Place, listed: Sequence[SourceObject] | None = None) -> Files:
    """The file that an address names, or the files of its folder. listed: as they were listed; None lists them now."""
    found = list(place.list()) if listed is None else listed
    if not found:
        raise SourceMissing("nothing is there", file=place.address, remedy="put the labels there")
    if place.is_single:
        return Files({place.address: opener(place, found[0])})
    return Files({one.key: opener(place, one) for one in found if not one.fault}, place.address)


def opener(place: Place, wanted: SourceObject) -> Callable[[], BinaryIO]:
    """Return the function that opens an object, to be read in parts."""
    return lambda: cast(BinaryIO, io.BufferedReader(RangeFile(place, wanted), BUFFER_BYTES))


class Window(io.RawIOBase):
    """A part of a file as a file of its own, such as a member of a tar."""

    def __init__(self, open_whole: Callable[[], BinaryIO], start: int, size_bytes: int) -> None:
        self._file, self._start, self._size, self._at = open_whole(), start, size_bytes, 0

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
        """Move within the part."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(base + offset, 0)
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer as far as the part goes."""
        self._file.seek(self._start + self._at)
        data = self._file.read(max(min(len(buffer), self._size - self._at), 0))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        """Close the whole file too: nobody else has it."""
        self._file.close()
        super().close()


def window(
    open_whole: Callable[[], BinaryIO], start: int, size_bytes: int
) -> Callable[[], BinaryIO]:
    """Return the function that opens a part of a file."""
    return lambda: cast(
        BinaryIO, io.BufferedReader(Window(open_whole, start, size_bytes), BUFFER_BYTES)
    )


def only_text(data: Iterable[bytes], *, file: str) -> list[str]:
    """Decode lines of UTF-8, without their ends. Raises BadData naming the line."""
    lines = []
    for number, line in enumerate(data, 1):
        try:
            lines.append(line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise BadData(
                "not UTF-8 text", file=f"{file}:{number}", value=error, remedy="save it as UTF-8"
            ) from error
    return lines
