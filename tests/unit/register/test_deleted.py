"""What was deleted by hand in MLflow: champion, model name or alias."""

from pathlib import Path

import pytest
from mlflow import MlflowClient

from pipeline_lib.register.run import run
from testing.registrations import aliases, champion_in_git, git, registered, said


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


def test_a_version_that_somebody_registered_by_hand_is_none_of_ours(
    checkout: Path, name: str, database: str
) -> None:
    line = registered(checkout)
    MlflowClient(database, database).create_model_version(name, source="dvc://md5/other")

    run(line.job())

    assert list(aliases(line)) == [1]
