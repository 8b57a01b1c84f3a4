"""What a flow run says, emits and returns of its model, from the registry as it is at that moment."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from flows.cli.parser import main
from flows.line import result_of
from flows.local_run import RunResult, summary
from pipeline_lib.register.run import run
from pipeline_lib.registry import load_registry
from pipeline_lib.registry.mlflow_store import MlflowStore
from pipeline_lib.settings import Settings
from tasks.notification import announce, announce_left, expect_to_announce
from tasks.registration import Registration, registration_of
from tasks.workspace import Workspace
from testing.registries import checkout, database, name
from testing.tiny_line import TinyLine, make_line
from testing.toy_repository import ROOT

__all__ = ["checkout", "database", "name"]
REASON = "it took sevens for ones"


def night(
    checkout: Path, run_name: str, *, wrong: Any = (), model: str = "one", changes: Any = None
) -> Workspace:
    """A run's workspace whose line has been through evaluate."""
    if not checkout.exists():
        make_line(checkout)
    workspace = Workspace(checkout, checkout / ".perennial", run_name, "c" * 40, changes or {}, ())
    shutil.rmtree(workspace.folder, ignore_errors=True)
    make_line(workspace.folder, wrong=wrong, model=model, git=False)
    for folder in (workspace.folder, checkout):
        shutil.copy(ROOT / "params.yaml", folder / "params.yaml")
    shutil.copytree(workspace.folder / ".dvc/cache", checkout / ".dvc/cache", dirs_exist_ok=True)
    return workspace


