"""What is said of a model follows from the registry as it is now."""

from pathlib import Path

import pytest

from demo.verdict import read_judged
from pipeline_lib.errors import UsageError
from pipeline_lib.registry.records import VERSION
from testing.registrations import MANY, REASON, registered, registry_of, said
from testing.tiny_line import make_line


def test_with_nothing_new_nothing_is_promoted_and_the_champion_is_named(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = registered(checkout)

    text = said(caplog, line)

    assert "Nothing new: version 1 is champion since 2" in text
    assert "Promoted" not in text


def test_after_a_rollback_the_line_says_who_is_champion_now_and_why(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout, wrong=[1])
    line = registered(checkout, model="two")
    registry_of(line).rollback(reason=REASON)

    text = said(caplog, line)

    assert (
        f"({REASON}); champion is version 1." in read_judged(line.root).sentence
    )  # the last line of `make demo`
    assert f"({REASON}); champion is version 1." in text
    assert "Nothing new: version 2 was promoted on 2" in text and "and rolled back on 2" in text
    assert "Promoted" not in text


def test_what_was_held_or_refused_is_told_as_past_with_its_verdict(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout)
    held = registered(checkout, wrong=[1, 2], model="two")
    text_held = said(caplog, held)
    refused = registered(checkout, wrong=MANY, model="three")
    text_refused = said(caplog, refused)

    assert "Nothing new: version 2 was held as challenger on 2" in text_held
    assert 'The verdict then: "Held as challenger' in text_held
    assert "Nothing new: this model was refused on 2" in text_refused
    assert "; champion is version 1. The verdict then:" in text_refused


def test_a_verdict_of_this_run_ends_with_the_champion_of_now(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout)

    registered(checkout, wrong=MANY, model="two")

    assert "Champion is version 1." in caplog.text


def test_where_no_model_was_promoted_the_last_verdict_says_why(checkout: Path) -> None:
    empty = registry_of(make_line(checkout))
    with pytest.raises(
        UsageError, match="no model was registered yet. Remedy: `dvc repro` or `perennial run`"
    ):
        empty.version("champion")
    line = registered(checkout, wrong=range(50))

    with pytest.raises(
        UsageError, match=r"no model was promoted yet .found: Refused: .*Remedy: `perennial report`"
    ):
        registry_of(line).version("champion")


def test_where_there_is_only_a_challenger_the_remedy_promotes_it(checkout: Path) -> None:
    line = registered(checkout, candidate=True)

    with pytest.raises(
        UsageError, match="no model was promoted yet .*`perennial promote 1 --reason TEXT`"
    ):
        registry_of(line).version("champion")


def test_an_attempt_remembers_the_number_it_got(checkout: Path) -> None:
    line = registered(checkout)

    assert [attempt.tags[VERSION] for attempt in registry_of(line)._reader().attempts()] == ["1"]
