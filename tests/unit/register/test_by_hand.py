"""A person's word: promote and rollback, each with a reason."""

from pathlib import Path

import pytest

from pipeline_lib.errors import UsageError
from pipeline_lib.register.run import run
from testing.registrations import (
    REASON,
    aliases,
    champion_in_git,
    die_at,
    registered,
    registry_of,
    said,
)
from testing.tiny_line import make_line


def test_a_held_challenger_becomes_champion_on_a_persons_word(
    checkout: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout)
    line = registered(checkout, wrong=[1, 2], model="two")

    registry_of(line).promote("challenger", reason="better in the field")

    assert aliases(line) == {1: ("previous",), 2: ("champion",)}
    assert (
        "version 2 is champion since 2" in (text := said(caplog, line))
        and "by hand: better in the field" in text
    )
    assert champion_in_git(checkout, name) == "champion is version 2"


def test_a_version_that_was_rolled_back_can_be_promoted_again_by_hand_and_rolled_back_to(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for model, wrong in (("one", [1, 2]), ("two", [1]), ("three", [])):
        line = registered(checkout, wrong=wrong, model=model)
    registry = registry_of(line)

    to_first = registry.rollback(reason=REASON, to="1").number
    again = registry.promote("3", reason="it was the camera").number
    back = registry.rollback(reason=REASON).number

    assert (to_first, again, back) == (1, 3, 1)
    assert "by hand" not in said(caplog, make_line(checkout, wrong=[1, 2], model="one"))
    assert aliases(line) == {1: ("champion",), 2: (), 3: ()}


def test_a_rollback_that_was_killed_is_carried_out_by_the_next_run(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout, wrong=[1])
    line = registered(checkout, model="two")
    with monkeypatch.context() as patch:
        die_at(4, patch)  # after the three tags of the version, before the alias
        with pytest.raises(KeyboardInterrupt):
            registry_of(line).rollback(reason=REASON)

    run(line.job())

    assert aliases(line) == {1: ("champion",), 2: ()}


@pytest.mark.parametrize("reason", ["", "  "])
def test_a_persons_word_needs_a_reason(checkout: Path, reason: str) -> None:
    line = registered(checkout)

    with pytest.raises(UsageError, match="a reason is needed. Remedy: say why in words"):
        registry_of(line).promote("1", reason=reason)
    with pytest.raises(UsageError, match="a reason is needed"):
        registry_of(line).rollback(reason=reason)


def test_a_rollback_to_the_champion_itself_is_refused(checkout: Path) -> None:
    line = registered(checkout)

    with pytest.raises(
        UsageError, match="this version is the champion .found: 1.. Remedy: name another"
    ):
        registry_of(line).rollback(reason=REASON, to="1")
