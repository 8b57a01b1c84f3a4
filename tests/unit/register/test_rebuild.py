"""Registry and git tags tell one story: in fresh clones, after deletions, after what other clones did."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline_lib.errors import BadData
from pipeline_lib.register.run import run
from testing.registrations import (
    IDENTITY,
    MANY,
    REASON,
    aliases,
    champion_in_git,
    cloned,
    die_at,
    git,
    registered,
    registry_of,
    said,
)
from testing.tiny_line import TinyLine, make_line


def test_a_fresh_clone_takes_versions_and_champion_from_the_tags_before_it_judges(
    checkout: Path,
    name: str,
    other_database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registered(checkout, wrong=[1])
    registered(checkout, wrong=[1, 2], model="held", candidate=True)
    original = registered(checkout, model="two")
    before = [
        (v.number, v.aliases, v.model_md5, v.verdict) for v in registry_of(original).versions()
    ]
    clone = cloned(checkout, other_database, monkeypatch)

    line = registered(clone, wrong=MANY, model="three")

    after = [(v.number, v.aliases, v.model_md5, v.verdict) for v in registry_of(line).versions()]
    assert after == before
    assert (
        "takes from the git tags what it did not know: versions 1, 2, 3; champion is version 3"
        in caplog.text
    )
    assert "first model" not in caplog.text.split("takes from the git tags")[1]
    assert champion_in_git(clone, name) == "champion is version 3"


def test_in_a_fresh_clone_the_same_model_is_nothing_new(
    checkout: Path,
    other_database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
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
        die_at(step, patch)
        with pytest.raises(KeyboardInterrupt):
            run(make_line(clone, wrong=MANY, model="three").job())

    line = registered(clone, wrong=MANY, model="three")

    assert aliases(line) == {1: ("previous",), 2: ("champion",)}


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

    message = "too old to hold their records .*Remedy: copy that file from the checkout that made the tags; or, to begin"
    with pytest.raises(BadData, match=message):
        run(make_line(clone, model="two").job())


def make_old(checkout: Path, name: str) -> None:
    """Make the tags of version 1 as they were before they held records."""
    first_lines = {
        f"{name}@v0.0.1": f"{name} version 1: Promoted.",
        f"{name}#champion#1": "champion is version 1",
    }
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


def test_the_tags_are_read_by_gto(checkout: Path, name: str, database: str) -> None:
    registered(checkout, wrong=[1])
    line = registered(checkout, model="two")
    MlflowClient(database, database).delete_model_version(name, "2")
    registered(checkout, model="three")
    command = ["gto", "show", name, "--json"]

    text = subprocess.run(command, cwd=line.root, check=True, capture_output=True, text=True).stdout

    stages = {row["version"]: [one["stage"] for one in row["stages"]] for row in json.loads(text)}
    assert stages == {"v0.0.1": [], "v0.0.3": ["champion"]}
