"""Progress that fits where it is read: a bar on a terminal, one line every 30 seconds in a log.

The line has a fixed form, which the Prefect task parses into a progress artifact:
`progress: convert 1200/5000 images, 24 %, 310 images/s, 12 s left`.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm

from pipeline_lib.settings import Settings

log = logging.getLogger(__name__)


@contextlib.contextmanager
def progress(what: str, unit: str, total: int, settings: Settings) -> Iterator[Callable[[int], object]]:
    """Give a function that is called with how many more are done, and shows their share, the rate and the time left."""
    if sys.stderr.isatty():
        with tqdm(desc=what, unit=f" {unit}", total=total, leave=False) as bar:
            yield bar.update
    else:
        yield Meter(what, unit, total, settings.progress_every_s).step


class Meter:
    """Count steps and log a line at most every `every_s` seconds. For loops that have a note to show, too."""

    def __init__(self, what: str, unit: str, total: int, every_s: float) -> None:
        self.what, self.unit, self.total, self.every_s = what, unit, total, every_s
        self.done, self.skipped, self.started = 0, 0, time.monotonic()
        self.last = self.started

    def skip(self, count: int) -> None:
        """Count what an earlier run has done: it is no part of the rate."""
        self.done += count
        self.skipped += count

    def step(self, count: int = 1, note: str = "") -> None:
        """Add to the count; `note` (loss, accuracy) ends the line when it is time for one."""
        self.done += count
        now = time.monotonic()
        if now - self.last < self.every_s:
            return
        self.last = now
        rate = (self.done - self.skipped) / (now - self.started)
        left_s = (self.total - self.done) / rate
        percent = 100 * self.done / max(self.total, 1)
        share = f"{self.done}/{self.total} {self.unit}, {percent:.0f} %"
        line = f"progress: {self.what} {share}, {rate:.3g} {self.unit}/s, {left_s:.0f} s left"
        log.info("%s%s", line, f", {note}" if note else "")
