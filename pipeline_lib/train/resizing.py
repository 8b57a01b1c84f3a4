"""Training pictures that grow from epoch to epoch, behind the interface of a loader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from pipeline_lib.loader import Batch, BatchLoader


class ResizingLoader:
    """Shows an epoch at sides_E[due] pixels, or at the last size.

    open_at: opens the same pictures at a size; one loader is open at a time. due: set before each epoch.
    """

    def __init__(self, sides_E: Sequence[int], open_at: Callable[[int], BatchLoader]) -> None:
        self.sides_E, self.open_at = sides_E, open_at
        self.due = 0
        self.side_px, self.loader = sides_E[0], open_at(sides_E[0])
        self.kind, self.image_ids = self.loader.kind, self.loader.image_ids

    def __len__(self) -> int:
        return len(self.loader)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        side_px = self.sides_E[min(self.due, len(self.sides_E) - 1)]
        if side_px != self.side_px:
            self.loader.close()
            self.side_px, self.loader = side_px, self.open_at(side_px)
        return self.loader.epoch(epoch, start)

    def close(self) -> None:
        self.loader.close()
