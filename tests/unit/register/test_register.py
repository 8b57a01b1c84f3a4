import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.errors import BadData
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.register.run import run
from testing.registrations import MANY, aliases, die_at, git, registered, registry_of
from testing.tiny_line import TinyLine, keep, make_line


def state(line: TinyLine) -> dict[str, Any]:
    """All that a second registration must not change."""
    registry = registry_of(line)
    versions = {
        version.number: (aliases(line)[version.number], version.model_md5)
        for version in registry.versions()
    }
    attempts = [
        (attempt.open, attempt.verdict.decision) for attempt in registry._reader().attempts()
    ]
    return {"versions": versions, "attempts": attempts, "tags": git(line.root, "tag")}


def test_the_first_model_becomes_champion_and_the_second_time_nothing_changes(
    checkout: Path,
) -> None:
    line = registered(checkout)
    first = state(line)

    run(line.job())

    assert first["versions"][1][0] == ("champion",)
    assert state(line) == first


def test_a_better_model_takes_over_and_the_old_one_stays_available(checkout: Path) -> None:
    registered(checkout, wrong=[1, 2])

    line = registered(checkout, model="two")

    assert list(aliases(line).values()) == [("previous",), ("champion",)]


def test_a_worse_model_is_refused_and_gets_no_version(checkout: Path) -> None:
    registered(checkout)

    line = registered(checkout, wrong=MANY, model="two")

    assert state(line)["attempts"] == [(False, "promote"), (False, "reject")]
    assert list(state(line)["versions"]) == [1]


def test_a_model_that_cannot_be_told_from_the_champion_is_the_challenger(checkout: Path) -> None:
    registered(checkout)

    line = registered(checkout, wrong=[1, 2], model="two")

    assert list(aliases(line).values()) == [("champion",), ("challenger",)]


def test_the_same_model_finds_its_verdict_after_the_champion_moved_and_after_a_rollback(
    checkout: Path,
) -> None:
    first = registered(checkout, wrong=[1])
    second = registered(checkout, model="two")
    registry_of(second).rollback(reason="it took sevens for ones")
    rolled_back = state(second)

    run(second.job())
    make_line(checkout, wrong=[1])
    run(first.job())

    assert state(first) == rolled_back
    assert rolled_back["versions"][1][0] == ("champion",)


def test_weights_that_were_rolled_back_come_back_as_challenger_only(checkout: Path) -> None:
    registered(checkout, wrong=[1])
    line = registered(checkout, model="two")
    registry_of(line).rollback(reason="it took sevens for ones")

    registered(checkout, wrong=[3], model="two")

    latest = registry_of(line).versions()[-1]
    assert (latest.number, aliases(line)[3]) == (3, ("challenger",))
    assert "it took sevens for ones" in latest.verdict.sentence


def test_a_lower_floor_is_a_new_question_but_never_brings_a_promoted_model_back(
    checkout: Path,
) -> None:
    line = make_line(checkout, wrong=[1, 2, 3])
    run(line.job(params=RegisterParams(min_top1=0.99)))

    run(line.job(params=RegisterParams(min_top1=0.9)))
    run(line.job(params=RegisterParams(min_top1=0.8)))

    assert state(line)["attempts"] == [(False, "reject"), (False, "promote")]


