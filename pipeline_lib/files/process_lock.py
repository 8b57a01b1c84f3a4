"""Locks between processes: the kernel releases one when its holder ends, however it ends."""

from __future__ import annotations

from pathlib import Path

from filelock import UnixFileLock


def process_lock(file: Path) -> UnixFileLock:
    """Return a lock on a file that is created if needed, and never replaced: enter it, or `acquire(timeout=seconds)`.

    Programs and forks of the holder do not hold it. Raises OSError on a file system without flock: filelock's
    substitute, a marker file, would outlive a killed holder.
    """
    return UnixFileLock(file, fallback_to_soft=False, thread_local=False)
