"""`perennial mistakes`: the list of the wrong images, filtered, for people, programs and spreadsheets."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from flows.cli.parser import main
from pipeline_lib.register.run import run
from testing.tiny_line import TinyLine, make_line


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> TinyLine:
    """Two models of a line: the champion, and one with three mistakes whose report is the latest."""
    root = tmp_path_factory.mktemp("line") / "checkout"
    made = make_line(root)
    run(made.job())
    made = make_line(root, wrong=[1, 2, 4], model="two")
    run(made.job())
    return made


@pytest.fixture(autouse=True)
def here(line: TinyLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(line.root)
    for name in ("PERENNIAL_ROOT", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)


def test_the_last_run_is_listed_worst_first_with_what_the_label_is_worth(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["mistakes"]) == 0

    said = capsys.readouterr()
    head, *lines = said.out.splitlines()
    assert head.split() == ["p(true)", "p(pred)", "true", "predicted", "image", "label"]
    assert [one.split()[2:6] for one in lines] == [
        ["blue", "red", "tiny:", "blue/038.png"],
        ["green", "blue", "tiny:", "green/037.png"],
        ["green", "blue", "tiny:", "green/040.png"],
    ]
    assert said.err == "3 mistakes on 60 test images; the label is doubted on 0 of them\n"


def test_a_version_can_be_named_and_the_list_filtered(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mistakes", "champion"]) == 0
    assert capsys.readouterr().out == ""

    assert main(["mistakes", "--class", "green", "--as", "blue", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["path"] for row in rows] == ["green/037.png", "green/040.png"]
    assert rows[0]["p_suggested"] is None


def test_the_csv_is_the_table_beside_the_report(
    line: TinyLine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mistakes", "--csv"]) == 0

    beside = line.root / ".perennial" / "reports" / "latest" / "mistakes.csv"
    assert capsys.readouterr().out == beside.read_text()


def test_the_images_are_copied_as_they_were_received(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "wrong"

    assert main(["mistakes", "--class", "green", "--copy-to", str(target)]) == 0

    assert capsys.readouterr().out == f"{target}\n"
    copies = sorted(target.glob("green/blue/*.png"))
    assert [one.name[:3] for one in copies] == ["037", "040"]
    rows = (target / "mistakes.csv").read_text().splitlines()[1:]
    for copy, row in zip(copies, rows, strict=True):
        assert hashlib.sha256(copy.read_bytes()).hexdigest() == row.split(",")[1]
        assert row.endswith(str(copy.relative_to(target)))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (
            ["--class", "gren"],
            2,
            "--class: no such class (found: gren). Remedy: name one such as green",
        ),
        (["7"], 2, "no such model version (found: 7). Remedy: name one of: 1 (champion"),
        (["--copy-to", "curation"], 2, "not a new or empty folder. Remedy: name another folder"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mistakes", *arguments]) == code

    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_bytes_that_are_not_the_ones_listed_are_not_copied(
    line: TinyLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    md5 = hashlib.md5(
        (line.path("shards") / "a.bin").read_bytes(), usedforsecurity=False
    ).hexdigest()
    cached = line.root / ".dvc/cache/files/md5" / md5[:2] / md5[2:]
    whole = cached.read_bytes()
    cached.write_bytes(os.urandom(len(whole)))

    code = main(["mistakes", "--copy-to", str(tmp_path / "wrong")])
    cached.write_bytes(whole)

    assert code == 65
    assert "are not what their sha256 says" in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()


def test_before_the_first_evaluation_one_line_says_what_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.chdir(tmp_path)

    assert main(["mistakes"]) == 66
    assert "no model has been evaluated yet. Remedy: run `dvc repro`" in capsys.readouterr().err