@pytest.mark.parametrize("how", ["setting", "experiment"])
def test_a_candidate_registers_a_challenger_at_most(
    checkout: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "experiment":
        monkeypatch.setenv("DVC_EXP_BASELINE_REV", "0" * 40)

    line = registered(checkout, candidate=how == "setting")

    assert registry_of(line).champion() is None
    assert registry_of(line).version("challenger").number == 1


def test_the_champions_own_bytes_are_nothing_to_register(checkout: Path) -> None:
    registered(checkout)

    line = registered(checkout, wrong=[5])

    assert [decision for _, decision in state(line)["attempts"]] == ["promote", "current"]


@pytest.mark.parametrize("step", range(1, 7))
def test_a_kill_between_any_two_steps_is_made_good_by_the_next_run(
    checkout: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A challenger becomes champion: every kind of write to the registry is among the steps."""
    registered(checkout, wrong=[1])
    registered(checkout, model="two", candidate=True)
    line = make_line(checkout, model="two")
    with monkeypatch.context() as patch:
        die_at(step, patch)
        try:
            run(line.job())
        except KeyboardInterrupt:
            logging.info("killed at step %d", step)

    run(line.job())

    assert list(aliases(line).values()) == [("previous",), ("champion",)]
    assert not any(still_open for still_open, _ in state(line)["attempts"])


def test_an_attempt_left_open_is_carried_out_before_another_model_is_judged(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_line(checkout)
    with monkeypatch.context() as patch:
        die_at(2, patch)
        with pytest.raises(KeyboardInterrupt):
            run(line.job())

    registered(checkout, wrong=MANY, model="two")

    assert state(line)["versions"][1][0] == ("champion",)


def test_a_champion_whose_bytes_are_gone_makes_the_new_model_wait_until_they_are_back(
    checkout: Path,
) -> None:
    old = registered(checkout, wrong=[1])
    md5 = keep(old.root, old.path("predictions"))
    held = checkout / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    data = held.read_bytes()
    line = make_line(checkout, model="two")
    held.unlink()

    run(line.job())
    run(line.job())
    waiting = state(line)
    held.write_bytes(data)
    run(line.job())

    assert [decision for _, decision in waiting["attempts"]] == ["promote", "inconclusive"]
    assert list(aliases(line).values()) == [("previous",), ("champion",)]


def test_the_remedy_for_absent_bytes_stands_in_the_verdict(checkout: Path) -> None:
    registered(checkout, wrong=[1])
    line = make_line(checkout, model="two")
    shutil.rmtree(checkout / ".dvc" / "cache")

    run(line.job())

    assert "`dvc fetch --all-tags`" in registry_of(line).version("challenger").verdict.sentence


def test_a_run_is_tagged_on_a_commit_of_its_own_and_the_checkout_stays_as_it_was(
    checkout: Path, name: str
) -> None:
    line = make_line(checkout)
    (checkout / "params.yaml").write_text("register: {}\n# edited\n")
    (checkout / ".gitignore").write_text("/.perennial/\n")
    before = (git(checkout, "status", "--porcelain"), git(checkout, "rev-parse", "HEAD"))

    run(line.job())

    assert (git(checkout, "status", "--porcelain"), git(checkout, "rev-parse", "HEAD")) == before
    assert git(checkout, "tag").split() == [f"{name}#champion#1", f"{name}@v0.0.1"]
    assert git(checkout, "show", f"{name}@v0.0.1:params.yaml").endswith("# edited")
    assert "evaluate" in git(checkout, "show", f"{name}@v0.0.1:dvc.lock")


def test_a_run_of_a_clean_commit_is_tagged_on_that_commit(checkout: Path, name: str) -> None:
    line = make_line(checkout)
    git(
        checkout,
        "add",
        "-f",
        "dvc.lock",
        "params.yaml",
        "line/curate/curation.json",
        "line/evaluate/metrics.json",
    )
    git(checkout, "-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "result")

    run(line.job())

    assert git(checkout, "rev-parse", f"{name}@v0.0.1^{{commit}}") == git(
        checkout, "rev-parse", "HEAD"
    )


def test_a_rollback_is_a_tag_too(checkout: Path, name: str) -> None:
    registered(checkout, wrong=[1])
    line = registered(checkout, model="two")

    registry_of(line).rollback(reason="worse in the field")

    assert (
        git(checkout, "tag", "-l", f"{name}#champion#3", "--format=%(subject)")
        == "champion is version 1"
    )


def test_without_git_the_model_is_registered_and_the_missing_tag_is_said(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    line = make_line(checkout, git=False)

    run(line.job())

    assert registry_of(line).version("champion").number == 1
    assert "no commit stands for this run, and it gets no git tag" in caplog.text


def test_from_a_workspace_tag_and_commit_go_to_the_original_repository(
    checkout: Path, tmp_path: Path, name: str
) -> None:
    make_line(checkout)
    workspace = tmp_path / "workspace"
    subprocess.run(["git", "clone", "-q", str(checkout), str(workspace)], check=True)
    line = make_line(workspace, model="two")

    run(line.job(root=checkout))

    assert git(checkout, "tag").split() == [f"{name}#champion#1", f"{name}@v0.0.1"]
    assert not (workspace / ".perennial").exists()


def test_the_report_and_the_model_card_lie_in_the_state_folder(checkout: Path, name: str) -> None:
    registered(checkout)

    latest = checkout / ".perennial" / "reports" / "latest"
    assert latest.is_symlink()
    assert "Promoted to champion" in (latest / "report.html").read_text()
    assert f"# {name}, version 1" in (latest / "model-card.md").read_text()


def test_a_report_that_was_deleted_is_written_again(checkout: Path) -> None:
    line = registered(checkout)
    shutil.rmtree(checkout / ".perennial" / "reports")

    run(line.job())

    assert (checkout / ".perennial" / "reports" / "latest" / "report.html").exists()


def test_a_stage_run_alone_on_other_predictions_is_refused(checkout: Path) -> None:
    line = make_line(checkout, wrong=[1])
    lock = (checkout / "dvc.lock").read_text()
    make_line(checkout, wrong=[2])
    (checkout / "dvc.lock").write_text(lock)

    with pytest.raises(
        BadData, match="dvc.lock is the receipt of another evaluation.*Remedy: run `dvc repro`"
    ):
        run(line.job())


def test_without_a_receipt_register_says_what_to_type(checkout: Path) -> None:
    line = make_line(checkout)
    (checkout / "dvc.lock").unlink()

    with pytest.raises(
        BadData, match=r"there is no receipt of the line yet. Remedy: run `dvc repro`"
    ):
        run(line.job())


def test_a_receipt_that_ends_early_is_named(checkout: Path) -> None:
    line = make_line(checkout)
    (checkout / "dvc.lock").write_text("stages:\n  curate: {cmd: x}\n")

    with pytest.raises(BadData, match="the receipt does not reach evaluate .found: curate."):
        run(line.job())


def test_a_class_is_published_under_its_name_in_a_locale_without_utf_8(tmp_path: Path) -> None:
    line = make_line(tmp_path / "checkout", names=("rot", "grün", "青い"))
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "pipeline_lib.stage", "register"]

    done = subprocess.run(
        command, cwd=line.root, env={**os.environ, **plain}, capture_output=True, check=False
    )

    assert done.returncode == 0, done.stderr.decode()
    published = line.root / ".perennial" / "reports" / "latest"
    for name in ("report.html", "model-card.md"):
        assert "grün" in (text := (published / name).read_text(encoding="utf-8")) and "青い" in text
