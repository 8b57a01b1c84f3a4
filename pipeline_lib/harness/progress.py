"""Show progress: one live line on a terminal, one line every 30 seconds in a log.

Both have the same form, which the Prefect task parses into a progress artifact:
`progress: convert 1200/5000 images, 24 %, 310 images/s, 12 s left`. Where nobody knows how many there will be:
`progress: list 1200 files, 310 files/s`.
"""

from __future__ import annotations

import contextlib
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from pipeline_lib.harness.terminal import clear_live, show_live
from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)
Item = TypeVar("Item")
LIVE_EVERY_S = 0.2


@contextlib.contextmanager
def progress(
    what: str, unit: str, total: int | None, settings: Settings
) -> Iterator[Callable[[int], object]]:
    """Yield a callback; call it with the number of items just finished. The live line goes when the block ends.

    total: how many there are; None where that is not known.
    """
    try:
        yield Meter(what, unit, total, settings.progress_every_s).step
    finally:
        clear_live()


class Meter:
    """Count finished items and show their share, the rate and the time left, in a log every `every_s` seconds."""

    def __init__(self, what: str, unit: str, total: int | None, every_s: float) -> None:
        self.what, self.unit, self.total = what, unit, total
        self.live = sys.stderr.isatty()
        self.every_s = LIVE_EVERY_S if self.live else every_s
        self.done, self.skipped, self.waited_s, self.started = 0, 0, 0.0, time.monotonic()
        self.last = self.started

    def skip(self, count: int) -> None:
        """Count items that an earlier run has finished, which do not count for the rate."""
        self.done += count
        self.skipped += count

    def waited_for(self, items: Iterator[Item]) -> Iterator[Item]:
        """Yield the same items and time the wait for each; the line then shows the share of that time."""
        while True:
            began = time.monotonic()
            item = next(items, None)
            self.waited_s += time.monotonic() - began
            if item is None:
                return
            yield item

    def step(self, count: int = 1, note: str = "", most_s: float = math.inf) -> None:
        """Add to the count, and show a line, ending in `note` (loss, accuracy), when it is time for one.

        most_s: seconds after which the work ends, finished or not.
        """
        self.done += count
        now = time.monotonic()
        if now - self.last < self.every_s:
            return
        self.last = now
        line = self._line(now - self.started, note, most_s)
        if self.live:
            show_live(line.removeprefix("progress: "))
        else:
            log.info(line)

    def _line(self, elapsed_s: float, note: str, most_s: float) -> str:
        rate = (self.done - self.skipped) / elapsed_s
        per_s = f"{float(f'{rate:.3g}'):.0f}" if rate >= 1000 else f"{rate:.3g}"
        if self.total is None:
            return f"progress: {self.what} {self.done} {self.unit}, {per_s} {self.unit}/s"
        percent = 100 * self.done / max(self.total, 1)
        share = f"{self.done}/{self.total} {self.unit}, {percent:.0f} %"
        left_s = max(0, min((self.total - self.done) / rate, most_s))
        line = f"progress: {self.what} {share}, {per_s} {self.unit}/s, {left_s:.0f} s left"
        waited = (
            f"{100 * self.waited_s / elapsed_s:.0f} % waiting for data" if self.waited_s else ""
        )
        return ", ".join(part for part in (line, waited, note) if part)
