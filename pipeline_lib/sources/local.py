"""Local files and folders: listed with links followed, told apart by their bytes and not by their dates."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from pipeline_lib.errors import BadData, ObjectRefused, SourceChanged, SourceMissing
from pipeline_lib.reasons import Reason
from pipeline_lib.sources import s3
from pipeline_lib.sources.arriving import Arriving
from pipeline_lib.sources.known_files import Digest, KnownFiles, stamp_of
from pipeline_lib.sources.names import decode_name, encode_name, is_archive
from pipeline_lib.sources.objects import FIX_SOURCES, Begin, Identified, SourceObject

FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


class LocalPlace:
    """A file or a folder of this machine. known: the digests of its files, remembered between runs."""

    def __init__(self, address: str, path: Path, known: KnownFiles | None = None) -> None:
        try:
            is_there, is_file = path.exists(), path.is_file()
            is_other = is_there and not is_file and not path.is_dir()
        except PermissionError as error:  # of a folder above it
            raise _unreadable(path, error) from error
        except OSError as error:  # a name that is too long
            raise SourceMissing(
                "no such file or folder",
                file=address[:200],
                value=error.strerror,
                remedy=FIX_SOURCES,
            ) from error
        if not is_there:
            raise SourceMissing(
                "no such file or folder",
                file=address,
                value=f"looked at {path}",
                remedy=f"{FIX_SOURCES}, or put it there",
            )
        if is_other:  # reading it might never end
            what = "neither a file nor a folder, but a pipe, socket or device"
            raise BadData(what, file=address, remedy=FIX_SOURCES)
        self.address, self.is_single = address, is_file
        self._folder = path.parent if self.is_single else path
        self._only = path if self.is_single else None
        self._known = known or KnownFiles(None)

    def list(self) -> Iterator[SourceObject]:
        """Every file below, hidden ones too, each folder sorted; links to files and folders are followed."""
        if self._only:
            yield self._object(self._only)
            return
        closed: list[Path] = []
        for folder, below, files in os.walk(
            self._folder, followlinks=True, onerror=_noted_in(closed, self._folder)
        ):
            circles = [name for name in below if _is_circle(Path(folder, name))]
            below[:] = sorted(
                name for name in below if name not in circles
            )  # `os.walk` goes into what is left here
            yield from (self._faulty(Path(folder, name), Reason.BROKEN_LINK) for name in circles)
            yield from (self._object(Path(folder, name)) for name in sorted(files))
        # what lies in them nobody knows, so each is one object
        yield from (
            SourceObject(self._key(folder), 0, fault=Reason.UNREADABLE_FOLDER) for folder in closed
        )

    def identify(
        self,
        listed: Iterable[SourceObject],
        *,
        workers: int,
        begin: Begin,
    ) -> Iterator[Identified]:
        """The files with the sha256 of their bytes. A file that went meanwhile is left out."""
        stamps = []
        for one in listed:
            if one.stamp:
                stamps.append((one.key, one.stamp))
            else:
                yield Identified(one)
        for key, digest in self._known.digests(stamps, self._path, workers=workers, begin=begin):
            if isinstance(digest, Digest):
                yield Identified(_with_digest(key, digest), digest.was_touched)
            elif digest.errno in FORBIDDEN:
                yield Identified(self._faulty(self._path(key), Reason.UNREADABLE_FILE))
            elif digest.errno != errno.ENOENT:
                raise _unreadable(self._path(key), digest)

    def look(self, wanted: SourceObject) -> SourceObject:
        """The file as it is now. Raises BadData if it went."""
        path = self._path(wanted.key)
        now = [self._object(path)] if path.exists() else []
        found = list(self.identify(now, workers=1, begin=_untold))
        if not found:
            raise self._gone(path, errno.ENOENT)
        return found[0].object

    def read(self, wanted: SourceObject) -> bytes:
        """The bytes of a file, which are compared with the listed checksum."""
        data = self._bytes(wanted, start=0, size_bytes=wanted.size_bytes)
        if wanted.checksum is None:
            self.local_path(wanted)  # and it did not change while we read
        elif hashlib.sha256(data).hexdigest() != wanted.sha256:
            raise _changed(self._path(wanted.key))
        return data

    def read_part(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        """Some of the bytes of a file."""
        data = self._bytes(wanted, start=start, size_bytes=size_bytes)
        self.local_path(wanted)
        return data

    def local_path(self, wanted: SourceObject) -> Path:
        """The path of a file. Raises SourceChanged when its bytes are not those that were listed."""
        path = self._path(wanted.key)
        try:
            stamp = stamp_of(path.stat())
            if stamp.size_bytes != wanted.size_bytes:
                raise _changed(path)
            if wanted.checksum is None:
                is_same = wanted.stamp in (None, stamp)
            else:
                is_same = wanted.sha256 == self._known.sha256(path, wanted.key)
        except PermissionError as error:
            raise _unreadable(path, error) from error
        except OSError as error:
            raise self._gone(path, error.errno) from error
        if not is_same:
            raise _changed(path)
        return path

    def _bytes(self, wanted: SourceObject, *, start: int, size_bytes: int) -> bytes:
        path = self._path(wanted.key)
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_size != wanted.size_bytes:
                    raise _changed(path)
                file.seek(start)
                return file.read(size_bytes)
        except FileNotFoundError as error:
            raise self._gone(path, error.errno) from error
        except OSError as error:
            raise _unreadable(path, error) from error

    def _path(self, key: str) -> Path:
        return self._folder / os.fsdecode(decode_name(key))

    def _gone(self, path: Path, number: int | None) -> BadData:
        return BadData(
            "the file disappeared after it was listed",
            file=path,
            value=os.strerror(number or errno.EIO),
            remedy=s3.RELIST,
        )

    def fetch(
        self,
        wanted: SourceObject,
        arriving: Arriving,
        *,
        workers: int,
        step: Callable[[int], None],
    ) -> None:
        """Never needed: local archives are read where they are."""
        raise AssertionError(wanted)

    def _object(self, path: Path) -> SourceObject:
        try:
            facts = path.stat()
        except OSError as error:
            is_forbidden = error.errno in FORBIDDEN or not path.is_symlink()
            return self._faulty(
                path, Reason.UNREADABLE_FILE if is_forbidden else Reason.BROKEN_LINK
            )
        if not stat.S_ISREG(facts.st_mode) or not os.access(path, os.R_OK):
            return self._faulty(path, Reason.UNREADABLE_FILE)
        return SourceObject(self._key(path), facts.st_size, stamp=stamp_of(facts))

    def _faulty(self, path: Path, fault: Reason) -> SourceObject:
        """An image that cannot be read. Raises BadData for a whole archive or table, which nothing replaces."""
        key = self._key(path)
        if self._only or is_archive(key):
            remedy = "remove it, fix where it points, or allow reading it (`chmod u+r`)"
            raise BadData("it cannot be read", file=path, value=fault, remedy=remedy)
        return SourceObject(key, 0, fault=fault)

    def _key(self, path: Path) -> str:
        return encode_name(os.fsencode(path.relative_to(self._folder).as_posix()))


def _is_circle(folder: Path) -> bool:
    """Whether a linked folder leads back to one above it, under any name: listing it would never end."""
    try:
        return folder.is_symlink() and any(
            folder.samefile(above) for above in folder.absolute().parents
        )
    except (
        PermissionError
    ):  # of a folder that may be listed and not entered; `os.walk` will find it closed
        return False


def _noted_in(closed: list[Path], top: Path) -> Callable[[OSError], None]:
    """Return the error handler for `os.walk`: note an unreadable folder below `top`, raise other errors."""

    def note(error: OSError) -> None:
        folder = Path(error.filename)
        if error.errno not in FORBIDDEN or folder == top:
            raise _unreadable(folder, error) from error
        closed.append(folder)

    return note


def _with_digest(key: str, digest: Digest) -> SourceObject:
    checksum = f"sha256:{digest.sha256}"
    return SourceObject(key, digest.stamp.size_bytes, checksum=checksum, stamp=digest.stamp)


def _untold(_: int, __: int) -> Callable[[int], object]:
    return lambda _: None


def _changed(path: Path) -> SourceChanged:
    found = "its bytes are not those that were listed"
    return SourceChanged(
        "the file changed after it was listed", file=path, value=found, remedy=s3.RELIST
    )


def _unreadable(path: Path, error: OSError) -> Exception:
    if error.errno in FORBIDDEN:
        return ObjectRefused(
            "not allowed to read it", file=path, value=error.strerror, remedy=f"chmod u+rX {path}"
        )
    return SourceMissing(
        "cannot be read", file=path, value=error.strerror, remedy="check the disk, then run again"
    )
