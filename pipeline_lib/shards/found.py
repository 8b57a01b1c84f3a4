"""The entries of an archive's directory, and the reasons for refusing a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline_lib.reasons import Reason
from pipeline_lib.shards.sniff import may_be_image
from pipeline_lib.sources.names import is_undecided, refusal


@dataclass(frozen=True, slots=True)
class Found:
    """One file in an archive. name: stored form. offset_bytes: of its data in the container, -1 for none."""

    name: str
    offset_bytes: int
    size_bytes: int
    fault: Reason | None = None  # a link, a device, ...
    crc32: int | None = None  # what the archive states, where it does

    def refusal(
        self, max_file_bytes: int, head: Callable[[], bytes] | None = None
    ) -> Reason | None:
        """The reason for refusing it; None if it is accepted. See `refusal_of`."""
        return self.fault or refusal_of(self.name, self.size_bytes, max_file_bytes, head)


def refusal_of(
    name: str, size_bytes: int, max_file_bytes: int, head: Callable[[], bytes] | None = None
) -> Reason | None:
    """The reason for refusing a plain file of this stored name and size; None if it is accepted.

    head: gives its first HEAD_BYTES. It is called only where neither name nor size decides; without it, such a file is
    taken until its bytes are there.
    """
    if reason := refusal(name):
        return reason
    if size_bytes > max_file_bytes:
        return Reason.FILE_TOO_LARGE
    is_other = head is not None and is_undecided(name) and not may_be_image(head())
    return Reason.NOT_IMAGE if is_other else None
