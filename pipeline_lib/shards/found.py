"""What reading an archive's directory yields, before any decision on names."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_lib.reasons import Reason
from pipeline_lib.shards.names import refusal


@dataclass(frozen=True, slots=True)
class Found:
    """One file in an archive. name: stored form. offset_bytes: of its data in the container, -1 for none."""

    name: str
    offset_bytes: int
    size_bytes: int
    fault: Reason | None = None  # a link, a device, ...
    crc32: int | None = None  # what the archive states, where it does

    def refusal(self, max_file_bytes: int) -> Reason | None:
        """Why it is not taken; None when it is."""
        return self.fault or refusal_of(self.name, self.size_bytes, max_file_bytes)


def refusal_of(name: str, size_bytes: int, max_file_bytes: int) -> Reason | None:
    """Why a plain file of this stored name and size is not taken; None when it is."""
    return refusal(name) or (Reason.FILE_TOO_LARGE if size_bytes > max_file_bytes else None)