def register(workspace: Workspace) -> Registration:
    """The stage, as the flow starts it."""
    run(TinyLine(workspace.folder).job(root=workspace.origin, candidate=workspace.candidate))
    registration = registration_of(workspace)
    assert registration is not None, "register left no answer"
    return registration


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The events that are emitted, by name."""
    emitted: list[str] = []
    monkeypatch.setattr(
        "tasks.notification.emit_event", lambda *, event, **_: emitted.append(event)
    )
    return emitted


def test_a_promotion_is_announced_by_the_night_that_promoted_and_by_no_later_one(
    checkout: Path, events: list[str]
) -> None:
    for number in (1, 2, 3):
        workspace = night(checkout, f"night-{number}")
        announce(register(workspace), workspace)

    assert events == [
        "perennial.model.promote",
        "perennial.model.unchanged",
        "perennial.model.unchanged",
    ]


def test_after_a_rollback_the_next_run_ends_with_3_names_the_champion_and_announces_nothing(
    checkout: Path,
    events: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    register(night(checkout, "night-1", wrong=[1]))
    register(night(checkout, "night-2", model="two"))
    load_registry(Settings(), checkout).rollback(reason=REASON)
    again = night(checkout, "night-3", model="two")
    announce(register(again), again)
    result = RunResult(**result_of(again, "c" * 40))
    monkeypatch.setattr("flows.local_run.run_here", lambda *_, **__: result)
    monkeypatch.chdir(checkout)

    code, said = main(["run", "--fail-if-held"]), capsys.readouterr()

    assert (code, result.happened, result.version, result.champion, result.is_champion) == (
        3,
        "unchanged",
        2,
        1,
        False,
    )
    assert events == ["perennial.model.unchanged"]
    assert "Promoted" not in said.out + said.err
    assert f"({REASON}); champion is version 1." in said.out
    assert (
        "this model is not the champion (found: Nothing new: version 2 was promoted on" in said.err
    )


def test_a_line_with_nothing_new_whose_model_is_champion_ends_with_0(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    register(night(checkout, "night-1"))
    again = night(checkout, "night-2")
    register(again)
    result = RunResult(**result_of(again, "c" * 40))
    monkeypatch.setattr("flows.local_run.run_here", lambda *_, **__: result)
    monkeypatch.chdir(checkout)

    assert main(["run", "--fail-if-held"]) == 0
    assert "Nothing new: version 1 is champion since 2" in capsys.readouterr().out


def test_a_run_with_overrides_that_ends_in_the_champions_own_bytes_does_not_say_promoted(
    checkout: Path,
) -> None:
    register(night(checkout, "night-1"))
    trial = night(checkout, "trial", changes={"train": {"seed": 2}})
    register(trial)

    said = summary(RunResult(**result_of(trial, "c" * 40)))

    assert "Nothing new: version 1 is champion since 2" in said
    assert "Promoted" not in said
    assert "a run with changed parameters stays off the line" in said


def test_a_stage_that_is_killed_after_it_recorded_still_counts_as_this_nights_promotion(
    checkout: Path, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = night(checkout, "night-1")
    with monkeypatch.context() as patch:
        patch.setattr(
            MlflowStore, "close_attempt", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with contextlib.suppress(KeyboardInterrupt):
            register(workspace)

    announce(register(workspace), workspace)

    assert events == ["perennial.model.promote"]


def test_a_promotion_that_was_taken_back_before_it_was_announced_is_not_announced(
    checkout: Path, events: list[str]
) -> None:
    register(night(checkout, "night-1", wrong=[1]))
    workspace = night(checkout, "night-2", model="two")
    register(workspace)
    load_registry(Settings(), checkout).rollback(reason=REASON)
    registration = registration_of(workspace)
    assert registration is not None

    announce(registration, workspace)

    assert events == ["perennial.model.unchanged"]
    assert registration.outcome.sentence.startswith("Nothing new: version 2 was promoted on 2")


def test_versions_promote_and_rollback_on_the_command_line(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_line(checkout)
    monkeypatch.chdir(checkout)
    assert main(["versions"]) == 0
    assert "no model is registered yet: `dvc repro`" in capsys.readouterr().out
    for wrong, model in (([1, 2], "one"), ([1], "two"), ([], "three")):
        run(make_line(checkout, wrong=wrong, model=model).job())

    codes = [
        main(["rollback", "--to", "1", "--reason", REASON]),
        main(["promote", "2", "--reason", "good in the field"]),
        main(["promote", "9", "--reason", "no such"]),
        main(["promote", "2", "--as", "reference", "--reason", "knows frost"]),
        main(["versions"]),
    ]

    said = capsys.readouterr()
    assert codes == [0, 0, 2, 0, 0]
    assert said.out.startswith(
        "champion is version 1 again\nchampion is version 2\nreference is still version 1, "
    )
    assert "\nreference is version 2\n   1  previous             2" in said.out
    assert "reference by hand on 2" in said.out and "knows frost" in said.out
    assert "top-1  98.3 %" in said.out
    assert "rolled back on 2" in said.out and REASON in said.out
    assert "promoted by hand on 2" in said.out and "good in the field" in said.out
    assert (
        "no such model version (found: 9). Remedy: name one of: 1 (previous, reference), 2 (champion), 3"
        in said.err
    )


def test_versions_as_json_hold_what_a_script_needs(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(make_line(checkout).job())
    monkeypatch.chdir(checkout)

    main(["versions", "--json"])

    (found,) = json.loads(capsys.readouterr().out)
    assert (found["number"], found["aliases"], found["decision"], found["top1"]) == (
        1,
        ["champion", "reference"],
        "promote",
        1.0,
    )
    assert found["registered_at"][:2] == "20" and found["rolled_back_for"] is None


def test_predict_after_a_refused_first_model_says_that_none_was_promoted_and_why(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(make_line(checkout, wrong=range(50)).job())
    monkeypatch.chdir(checkout)

    code = main(["predict", "new.jpg"])

    assert code == 2
    assert (
        "no model was promoted yet (found: Refused: top-1 16.7 %; the floor is 33.3 %"
        in capsys.readouterr().err
    )


def test_a_promotion_whose_run_died_before_it_was_announced_is_announced_once_by_the_next_run(
    checkout: Path, events: list[str]
) -> None:
    dies = night(checkout, "night-1")
    expect_to_announce(dies)
    register(dies)

    named = [announce_left(checkout), announce_left(checkout)]

    assert named == [["night-1"], []]
    assert events == ["perennial.model.promote"]


def test_a_promotion_that_was_only_recorded_is_announced_by_the_run_that_carries_it_out(
    checkout: Path, events: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dies = night(checkout, "night-1", wrong=[1])
    expect_to_announce(dies)
    with monkeypatch.context() as patch:
        patch.setattr(
            MlflowStore, "close_attempt", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        with contextlib.suppress(KeyboardInterrupt):
            register(dies)
    early = announce_left(checkout)
    following = night(checkout, "night-2", wrong=range(50), model="worse")
    expect_to_announce(following)
    registration = register(following)
    announce(registration, following)

    named = announce_left(checkout, said=registration.key)

    assert (early, named) == ([], ["night-2"])
    assert events == ["perennial.model.reject", "perennial.model.promote"]
    assert not list((checkout / ".perennial/unannounced").glob("*"))


def test_a_promotion_that_nobody_announced_is_not_announced_after_a_rollback(
    checkout: Path, events: list[str]
) -> None:
    register(night(checkout, "night-1", wrong=[1]))
    dies = night(checkout, "night-2", model="two")
    expect_to_announce(dies)
    register(dies)
    load_registry(Settings(), checkout).rollback(reason=REASON)

    assert announce_left(checkout) == []
    assert events == []
    assert not list((checkout / ".perennial/unannounced").glob("*"))
