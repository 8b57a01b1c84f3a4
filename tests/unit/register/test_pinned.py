"""The alias reference: which model has it, after promotions, rollbacks, deletions, in clones, and what it does."""

import json
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from ruamel.yaml import YAML

from flows.cli.commands import versions
from pipeline_lib.errors import UsageError
from pipeline_lib.register.run import run
from pipeline_lib.registry.git_tags import read_tags
from pipeline_lib.tables.predictions import PREDICTIONS
from pipeline_lib.tables.selection import SELECTION
from testing.registrations import (
    IDENTITY,
    MANY,
    REASON,
    aliases,
    cloned,
    git,
    registered,
    registry_of,
    said,
)
from testing.tiny_line import TinyLine, make_line, receive
from tests.unit.register.test_champion_answers import with_betons


def reference(line: TinyLine) -> int | None:
    found = registry_of(line).reference()
    return found.number if found else None


def in_git(line: TinyLine, name: str) -> int | None:
    """The reference that the newest tag names."""
    turn = read_tags(line.root, name).turn
    return turn.reference if turn else None


def three_better(checkout: Path) -> TinyLine:
    """Versions 1 to 3, each right on one image more: 3 is champion, 1 the reference."""
    for model, wrong in (("one", [1, 2]), ("two", [1]), ("three", [])):
        line = registered(checkout, wrong=wrong, model=model)
    return line


def test_the_reference_is_the_first_champion_and_luck_does_not_move_it(
    checkout: Path, name: str
) -> None:
    line = three_better(checkout)

    assert (aliases(line)[3], reference(line), in_git(line, name)) == (("champion",), 1, 1)


def test_what_is_superior_to_the_reference_takes_its_place(checkout: Path, name: str) -> None:
    registered(checkout, wrong=range(10))

    line = registered(checkout, model="two")

    assert (reference(line), in_git(line, name)) == (2, 2)


def test_a_model_as_good_as_the_champion_is_stopped_by_the_reference_until_someone_pins_another(
    checkout: Path,
) -> None:
    registered(checkout, wrong=range(8))
    line = registered(checkout, model="two")
    registry_of(line).promote("1", reason="lighter")
    registered(checkout, wrong=range(8), model="three")
    stopped = registry_of(line).last_attempt()

    registry_of(line).pin("1", reason="light enough to be worth eight images")
    line = registered(checkout, wrong=range(8), model="four")

    assert stopped is not None
    assert stopped.verdict.sentence.startswith(
        "Refused: 13.3 points worse than the reference, version 2; "
    )
    assert aliases(line)[3] == ("champion",)


def test_a_model_that_differs_by_its_seed_alone_is_promoted_only_if_it_is_superior(
    checkout: Path,
) -> None:
    for seed in (0, 1):
        line = make_line(checkout, model=f"seed {seed}")
        lock = YAML(typ="safe").load(checkout / "dvc.lock")
        lock["stages"]["train"]["params"] = {"params.yaml": {"train": {"seed": seed}}}
        YAML().dump(lock, checkout / "dvc.lock")
        run(line.job())

    assert (
        "only the seed changed, and as often right"
        in registry_of(line).version("challenger").verdict.sentence
    )


def test_the_reference_of_todays_test_images_is_asked_anew_and_only_once_where_it_is_the_champion(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout, wrong=[1, 2])
    counts = []
    for model, wrong in (("two", []), ("three", MANY)):
        line = with_betons(make_line(checkout, wrong=wrong, model=model))
        caplog.clear()
        run(line.job(loader="python", workers=1))
        counts.append(caplog.text.count("asking a registered model about 60"))

    assert counts == [
        1,
        0,
    ]  # the reference's answers are kept; version 2 was evaluated on these images


def test_a_relabelled_test_set_asks_the_champion_and_the_reference_anew(
    checkout: Path, caplog: pytest.LogCaptureFixture
) -> None:
    registered(checkout, wrong=[1, 2])
    run(with_betons(make_line(checkout, model="two")).job(loader="python", workers=1))
    line = with_betons(make_line(checkout, model="three"))
    test, predictions = line.path("selection") / "test.parquet", line.path("predictions")
    relabelled = SELECTION.read(test).query("label != 1")["image_id"].iloc[0]
    for table, file in ((SELECTION, test), (PREDICTIONS, predictions)):
        rows = table.read(file)
        rows.loc[rows["image_id"] == relabelled, "label"] = 2 - rows["label"]
        table.write(rows, file)
    receive(line)
    caplog.clear()

    run(line.job(loader="python", workers=1))

    assert caplog.text.count("asking a registered model about 60") == 2
    assert (aliases(line)[3], reference(line)) == (("champion",), 1)


