"""Files of many predictions: what a killed run wrote is not computed again, and no image has two rows."""

from __future__ import annotations

import csv
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from pipeline_lib.errors import SourceMissing, UsageError
from pipeline_lib.harness.work_in_order import Pause
from pipeline_lib.predict import Guess, Prediction
from pipeline_lib.prediction.items import LocalFile
from pipeline_lib.prediction_rows import RowFile, RowRules, as_row, check_out

RULES = RowRules(model="one", best=2, min_p=0.5)
FILES = [f"{n}.jpg" for n in range(6)]
ENDINGS = ["csv", "jsonl", "parquet"]


def prediction(file: str) -> Prediction:
    if file == "3.jpg":
        return Prediction(file, (), SourceMissing("cannot be read", file=file, remedy="-"))
    p = round(0.9 - int(file[0]) / 10, 1)
    unlike = None if file == "4.jpg" else p
    return Prediction(file, (Guess("a", "=cat", p), Guess("b", "dog", 1 - p)), unlike=unlike)


def written(out: Path, files: list[str]) -> list[str]:
    """Write what is left of the files; return those that were computed."""
    rows = RowFile(out, RULES)
    items = (LocalFile(file) for file in files)
    left = [item.name for item in rows.fresh(items) if not isinstance(item, Pause)]
    rows.add(map(prediction, left))
    rows.finish()
    return left


def killed(out: Path, after: int) -> None:
    """A process that is killed with -9 after some rows, in the middle of another."""

    def some() -> Iterator[Prediction]:
        yield from map(prediction, FILES[:after])
        with out.with_name(f"{out.name}.rows").open("ab") as file:
            file.write(b'{"file": "half a ro')
        os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        RowFile(out, RULES).add(some())
    assert os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.parametrize("ending", ENDINGS)
def test_after_a_kill_the_same_command_goes_on_and_the_file_is_the_same(
    ending: str, tmp_path: Path
) -> None:
    whole, broken = tmp_path / f"whole.{ending}", tmp_path / f"broken.{ending}"
    written(whole, FILES)

    killed(broken, after=2)
    assert not broken.exists()
    again = written(broken, FILES)

    assert again == FILES[2:]
    assert broken.read_bytes() == whole.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {whole.name, broken.name}


def test_the_three_formats_say_the_same(tmp_path: Path) -> None:
    for ending in ENDINGS:
        written(tmp_path / f"x.{ending}", FILES)

    lines = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    with (tmp_path / "x.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    frame = pd.read_parquet(tmp_path / "x.parquet")

    assert lines == [as_row(prediction(file), RULES) for file in FILES]
    assert [line.get("uncertain") for line in lines] == [False] * 3 + [None, False, True]
    assert [line.get("unlike", "") for line in lines] == [0.9, 0.8, 0.7, "", "", 0.4]
    assert [row["unlike"] for row in cells] == ["0.9", "0.8", "0.7", "", "", "0.4"]
    assert frame["unlike"].fillna(-1).tolist() == [0.9, 0.8, 0.7, -1, -1, 0.4]
    assert [row["file"] for row in cells] == frame["file"].tolist() == FILES
    assert frame["p_1"].fillna(0).round(3).tolist() == [0.9, 0.8, 0.7, 0.0, 0.5, 0.4]
    assert cells[0]["name_1"] == "'=cat"  # no formula in a spreadsheet
    assert cells[3]["fault"] == frame["fault"][3] == "3.jpg: cannot be read. Remedy: -"


def test_rows_of_another_model_or_of_another_process_are_not_mixed(tmp_path: Path) -> None:
    out = tmp_path / "x.csv"
    first = RowFile(out, RULES)
    with pytest.raises(UsageError, match="another process is writing it"):
        RowFile(out, RULES)
    first.add([prediction("0.jpg")])
    first.file.close()

    with pytest.raises(
        UsageError, match=r"began it with another model, --top .*remove .*x.csv.rows"
    ):
        RowFile(out, RowRules(model="two", best=2, min_p=0.5))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x.txt", "the ending names no format .*end its name in .csv, .jsonl, .parquet"),
        ("there.csv", "the file exists already"),
        ("no/x.csv", "the folder does not exist .*mkdir -p"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_at_once(
    name: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "there.csv").touch()

    with pytest.raises(UsageError, match=said):
        check_out(tmp_path / name)
