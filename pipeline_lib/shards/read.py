"""The bytes of one member, read at its offset; nothing is ever unpacked."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

from pipeline_lib.errors import OutputDamaged


class MemberBytes:
    """Read members of the containers below shards/. Safe in threads and after a fork.

    A container is opened for each read: 10 microseconds, against milliseconds of decoding, and no limit on files.
    """

    def __init__(self, shards_folder: Path) -> None:
        self._path = shards_folder
        try:
            self._folder = os.open(shards_folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise OutputDamaged(
                "the folder of shards is missing",
                file=shards_folder,
                remedy="run `dvc checkout`, or `dvc repro`",
            ) from error

    def read(self, container: str, offset_bytes: int, size_bytes: int) -> bytes:
        """The bytes of one member. Raises OutputDamaged when the container is absent or ends before them."""
        try:
            handle = os.open(container, os.O_RDONLY, dir_fd=self._folder)
        except OSError as error:
            raise OutputDamaged(
                "a container of shards is missing",
                file=self._path / container,
                remedy="run `dvc checkout`, or `dvc repro`",
            ) from error
        try:
            data = os.pread(handle, size_bytes, offset_bytes)
        finally:
            os.close(handle)
        if len(data) < size_bytes:
            found = f"{len(data)} of {size_bytes} bytes at offset {offset_bytes}"
            remedy = "remove the file, then `dvc checkout`, or `dvc repro`"
            raise OutputDamaged(
                "a container of shards ends early",
                file=self._path / container,
                value=found,
                remedy=remedy,
            )
        return data

    def close(self) -> None:
        """Close the folder; closing it twice is allowed."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def __enter__(self) -> MemberBytes:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
