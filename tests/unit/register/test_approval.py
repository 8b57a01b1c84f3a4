"""`register.approval: person`: a model that passes the gate waits for `perennial promote`."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from pipeline_lib.register.attempt import ask
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.run import run
from pipeline_lib.registry.closure import read_closure
from testing.registrations import MANY, aliases, cloned, registered, registry_of
from testing.tiny_line import TinyLine, make_line

PERSON = RegisterParams(approval="person")


def waiting(checkout: Path, *, wrong: Sequence[int] = (), model: str = "one") -> TinyLine:
    made = make_line(checkout, wrong=wrong, model=model)
    run(made.job(params=PERSON))
    return made


def test_the_first_model_waits_and_the_run_says_what_to_do(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = waiting(checkout)

    assert aliases(line) == {1: ("challenger",)}
    assert "Waiting for a person: it passes the gate; it is the first model" in caplog.text
    assert "No model is champion. `perennial promote 1 --reason TEXT` promotes it." in caplog.text


def test_a_better_model_waits_beside_the_champion_until_a_person_promotes_it(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout, wrong=[1, 2])
    line = waiting(checkout, model="two")
    assert aliases(line) == {1: ("champion",), 2: ("challenger",)}
    caplog.clear()
    run(line.job(params=PERSON))
    again = caplog.text

    registry_of(line).promote("challenger", reason="looked at its mistakes")

    assert "Nothing new: version 2 passed the gate and was left to a person on 2" in again
    assert "`perennial promote 2 --reason TEXT` promotes it." in again
    assert aliases(line) == {1: ("previous",), 2: ("champion",)}
    caplog.clear()
    run(line.job(params=PERSON))
    assert "version 2 is champion since 2" in caplog.text
    assert "by hand: looked at its mistakes" in caplog.text
    assert "promotes it" not in caplog.text


def test_what_breaks_a_rule_does_not_wait(checkout: Path) -> None:
    registered(checkout)

    line = waiting(checkout, wrong=MANY, model="two")

    assert aliases(line) == {1: ("champion",)}


def test_a_newer_model_that_passes_takes_the_place_of_the_waiting_one(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout, wrong=[1, 2])
    waiting(checkout, wrong=[1], model="two")
    waiting(checkout, model="three")
    caplog.clear()

    line = waiting(checkout, wrong=[1], model="two")

    assert aliases(line) == {1: ("champion",), 2: (), 3: ("challenger",)}
    assert "and another is challenger now; champion is version 1." in caplog.text
    assert "promotes it" not in caplog.text


def test_set_back_to_the_gate_the_waiting_model_is_judged_again_and_promoted(
    checkout: Path,
) -> None:
    line = waiting(checkout)

    run(line.job(params=RegisterParams()))

    assert aliases(line) == {1: ("champion",)}


def test_a_waiting_model_still_waits_after_the_registry_is_rebuilt_from_the_tags(
    checkout: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout, wrong=[1, 2])
    waiting(checkout, model="two")

    clone = cloned(checkout, database, monkeypatch)

    versions = registry_of(make_line(clone)).known_versions()
    assert {v.number: v.verdict.decision for v in versions} == {1: "promote", 2: "waiting"}
    assert "challenger" in versions[1].aliases


def test_the_default_puts_the_question_of_before_the_parameter(checkout: Path) -> None:
    closure = read_closure(make_line(checkout).root).without("register")
    rules = {
        params.approval: ask(closure, params, name="perennial", candidate=False).rule
        for params in (RegisterParams(), PERSON)
    }

    # as recorded by 0.2.0
    assert rules["gate"] == "a81130bcae692d4a74f88a72a729baa6313c65ef60030312801b71519005d6c3"
    assert rules["person"] != rules["gate"]
