from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.tables.members import MEMBERS
from pipeline_lib.tables.votes import VOTES


def votes() -> pd.DataFrame:
    return pd.DataFrame({"image_id": ["b", "a"], "annotator": ["x", "x"], "label": ["7", "1"]})


def test_a_table_reads_back_as_it_was_written_and_is_sorted_by_its_key(tmp_path: Path) -> None:
    VOTES.write(votes(), tmp_path / "votes.parquet")

    frame = VOTES.read(tmp_path / "votes.parquet")

    assert frame["image_id"].tolist() == ["a", "b"] and frame["label"].tolist() == ["1", "7"]


def test_the_same_rows_in_any_order_give_the_same_bytes(tmp_path: Path) -> None:
    VOTES.write(votes(), tmp_path / "1.parquet")
    VOTES.write(
        votes()[::-1].reset_index(drop=True)[["label", "annotator", "image_id"]],
        tmp_path / "2.parquet",
    )

    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()


def test_the_meaning_of_each_column_travels_with_the_file(tmp_path: Path) -> None:
    VOTES.write(votes(), tmp_path / "votes.parquet")

    field = pq.read_schema(tmp_path / "votes.parquet").field("label")

    assert field.metadata[b"meaning"] == b"the class they chose"


def test_another_table_is_refused_by_name(tmp_path: Path) -> None:
    VOTES.write(votes(), tmp_path / "votes.parquet")

    with pytest.raises(
        BadData,
        match=r"not a members table of version 1 \(found: votes 1\). Remedy: run `dvc repro`",
    ):
        MEMBERS.read(tmp_path / "votes.parquet")


def test_damage_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "votes.parquet").write_bytes(b"not parquet at all")

    with pytest.raises(BadData, match="not a readable Parquet file"):
        VOTES.read(tmp_path / "votes.parquet")


def test_an_absent_table_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="the votes table is absent. Remedy: run `dvc repro`"):
        VOTES.read(tmp_path / "votes.parquet")


def test_a_row_twice_or_an_empty_cell_is_our_own_mistake(tmp_path: Path) -> None:
    twice = pd.concat([votes(), votes()])
    empty = votes().assign(label=pd.Series([None, "1"], dtype=object))

    with pytest.raises(AssertionError, match="is not unique"):
        VOTES.write(twice, tmp_path / "v.parquet")
    with pytest.raises(AssertionError, match="votes.label has empty cells"):
        VOTES.write(empty, tmp_path / "v.parquet")
    assert not (tmp_path / "v.parquet").exists()
