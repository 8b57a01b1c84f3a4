"""Archives whose transfer was interrupted, in the state folder: the next run goes on where it was."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_lib.errors import BadData, SourceChanged
from pipeline_lib.sources.arriving import Arriving, notes_of
from pipeline_lib.sources.objects import SourceObject


class Unfinished:
    """The transfers of all workspaces of one state folder. Each file is locked by the run that it arrives in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def arriving(self, address: str, wanted: SourceObject, desk: Path) -> Iterator[Arriving]:
        """Yield what is there of an object. It stays when network, disk or a kill ends the block, and else is removed.

        address: of the place. desk: a folder of this run, for an object whose version nobody can tell, and for one that
        arrives in another run at this moment.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._file(address, wanted)
        found = _locked(file, wanted.size_bytes) if file else None
        arriving = found or Arriving(desk / "arriving", wanted.size_bytes)
        try:
            yield arriving
        except BadData as error:
            if arriving.is_whole or isinstance(
                error, SourceChanged
            ):  # no archive that we read, or another one now
                _remove(arriving.path)
            raise
        else:
            _remove(arriving.path)
        finally:
            if not arriving.has_piece:  # nor has a local archive that is read where it lies
                _remove(arriving.path)
            arriving.close()

    def there_bytes(self, address: str, wanted: SourceObject) -> int:
        """What an object's unfinished transfer takes of the disk already."""
        file = self._file(address, wanted)
        return file.stat().st_blocks * 512 if file and file.exists() else 0

    def forget_but(self, wanted: Iterable[tuple[str, SourceObject]]) -> None:
        """Remove what no run is fetching and this run does not want: (address of the place, object) of each that it does."""
        kept = {self._file(address, one) for address, one in wanted}
        here = self._folder.iterdir() if self._folder.exists() else ()
        for file in [one for one in here if one.suffix != notes_of(one).suffix]:
            if file not in kept and (found := _locked(file, 0)):
                _remove(file)
                found.close()

    def _file(self, address: str, wanted: SourceObject) -> Path | None:
        version = wanted.checksum or wanted.etag
        if version is None:
            return None
        identity = f"{address}\0{wanted.key}\0{wanted.size_bytes}\0{version}"
        return self._folder / hashlib.sha256(identity.encode()).hexdigest()[:32]


def _locked(file: Path, size_bytes: int) -> Arriving | None:
    """Open a file for this process alone; None if another one has it, or has just removed it."""
    arriving = Arriving(file, size_bytes)
    if arriving.lock():
        return arriving
    arriving.close()
    return None


def _remove(file: Path) -> None:
    notes_of(file).unlink(missing_ok=True)
    file.unlink(missing_ok=True)
