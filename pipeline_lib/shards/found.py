"""What reading an archive's directory yields, before any decision on names."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_lib.reasons import Reason


@dataclass(frozen=True, slots=True)
class Found:
    """One file in an archive. name: stored form. offset_bytes: of its data in the container, -1 for none."""

    name: str
    offset_bytes: int
    size_bytes: int
    fault: Reason | None = None  # a link, a device, ...
    crc32: int | None = None  # what the archive states, where it does
