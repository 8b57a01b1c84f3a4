import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.files.csv_cells import guarded, plain


@pytest.mark.parametrize(
    "cell", ["=cmd|'/c calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(cell: str) -> None:
    assert guarded(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["cat", "", "it's", "'quoted'", "a=b", "7"])
def test_other_cells_stay_as_they_are(cell: str) -> None:
    assert guarded(cell) == plain(cell) == cell


@given(st.text(alphabet="'=+-@\t\rab"))
def test_the_guard_is_undone_exactly(cell: str) -> None:
    assert plain(guarded(cell)) == cell
