"""What comes from outside is shown and never obeyed: in errors, in the log, on a terminal, in Markdown."""

from __future__ import annotations

import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_lib.errors import BadData, read_reason
from pipeline_lib.safe_text import (
    OBEYED,
    ShownFormatter,
    as_code,
    as_markdown,
    redacted,
    shown,
    shown_on_stdout,
)
from pipeline_lib.sources.source import Source

WIPE, TURN = "\x1b[2J", "\u202e"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("https://ann:hush@host:9000/a", "https://***@host:9000/a"),
        ("postgresql+psycopg://ann:hu%40sh@db/mlflow", "postgresql+psycopg://***@db/mlflow"),
        ("s3://AKIA123:hush@bucket/prefix", "s3://***@bucket/prefix"),
        ("https://h/x?X-Amz-Signature=hush&part=1", "https://h/x?X-Amz-Signature=***&part=1"),
        ("https://h/x?a=1&access_token=hush", "https://h/x?a=1&access_token=***"),
        ("https://h/x?sv=2&sig=hush&se=1", "https://h/x?sv=2&sig=***&se=1"),
        ("s3://bucket/ann@home/a.jpg", "s3://bucket/ann@home/a.jpg"),
        ("write to ann@example.org", "write to ann@example.org"),
    ],
)
def test_an_address_is_shown_without_its_secret(address: str, said: str) -> None:
    assert redacted(address) == said


def test_an_error_says_no_secret_wherever_it_stands_and_its_reason_stores_none() -> None:
    secret = "https://ann:hush@host/a"
    error = BadData(
        f"{secret} is bad", file=secret, value=f"{WIPE}{secret}", remedy=f"fix {secret}"
    )

    assert "hush" not in str(error) + error.as_json() + str(read_reason(error.as_json()))
    assert "\x1b" not in str(error) and "\\x1b[2J" in str(error)


@given(st.text())
def test_nothing_that_would_be_obeyed_is_left_and_all_can_be_written(text: str) -> None:
    assert not OBEYED.search(shown(text))
    shown(text).encode()


def test_the_log_wipes_its_own_live_line_and_nothing_else() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "class %s", (f"{WIPE}cat",), None)

    assert (
        ShownFormatter("train: %(message)s", before="\r").format(record)
        == "\rtrain: class \\x1b[2Jcat"
    )


def test_what_a_command_prints_goes_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    with shown_on_stdout():
        print(f"{TURN}gpj.cat")
        sys.stdout.flush()

    assert capsys.readouterr().out == "\\u202egpj.cat\n"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("<img src=x>", "&lt;img src=x>"),
        ("[x](javascript:alert(1))", "\\[x\\](javascript:alert(1))"),
        ("a|b `c`", "a\\|b \\`c\\`"),
        ("one\n\n# two", "one # two"),
        ("&lt;b>", "&amp;lt;b>"),
    ],
)
def test_a_name_is_text_in_markdown(name: str, written: str) -> None:
    assert as_markdown(name) == written
    assert "`" not in as_code(name)


def test_a_source_with_a_secret_in_its_address_is_refused_since_params_are_committed() -> None:
    with pytest.raises(ValueError, match="an address with a secret in it"):
        Source(name="a", uri="s3://AKIA:hush@bucket/x")
