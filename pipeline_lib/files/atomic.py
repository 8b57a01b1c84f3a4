"""Files and folders that appear whole or not at all, also after kill -9.

Everything is written beside its final name (same file system), flushed to the disk and renamed. What a killed run left
beside it is removed by the next run.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline_lib.errors import NoSpace


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that is renamed to `path` when the block ends without an error.

    Raises NoSpace when the disk is full; the old file at `path`, if any, is then still there. What lies at the partial
    name is removed and never followed: it may be a link that somebody put there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        remove_tree(partial)
        with translate_full_disk(path), partial.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        sync_folder(path.parent)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; it takes the place of `path` when the block ends without an error."""
    partial = path.with_name(f"{path.name}.partial")
    remove_tree(partial)
    partial.mkdir(parents=True)
    with translate_full_disk(path):
        yield partial
    for file in partial.rglob("*"):
        if file.is_file():
            _sync(file)
    remove_tree(path)
    partial.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def shared_folder(path: Path) -> Iterator[Path]:
    """As `atomic_folder`, for a place where other processes may put the same content at this moment: the first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f"{path.name}.", suffix=".partial", dir=path.parent))
    try:
        with translate_full_disk(path):
            yield partial
        partial.chmod(0o755)
        try:
            partial.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
    finally:
        remove_tree(partial)


def private_folder(path: Path) -> Path:
    """The folder, made where it is absent and closed to other users (mode 700) where it is ours."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        path.chmod(0o700)
    return path


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_file(path) as file:
        file.write(text.encode())


def link_or_copy(source: Path, target: Path) -> None:
    """Give `target` the bytes of `source` without a second copy where the file system can link.

    A linked file must never be written in place; everything here is replaced by rename instead.
    """
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP):
            raise
        shutil.copyfile(source, target)


def remove_tree(path: Path) -> None:
    """Remove a file or folder that may not exist."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    _sync(path)


@contextlib.contextmanager
def translate_full_disk(path: Path) -> Iterator[None]:
    """Turn ENOSPC and EDQUOT into NoSpace, which says how much is left."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        left_mb = shutil.disk_usage(path.parent).free // 1_000_000
        remedy = "free some space (docs/operations.md says what may go) and run again; it continues"
        raise NoSpace("the disk is full", file=path, value=f"{left_mb} MB left", remedy=remedy) from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
