"""Write files and folders that appear whole or not at all, also after kill -9.

Everything is written beside its final name (same file system), flushed to the disk and renamed. The next run removes
partial files that a killed run left.
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

from pipeline_lib.errors import no_room


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Open a binary file that is renamed to `path` when the block ends without an error.

    Raises NoSpace when the disk is full; an old file at `path` then stays. Anything at the partial name is removed, and
    a link there is never followed, since somebody else may have put it there.
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
    """Yield an empty folder to fill, which replaces `path` when the block ends without an error, and else is removed."""
    partial = path.with_name(f"{path.name}.partial")
    remove_tree(partial)
    partial.mkdir(parents=True)
    try:
        with translate_full_disk(path):
            yield partial
            for file in partial.rglob("*"):
                if file.is_file():
                    _sync(file)
    except BaseException:
        remove_tree(partial)
        raise
    remove_tree(path)
    partial.replace(path)
    sync_folder(path.parent)


@contextlib.contextmanager
def shared_folder(path: Path) -> Iterator[Path]:
    """Like `atomic_folder`, but safe when several processes write the same content; the first one wins."""
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
    """Create the folder if it is missing, close it to other users (mode 700) if it is ours, and return it."""
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

    A linked file must never be written in place; everything in this module is replaced by rename instead.
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
    """Flush the names in a folder to the disk."""
    _sync(path)


@contextlib.contextmanager
def translate_full_disk(path: Path) -> Iterator[None]:
    """Turn what a system says that has no room for a file into NoSpace, which names the free space."""
    try:
        yield
    except OSError as error:
        if full := no_room(error, file=path):
            raise full from error
        raise


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
