"""Registry, git tags and what is said of them tell one story: after rollbacks, in fresh clones, after deletions."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from demo.verdict import read_judged
from pipeline_lib.errors import BadData, UsageError
from pipeline_lib.register.run import run
from pipeline_lib.registry import Registry, open_registry
from pipeline_lib.registry.mlflow_store import MlflowStore
from pipeline_lib.registry.records import VERSION
from pipeline_lib.settings import Settings
from tests.unit.register.tiny_line import TinyLine, make_line

MANY = range(20)
REASON = "it took sevens for ones"
IDENTITY = ("-c", "user.name=T", "-c", "user.email=t@example.org")


def registry_of(line: TinyLine) -> Registry:
    return open_registry(Settings(), line.root)


def registered(checkout: Path, *, wrong: Any = (), model: str = "one", **settings: Any) -> TinyLine:
    line = make_line(checkout, wrong=wrong, model=model)
    run(line.job(**settings))
    return line


def aliases(line: TinyLine) -> dict[int, tuple[str, ...]]:
    return {version.number: version.aliases for version in registry_of(line).versions()}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def champion_in_git(checkout: Path, name: str) -> str:
    """What the newest tag of a champion says."""
    tags = git(checkout, "tag", "-l", f"{name}#champion*", "--format=%(refname:short) %(subject)").splitlines()
    newest = max(tags, key=lambda line: int(line.split()[0].rpartition("#")[2]))
    return newest.split(maxsplit=1)[1]


def cloned(checkout: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh clone: the tags, and a registry that holds nothing."""
    clone = checkout.with_name("clone")
    git(checkout.parent, "clone", "-q", str(checkout), str(clone))
    shutil.copytree(checkout / ".dvc/cache", clone / ".dvc/cache")
    monkeypatch.setenv("PERENNIAL_REGISTRY_URI", database)
    return clone


def said(caplog: pytest.LogCaptureFixture, line: TinyLine) -> str:
    """What register says of a line."""
    caplog.clear()
    run(line.job())
    return caplog.text


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

    assert f"({REASON}); champion is version 1." in read_judged(line.root).sentence  # the last line of `make demo`
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


def test_a_verdict_of_this_run_ends_with_the_champion_of_now(checkout: Path, caplog: pytest.LogCaptureFixture) -> None:
    registered(checkout)

    registered(checkout, wrong=MANY, model="two")

    assert "Champion is version 1." in caplog.text


def test_a_fresh_clone_takes_versions_and_champion_from_the_tags_before_it_judges(
    checkout: Path, name: str, other_database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout, wrong=[1])
    registered(checkout, wrong=[1, 2], model="held", candidate=True)
    original = registered(checkout, model="two")
    before = [(v.number, v.aliases, v.model_md5, v.verdict) for v in registry_of(original).versions()]
    clone = cloned(checkout, other_database, monkeypatch)

    line = registered(clone, wrong=MANY, model="three")

    after = [(v.number, v.aliases, v.model_md5, v.verdict) for v in registry_of(line).versions()]
    assert after == before
    assert "takes from the git tags what it did not know: versions 1, 2, 3; champion is version 3" in caplog.text
    assert "first model" not in caplog.text.split("takes from the git tags")[1]
    assert champion_in_git(clone, name) == "champion is version 3"


def test_in_a_fresh_clone_the_same_model_is_nothing_new(
    checkout: Path, other_database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout)
    line = make_line(cloned(checkout, other_database, monkeypatch))

    assert "Nothing new: version 1 is champion since 2" in said(caplog, line)


def test_a_rollback_is_known_in_a_fresh_clone(
    checkout: Path, other_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout, wrong=[1])
    original = registered(checkout, model="two")
    registry_of(original).rollback(reason=REASON)
    clone = cloned(checkout, other_database, monkeypatch)

    line = registered(clone, wrong=[3], model="two")

    assert aliases(line) == {1: ("champion",), 2: (), 3: ("challenger",)}
    assert registry_of(line).version("2").rolled_back == REASON


