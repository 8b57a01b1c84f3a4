"""A file on its way here, piece by piece, so that a killed transfer can go on where it was.

Beside the file lies a line for each piece that came whole, with its checksum. Whoever goes on hashes what is there: a
piece that a crash of the machine kept from the disk is then fetched again.
"""

from __future__ import annotations

import fcntl
import os
from functools import cached_property
from pathlib import Path
from typing import Any

PIECE_BYTES = 16 << 20  # of each, a kill costs one per worker


def notes_of(file: Path) -> Path:
    """Where the whole pieces of a file are noted."""
    return file.with_name(f"{file.name}.pieces")


class Arriving:
    """The pieces of one version of an object. Thread-safe; each piece is written in order, from its beginning."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        self.path, self.size_bytes = path, size_bytes
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)

    def lock(self) -> bool:
        """Keep other processes from it, until it is closed; whether that is possible, and the file still there."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(self._handle), self.path.stat())
        except (BlockingIOError, FileNotFoundError):  # another has it, or has just removed it
            return False

    def close(self) -> None:
        """Close the file; its lock, if it has one, goes too."""
        os.close(self._handle)

    @cached_property
    def missing(self) -> tuple[range, ...]:
        """The pieces that an earlier transfer did not bring, or not whole."""
        noted = self._noted()
        return tuple(
            piece
            for piece in map(self._piece, range(self._n_pieces))
            if piece.start not in noted or noted[piece.start] != self._checksum(piece)
        )

    @property
    def is_whole(self) -> bool:
        """Whether every piece came."""
        return len(self._noted()) == self._n_pieces

    @property
    def has_piece(self) -> bool:
        """Whether any piece came: without one there is nothing to go on with."""
        return bool(self._noted())

    @property
    def there_bytes(self) -> int:
        """What an earlier transfer brought."""
        return self.size_bytes - sum(map(len, self.missing))

    def write(self, chunk: Any, position: int) -> None:
        """Write some bytes, and note the pieces that end in them."""
        left, at = memoryview(chunk), position
        while left:
            written = os.pwrite(self._handle, left, at)
            left, at = left[written:], at + written
        for number in range(position // PIECE_BYTES, -(-at // PIECE_BYTES)):
            piece = self._piece(number)
            if position < piece.stop <= at:
                with notes_of(self.path).open("a", encoding="ascii") as notes:
                    notes.write(f"{piece.start} {self._checksum(piece)}\n")

    @property
    def _n_pieces(self) -> int:
        return -(-self.size_bytes // PIECE_BYTES)

    def _piece(self, number: int) -> range:
        start = number * PIECE_BYTES
        return range(start, min(start + PIECE_BYTES, self.size_bytes))

    def _noted(self) -> dict[int, str]:
        """Start of a piece -> checksum; a line that was cut off is none."""
        try:
            lines = notes_of(self.path).read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return {}
        pairs = (line.split(" ") for line in lines if line.count(" ") == 1)
        return {int(start): checksum for start, checksum in pairs}

    def _checksum(self, piece: range) -> str:
        """XXH3, as the memo has it; "" where the file ends before the piece."""
        import xxhash  # not in the set of packages that reads a model alone

        found, at = xxhash.xxh3_128(), piece.start
        while at < piece.stop and (
            data := os.pread(self._handle, min(1 << 20, piece.stop - at), at)
        ):
            found.update(data)
            at += len(data)
        return found.hexdigest() if at == piece.stop else ""