def test_a_reference_that_was_erased_holds_nothing_and_the_report_says_so(checkout: Path) -> None:
    line = three_better(checkout)
    erased = registry_of(line).version("reference").closure.md5_of("predictions")
    (checkout / ".dvc/cache/files/md5" / erased[:2] / erased[2:]).unlink()

    line = registered(checkout, model="four")

    assert aliases(line)[4] == ("champion",)
    note = " ".join(registry_of(line).version("champion").verdict.notes)
    assert "compared with the champion alone, as the reference, version 1, cannot be asked" in note
    assert (
        "Compared with the champion alone"
        in (checkout / ".perennial/reports/latest/report.html").read_text()
    )


def test_a_deleted_reference_gives_the_alias_to_the_champion(
    checkout: Path, name: str, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    line = three_better(checkout)
    MlflowClient(database, database).delete_model_version(name, "1")

    assert (
        "no version has the alias reference: the reference is the champion, version 3, now"
        in said(caplog, line)
    )
    assert (reference(line), in_git(line, name)) == (3, 3)


def test_a_reference_that_is_rolled_back_gives_the_alias_to_the_champion_of_now(
    checkout: Path, name: str
) -> None:
    registered(checkout, wrong=range(10))
    line = registered(checkout, model="two")

    registry_of(line).rollback(reason=REASON)

    assert (reference(line), in_git(line, name)) == (1, 1)
    with pytest.raises(
        UsageError, match="this version was rolled back .found: 2.. Remedy: name another"
    ):
        registry_of(line).pin("2", reason="because")


def test_a_person_pins_another_reference_with_a_reason_and_every_clone_knows(
    checkout: Path,
    name: str,
    other_database: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = three_better(checkout)
    with pytest.raises(UsageError, match="a reason is needed"):
        registry_of(line).pin("2", reason=" ")
    registry_of(line).pin("2", reason="the old one knew no frost")
    clone = cloned(checkout, other_database, monkeypatch)

    line = registered(clone, wrong=MANY, model="four")

    pinned = registry_of(line).version("reference")
    assert (pinned.number, in_git(line, name)) == (2, 2)
    assert git(clone, "tag", "-l", f"{name}#champion#4", "--format=%(taggername)") != ""
    monkeypatch.setattr("flows.cli.project.find_project", lambda _: clone)
    versions.run(Namespace(json=False))
    assert (
        "reference by hand on 2" in (shown := capsys.readouterr().out) and "knew no frost" in shown
    )
    versions.run(Namespace(json=True))
    facts = json.loads(capsys.readouterr().out)
    assert [one["reference_for"] for one in facts] == [None, "the old one knew no frost", None]


def test_tags_from_before_the_reference_name_the_champion(
    checkout: Path, name: str, other_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_better(checkout)
    for tag in (f"{name}#champion#{turn}" for turn in (1, 2, 3)):
        message = git(checkout, "tag", "-l", tag, "--format=%(contents)").replace(
            '"reference":1', '"unknown":1'
        )
        git(
            checkout,
            *IDENTITY,
            "tag",
            "-f",
            "--cleanup=verbatim",
            "-am",
            message,
            tag,
            f"{tag}^{{commit}}",
        )

    line = registered(cloned(checkout, other_database, monkeypatch), wrong=MANY, model="four")

    assert reference(line) == 3


def test_dvc_gc_keeps_the_references_onnx(checkout: Path) -> None:
    line = three_better(checkout)
    dvc = [sys.executable, "-m", "dvc", "gc", "--all-tags", "--force", "--quiet"]

    subprocess.run(dvc, cwd=checkout, check=True, capture_output=True)

    registry = registry_of(line)
    assert (registry.export_folder(registry.version("reference")) / "model.onnx").exists()
