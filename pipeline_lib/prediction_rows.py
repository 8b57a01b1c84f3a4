"""Predictions as rows of JSON, CSV or Parquet; a file of many is written so that a run that was killed goes on.

Until all are done, the rows lie in FILE.rows, one JSON object a line: what a killed run wrote there is not computed
again. Then FILE appears whole.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO

from pipeline_lib.errors import DependencyMissing, UsageError
from pipeline_lib.files.atomic import atomic_file, translate_full_disk
from pipeline_lib.files.csv_cells import guarded
from pipeline_lib.harness.work_in_order import Pause
from pipeline_lib.predict import Prediction
from pipeline_lib.prediction.items import Item, LocalFile

FORMATS = (".csv", ".jsonl", ".parquet")
ROWS_AT_ONCE = 10_000  # of a row group
Row = dict[str, Any]


@dataclass(frozen=True)
class RowRules:
    """What the rows depend on beside the images. model: its identity. best: number of guesses.

    min_p: below this probability of the best guess (0..1) an image is uncertain; None: none is.
    """

    model: str
    best: int
    min_p: float | None


@dataclass(frozen=True)
class Finished:
    """A whole file. n_again: rows of an earlier run; n_dropped: those of images that were not named now.

    fault: of the last row that has one.
    """

    n_images: int
    n_again: int
    n_dropped: int
    fault: Row | None


def as_row(prediction: Prediction, rules: RowRules) -> Row:
    """Return `{"file", "guesses": [{"class", "name", "p"}]}`, with "uncertain" and "unlike" where they are told.

    A file that cannot be read has "fault" in place of all that.
    """
    if prediction.fault:
        fault = {
            "code": prediction.fault.code,
            "exit_code": prediction.fault.exit_code,
            "message": str(prediction.fault),
        }
        return {"file": prediction.name, "fault": fault}
    guesses = [
        {"class": guess.class_id, "name": guess.name, "p": round(guess.p, 6)}
        for guess in prediction.guesses
    ]
    row: Row = {"file": prediction.name, "guesses": guesses}
    if rules.min_p is not None:
        row["uncertain"] = prediction.guesses[0].p < rules.min_p
    if prediction.unlike is not None:
        row["unlike"] = prediction.unlike
    return row


def check_out(out: Path) -> None:
    """Raise UsageError for a file of another kind, one that exists, or a folder that does not.

    DependencyMissing for Parquet without pyarrow, which set-up for prediction alone leaves out.
    """
    if out.suffix.lower() not in FORMATS:
        remedy = f"end its name in {', '.join(FORMATS)}"
        raise UsageError("the ending names no format", file="--out", value=out, remedy=remedy)
    if out.exists():
        remedy = "remove it, or name another"
        raise UsageError("the file exists already", file="--out", value=out, remedy=remedy)
    if not out.parent.is_dir():
        remedy = f"make it: mkdir -p {out.parent}"
        raise UsageError("the folder does not exist", file="--out", value=out.parent, remedy=remedy)
    if out.suffix.lower() == ".parquet" and find_spec("pyarrow") is None:
        remedy = "write .csv or .jsonl, or run `make setup`"
        raise DependencyMissing("pyarrow is not installed", file="--out", value=out, remedy=remedy)


class RowFile:
    """The rows of a file in the making; one process at a time has it."""

    def __init__(self, out: Path, rules: RowRules) -> None:
        """Open the rows that an earlier run left, or begin.

        Raises UsageError if those are of other rules, or if another process is writing them.
        """
        self.out, self.rules = out, rules
        self.path = out.with_name(f"{out.name}.rows")
        head = (json.dumps(vars(rules)) + "\n").encode()
        try:
            self.file = self.path.open("a+b")
        except OSError as error:
            what, remedy = "the folder cannot be written", "name a file in another folder"
            value = f"{out}: {error.strerror}"
            raise UsageError(what, file="--out", value=value, remedy=remedy) from error
        try:
            fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.file.close()
            what, remedy = "another process is writing it", "wait for it, or name another file"
            raise UsageError(what, file="--out", value=out, remedy=remedy) from error
        self.file.truncate(_end_of_whole_lines(self.file))
        self.file.seek(0)
        begun = self.file.readline()
        if not begun:
            self._append(head)
        elif begun != head:
            self.file.close()
            remedy = f"remove {self.path} to begin anew, or name another file"
            what = "an earlier run began it with another model, --top or --min-p"
            raise UsageError(what, file="--out", value=out, remedy=remedy)
        # rows of an earlier run whose items were not named again so far, by what marks their names
        self.left = Counter(_mark(row["file"]) for row in self._rows())
        self.n_again = 0

    def fresh(self, items: Iterable[Item | Pause]) -> Iterator[Item | Pause]:
        """Yield the items that have no row of an earlier run; those that have are counted in `n_again`.

        Where `out` lies in a folder of images, the rows themselves are left out.
        """
        for item in items:
            if isinstance(item, Pause):
                yield item
            elif self._taken(item.name):
                self.n_again += 1
            elif not self._is_own(item):
                yield item

    def add(self, predictions: Iterable[Prediction]) -> None:
        """Append a row for each, as it comes. Raises NoSpace; the rows so far stay."""
        with translate_full_disk(self.path):
            for prediction in predictions:
                self._append((json.dumps(as_row(prediction, self.rules)) + "\n").encode())

    def finish(self) -> Finished:
        """Write the rows of the items that were named to `out`."""
        n_images, last_fault = 0, None

        def rows() -> Iterator[Row]:
            nonlocal n_images, last_fault
            for row in self._rows():
                if not self._taken(row["file"]):
                    n_images += 1
                    last_fault = row.get("fault", last_fault)
                    yield row

        n_dropped = self.left.total()
        with atomic_file(self.out) as target:
            _WRITERS[self.out.suffix.lower()](rows(), target, self.rules)
        self.path.unlink()
        self.file.close()
        return Finished(n_images, self.n_again, n_dropped, last_fault)

    def _taken(self, name: str) -> bool:
        """Take a row of this name from those that are left, if there is one."""
        mark = _mark(name) if self.left else b""
        if mark not in self.left:
            return False
        self.left[mark] -= 1
        if not self.left[mark]:
            del self.left[mark]
        return True

    def _is_own(self, item: Item) -> bool:
        is_alike = isinstance(item, LocalFile) and item.name.endswith(self.path.name)
        return is_alike and Path(item.name).exists() and self.path.samefile(item.name)

    def _append(self, line: bytes) -> None:
        self.file.write(line)
        self.file.flush()

    def _rows(self) -> Iterator[Row]:
        with self.path.open("rb") as file:
            file.readline()
            for line in file:
                yield json.loads(line)


def _mark(name: str) -> bytes:
    """What stands for a name in memory, where there may be millions."""
    return hashlib.blake2b(os.fsencode(name), digest_size=16).digest()


def _end_of_whole_lines(file: BinaryIO) -> int:
    """Where the last line ends: a killed run may have left a part of one."""
    file.seek(0, os.SEEK_END)
    at = file.tell()
    while at > 0:
        step = min(at, 1 << 16)
        file.seek(at - step)
        found = file.read(step).rfind(b"\n")
        if found >= 0:
            return at - step + found + 1
        at -= step
    return 0


def _columns(rules: RowRules) -> list[str]:
    """file, uncertain, unlike, fault, then class, name and p of each guess."""
    guesses = [f"{part}_{k}" for k in range(1, rules.best + 1) for part in ("class", "name", "p")]
    return ["file", "uncertain", "unlike", "fault", *guesses]


def _cells(row: Row) -> Row:
    """A row as flat cells, by column."""
    cells = {"file": row["file"], **{name: row.get(name) for name in ("uncertain", "unlike")}}
    cells["fault"] = row["fault"]["message"] if "fault" in row else None
    for k, guess in enumerate(row.get("guesses", ()), 1):
        cells |= {f"{part}_{k}": value for part, value in guess.items()}
    return cells


def _write_jsonl(rows: Iterable[Row], target: BinaryIO, _: RowRules) -> None:
    for row in rows:
        target.write((json.dumps(row) + "\n").encode())


def _write_csv(rows: Iterable[Row], target: BinaryIO, rules: RowRules) -> None:
    text = io.TextIOWrapper(target, "utf-8", errors="surrogateescape", newline="")
    writer = csv.DictWriter(text, _columns(rules), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        cells = _cells(row)
        writer.writerow(
            {key: guarded(cell) if isinstance(cell, str) else cell for key, cell in cells.items()}
        )
    text.detach()


def _write_parquet(rows: Iterable[Row], target: BinaryIO, rules: RowRules) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds: Mapping[str, Any] = {"uncertain": pa.bool_(), "unlike": pa.float64()}
    columns = _columns(rules)
    schema = pa.schema(
        [
            (name, kinds.get(name, pa.float64() if name.startswith("p_") else pa.string()))
            for name in columns
        ]
    )
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for some in _grouped(map(_cells, rows)):
            table = [{name: _utf8(cells.get(name)) for name in columns} for cells in some]
            writer.write_table(pa.Table.from_pylist(table, schema=schema))


def _utf8(cell: Any) -> Any:
    """Text that Parquet can hold: bytes of a name that are no UTF-8 stand as escapes."""
    return cell.encode("utf-8", "backslashreplace").decode() if isinstance(cell, str) else cell


def _grouped(rows: Iterable[Row]) -> Iterator[list[Row]]:
    some: list[Row] = []
    for row in rows:
        some.append(row)
        if len(some) == ROWS_AT_ONCE:
            yield some
            some = []
    if some:
        yield some


_WRITERS = {".jsonl": _write_jsonl, ".csv": _write_csv, ".parquet": _write_parquet}