def test_whoever_asks_for_a_version_in_a_fresh_clone_finds_it(
    checkout: Path, other_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = registered(checkout)
    expected = registry_of(original).version("champion").model_md5
    clone = cloned(checkout, other_database, monkeypatch)

    assert registry_of(TinyLine(clone)).version("champion").model_md5 == expected


@pytest.mark.parametrize("step", range(1, 8))
def test_a_kill_while_the_registry_is_rebuilt_is_made_good(
    checkout: Path, other_database: str, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout, wrong=[1])
    registered(checkout, model="two")
    clone = cloned(checkout, other_database, monkeypatch)
    with monkeypatch.context() as patch:
        _die_at(step, patch)
        with pytest.raises(KeyboardInterrupt):
            run(make_line(clone, wrong=MANY, model="three").job())

    line = registered(clone, wrong=MANY, model="three")

    assert aliases(line) == {1: ("previous",), 2: ("champion",)}


def _die_at(step: int, patch: pytest.MonkeyPatch) -> None:
    """Stop with an exception that nothing catches before the registry's write number `step`."""
    count = iter(range(1, 100))

    def dying(write: Any) -> Any:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if next(count) == step:
                raise KeyboardInterrupt
            return write(*arguments, **options)

        return wrapped

    for write in ("open_attempt", "create_version", "tag_version", "set_alias", "close_attempt", "set_turn"):
        patch.setattr(MlflowStore, write, dying(getattr(MlflowStore, write)))


def test_what_another_clone_promoted_or_took_back_comes_with_its_tags(
    checkout: Path, name: str, other_database: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout, wrong=[1, 2])
    clone = cloned(checkout, other_database, monkeypatch)
    registered(clone, wrong=[2], model="two")
    there = registered(clone, model="three")
    registry_of(there).rollback(reason=REASON)
    git(checkout, "fetch", "-q", "--tags", str(clone))
    shutil.copytree(clone / ".dvc/cache", checkout / ".dvc/cache", dirs_exist_ok=True)
    monkeypatch.setenv("PERENNIAL_REGISTRY_URI", database)

    line = registered(checkout, wrong=MANY, model="four")

    assert aliases(line) == {1: ("previous",), 2: ("champion",), 3: ()}
    assert champion_in_git(checkout, name) == "champion is version 2"


def test_tags_too_old_to_hold_a_record_are_refused_with_what_to_do(
    checkout: Path, name: str, other_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout)
    clone = cloned(checkout, other_database, monkeypatch)
    make_old(clone, name)

    message = (
        "too old to hold their records .*Remedy: copy that file from the checkout that made the tags; or, to begin"
    )
    with pytest.raises(BadData, match=message):
        run(make_line(clone, model="two").job())


def make_old(checkout: Path, name: str) -> None:
    """Make the tags of version 1 as they were before they held records."""
    first_lines = {f"{name}@v0.0.1": f"{name} version 1: Promoted.", f"{name}#champion#1": "champion is version 1"}
    for tag, line in first_lines.items():
        git(checkout, *IDENTITY, "tag", "-fam", line, tag, f"{tag}^{{commit}}")


def test_tags_from_before_they_held_records_go_with_their_registry(
    checkout: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = registered(checkout, wrong=[1])
    make_old(checkout, name)

    text = said(caplog, line)
    after = registered(checkout, model="two")

    assert "Nothing new: version 1 is champion since 2" in text
    assert aliases(after) == {1: ("previous",), 2: ("champion",)}


def test_a_clone_whose_champion_has_a_record_is_rebuilt_without_what_is_older(
    checkout: Path, name: str, other_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout, wrong=[1])
    make_old(checkout, name)
    registered(checkout, model="two")

    line = registered(cloned(checkout, other_database, monkeypatch), wrong=MANY, model="three")

    assert aliases(line) == {2: ("champion",)}


def test_a_number_that_stands_for_two_models_is_refused_with_what_to_do(
    checkout: Path, name: str, other_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(checkout)
    git(checkout.parent, "init", "-q", "away")
    git(checkout, "push", "-q", "../away", "--tags")
    git(checkout, "tag", "-d", *git(checkout, "tag").split())
    monkeypatch.setenv("PERENNIAL_REGISTRY_URI", other_database)
    registered(checkout, model="two")
    git(checkout, "fetch", "-qf", "../away", "refs/tags/*:refs/tags/*")

    message = rf"the git tag of that name stands for another model .found: {name}@v0.0.1.*move the registry away"
    with pytest.raises(BadData, match=message):
        run(make_line(checkout, model="three").job())


def test_when_the_champion_is_deleted_its_predecessor_takes_over_and_git_says_so_too(
    checkout: Path, name: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout, wrong=[1])
    line = registered(checkout, model="two")
    MlflowClient(database, database).delete_model_version(name, "2")

    text = said(caplog, line)

    assert aliases(line) == {1: ("champion",), 3: ("challenger",)}
    assert "the champion was deleted from the registry: version 1 is champion again" in text
    assert "version 2 was deleted from the registry" in text
    assert champion_in_git(checkout, name) == "champion is version 1"
    assert f"{name}@v0.0.2!" in git(checkout, "tag").split()


def test_when_the_only_version_is_deleted_the_model_is_judged_again_under_another_number(
    checkout: Path, name: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = registered(checkout)
    MlflowClient(database, database).delete_model_version(name, "1")

    text = said(caplog, line)

    assert aliases(line) == {2: ("champion",)}
    assert "the champion was deleted from the registry, and no earlier one is left" in text
    assert champion_in_git(checkout, name) == "champion is version 2"


def test_a_model_name_that_was_deleted_as_a_whole_never_gives_a_number_twice(
    checkout: Path, name: str, database: str
) -> None:
    registered(checkout, wrong=[1])
    registered(checkout, model="two")
    MlflowClient(database, database).delete_registered_model(name)

    line = registered(checkout, model="three")

    assert aliases(line) == {3: ("champion",)}
    assert champion_in_git(checkout, name) == "champion is version 3"


def test_an_alias_that_was_removed_is_given_back(
    checkout: Path, name: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = registered(checkout)
    MlflowClient(database, database).delete_registered_model_alias(name, "champion")

    assert "no version had the alias champion: version 1 is champion again" in said(caplog, line)


def test_a_version_that_somebody_registered_by_hand_is_none_of_ours(checkout: Path, name: str, database: str) -> None:
    line = registered(checkout)
    MlflowClient(database, database).create_model_version(name, source="dvc://md5/other")

    run(line.job())

    assert list(aliases(line)) == [1]


def test_a_held_challenger_becomes_champion_on_a_persons_word(
    checkout: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout)
    line = registered(checkout, wrong=[1, 2], model="two")

    registry_of(line).promote("challenger", reason="better in the field")

    assert aliases(line) == {1: ("previous",), 2: ("champion",)}
    assert "version 2 is champion since 2" in (text := said(caplog, line)) and "by hand: better in the field" in text
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
        _die_at(4, patch)  # after the three tags of the version, before the alias
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

    with pytest.raises(UsageError, match="this version is the champion .found: 1.. Remedy: name another"):
        registry_of(line).rollback(reason=REASON, to="1")


def test_where_no_model_was_promoted_the_last_verdict_says_why(checkout: Path) -> None:
    empty = registry_of(make_line(checkout))
    with pytest.raises(UsageError, match="no model was registered yet. Remedy: `dvc repro` or `perennial run`"):
        empty.version("champion")
    line = registered(checkout, wrong=range(50))

    with pytest.raises(UsageError, match=r"no model was promoted yet .found: Refused: .*Remedy: `perennial report`"):
        registry_of(line).version("champion")


def test_where_there_is_only_a_challenger_the_remedy_promotes_it(checkout: Path) -> None:
    line = registered(checkout, candidate=True)

    with pytest.raises(UsageError, match="no model was promoted yet .*`perennial promote 1 --reason TEXT`"):
        registry_of(line).version("champion")


def test_the_tags_are_read_by_gto(checkout: Path, name: str, database: str) -> None:
    registered(checkout, wrong=[1])
    line = registered(checkout, model="two")
    MlflowClient(database, database).delete_model_version(name, "2")
    registered(checkout, model="three")
    command = ["gto", "show", name, "--json"]

    text = subprocess.run(command, cwd=line.root, check=True, capture_output=True, text=True).stdout

    stages = {row["version"]: [one["stage"] for one in row["stages"]] for row in json.loads(text)}
    assert stages == {"v0.0.1": [], "v0.0.3": ["champion"]}


def test_an_attempt_remembers_the_number_it_got(checkout: Path) -> None:
    line = registered(checkout)

    assert [attempt.tags[VERSION] for attempt in registry_of(line)._reader().attempts()] == ["1"]
