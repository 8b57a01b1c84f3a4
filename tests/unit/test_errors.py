from __future__ import annotations

import json

import pytest

from pipeline_lib import errors


def test_an_error_is_one_line_that_names_file_value_and_remedy() -> None:
    error = errors.SourceMissing("no such\nfile", file="a.tar", value="b\nc", remedy="name another")

    assert str(error) == "a.tar: no such file (found: b c). Remedy: name another"


def test_an_error_about_an_absence_shows_no_value() -> None:
    assert str(errors.BadData("absent", file="x", remedy="run it")) == "x: absent. Remedy: run it"


def test_the_reason_file_holds_what_a_program_needs() -> None:
    error = errors.NoSpace("full", file="x", value="3 MB left", remedy="free some")

    reason = json.loads(error.as_json())

    assert reason == {
        "code": "no_space", "file": "x", "what": "full", "value": "3 MB left", "remedy": "free some", "exit_code": 73,
    }  # fmt: skip


@pytest.mark.parametrize("kind", errors.all_kinds())
def test_every_kind_of_error_is_documented_and_has_a_code(kind: type[errors.PipelineError]) -> None:
    assert kind.__doc__ and kind.code == kind.code.lower() and 1 <= kind.exit_code < 128


def test_one_exit_code_means_one_thing_and_its_narrower_cases() -> None:
    """A program that asks for the code alone must not take our defect for a package that is not installed."""
    kinds = {kind.code: kind for kind in errors.all_kinds()}

    for codes in errors.exit_codes().values():
        wider = [
            code for code in codes if all(issubclass(kinds[other], kinds[code]) for other in codes)
        ]
        assert len(wider) == 1, codes
    assert errors.exit_codes()[70] == ["defect"]
