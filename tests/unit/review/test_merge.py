"""Answers into curation/overrides.csv: once, guarded, and what was there stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline_lib.curate.overrides import parse_overrides
from pipeline_lib.errors import ConfigError
from pipeline_lib.review import merge, read_answers
from tests.unit.review.conftest import FORMULA

FILE = Path("curation/overrides.csv")
HEADER = "key_type,key,action,value,expected_old,reason,author,date\n"
OLD = HEADER + "# ours\nsha256,a1,remove,,,no,ana,2026-11-20\n"


def test_new_answers_come_after_the_old_lines_and_known_ones_are_not_written_twice() -> None:
    answers = read_answers(
        HEADER + "sha256,a1,remove,,,,ben,\nsha256,a2,relabel,dog,cat,,ben,2026-11-21\n", FILE
    )

    merged = merge(OLD, answers, FILE)
    again = merge(merged.text, answers, FILE)

    assert merged.text == OLD + "sha256,a2,relabel,dog,cat,,ben,2026-11-21\n"
    assert (merged.added, merged.known) == (1, 1)
    assert (again.text, again.added, again.known) == (merged.text, 0, 2)


def test_a_missing_end_of_line_is_mended() -> None:
    answers = read_answers(HEADER + "sha256,a2,keep,,,,,\n", FILE)

    assert merge(OLD.rstrip("\n"), answers, FILE).text == OLD + "sha256,a2,keep,,,,,\n"


def test_formulas_stay_guarded_in_the_file_and_are_plain_where_they_are_used() -> None:
    answers = read_answers(f"{HEADER}sha256,a2,relabel,'{FORMULA},,,,\n", FILE)

    text = merge(HEADER, answers, FILE).text

    assert answers[0].value == FORMULA
    assert f",'{FORMULA}," in text
    assert parse_overrides(text, FILE)[0].value == FORMULA


def test_a_file_of_answers_that_is_malformed_is_refused_with_its_lines() -> None:
    with pytest.raises(
        ConfigError, match=r"answers.csv: 1 wrong line .*line 2: no such action 'eat'"
    ):
        read_answers(HEADER + "sha256,a2,eat,,,,,\n", Path("answers.csv"))
