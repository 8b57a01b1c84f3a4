"""Limits on the unpacked size of archives, so that no file from outside fills the machine."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline_lib.errors import BadData

SMALL_BYTES = (
    1 << 28
)  # unpacked; below it no ratio is asked for: no disk fills, and plain scans of digits pack well


@dataclass(frozen=True)
class ArchiveLimits:
    """Limits of one archive; max_ratio: unpacked bytes for each received byte."""

    max_file_bytes: int
    max_unpacked_bytes: int
    max_ratio: int

    def refuse_bomb(self, unpacked_bytes: int, *, received_bytes: int, name: str) -> None:
        """Raise BadData if there are too many unpacked bytes, counted or promised. name: of the archive."""
        if unpacked_bytes > self.max_unpacked_bytes:
            limit, key = f"{self.max_unpacked_bytes} bytes", "max_unpacked_bytes"
        elif unpacked_bytes > max(SMALL_BYTES, self.max_ratio * received_bytes):
            limit, key = f"{self.max_ratio} times its size", "max_unpacked_ratio"
        else:
            return
        raise BadData(
            f"the archive unpacks to more than {limit}: a bomb, or images that compress unusually well",
            file=name,
            value=f"{unpacked_bytes} bytes or more from {received_bytes}",
            remedy=f"if you trust its origin, raise download.{key} in params.yaml; else remove it from the source",
        )
