"""`perennial why`: all that is known of an image, however it is named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from flows.cli.parser import main
from pipeline_lib.errors import UsageError
from pipeline_lib.reasons import Reason
from pipeline_lib.register.run import run
from pipeline_lib.tables.extras import EXTRAS
from pipeline_lib.tables.manifest import MANIFEST
from pipeline_lib.tables.votes import VOTES
from pipeline_lib.why.find import find_images
from testing.tiny_line import TinyLine, image_ids, make_line, receive

TRAINED, TESTED = "tiny/red/003.png", "tiny/green/037.png"
OVERRIDES = "key_type,key,action,value,expected_old,reason,author,date\n"


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> TinyLine:
    """Two registered models; the second answers two test images wrongly, and votes, extras, groups and an override exist."""
    root = tmp_path_factory.mktemp("line") / "checkout"
    run(make_line(root).job())
    line = make_line(root, wrong=[1, 2], model="two")
    votes = {"image_id": [TESTED, TESTED], "annotator": ["ana", "ben"], "label": ["green", "blue"]}
    VOTES.write(pd.DataFrame(votes), line.path("votes"))
    EXTRAS.write(
        pd.DataFrame({"image_id": [TESTED], "extras": ['{"camera": "A"}']}), line.path("extras")
    )
    manifest = MANIFEST.read(line.path("manifest"))
    gone = manifest["image_id"] == "tiny/blue/095.png"
    manifest.loc[gone, ["decision", "reason", "split"]] = ["quarantine", "odd_aspect", None]
    MANIFEST.write(manifest, line.path("manifest"))
    (root / "curation/overrides.csv").write_text(f"{OVERRIDES}image_id,{TESTED},keep,,,,,\n")
    (root / "curation/groups.csv").write_text("member,skin\ngreen/037.png,dark\n")
    receive(line)
    run(line.job())
    return line


@pytest.fixture(autouse=True)
def here(line: TinyLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(line.root)
    for name in ("PERENNIAL_ROOT", "DVC_ROOT"):
        monkeypatch.delenv(name, raising=False)


def told(capsys: pytest.CaptureFixture[str], *names: str) -> list[dict[str, Any]]:
    assert main(["why", "--json", *names]) == 0
    stories: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return stories


def test_a_test_image_is_told_in_plain_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["why", TESTED]) == 0

    said = capsys.readouterr().out
    for words in (
        f"{TESTED}\n  from       source tiny: green/037.png\n             sha256 ",
        "of line/download/shards/a.bin, shard aaaaaaaaaaaaaaaa",
        "label      green, as received\n             votes: ana: green, ben: blue\n",
        "curation/overrides.csv line 2 (by image_id): keep",
        "decision   kept, by a rule\n",
        "groups     skin: dark\n  extras     camera: A\n",
        "version 2 on test: wrong: the label green has 10.0 %\n              80.0 % blue\n",
        "learnt by  not version 1 to 2",
    ):
        assert words in said, (words, said)


def test_a_training_image_names_the_models_that_learnt_it_and_its_copies(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (story,) = told(capsys, "red/000.png")

    assert story["answer"] is None
    assert story["learnt"] == {"by": [1, 2], "not_by": [], "unknown": []}
    assert [one["image_id"] for one in story["copies"]["others"]] == ["tiny/red/copy.png"]
    (doubted,) = told(capsys, TRAINED)
    assert doubted["doubt"]["questions"] == [
        {"kind": "label_issue", "rank": 1, "note": "looks blue"}
    ]


def test_what_was_left_out_has_its_reason_meaning_and_remedy(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (story,) = told(capsys, "095.png")

    assert story["decision"]["reason"] == "odd_aspect"
    assert story["decision"]["meaning"] == Reason.ODD_ASPECT.meaning
    assert story["decision"]["remedy"] == "raise inspect.aspect_quarantine in params.yaml"
    assert main(["why", "095.png"]) == 0
    said = capsys.readouterr().out
    assert (
        "quarantined: odd_aspect (much longer than wide, or much wider than long), by a rule"
        in said
    )


def test_a_file_is_found_by_its_bytes_and_a_sha256_by_its_beginning(
    line: TinyLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (story,) = told(capsys, TESTED)
    origin = story["origin"]
    copy = tmp_path / "any name.png"
    stored = (line.path("shards") / "a.bin").read_bytes()
    copy.write_bytes(stored[origin["offset_bytes"] :][: origin["size_bytes"]])

    by_file = told(capsys, str(copy))
    by_bytes = told(capsys, origin["sha256"][:10].upper(), TESTED)

    assert by_file == by_bytes == [story]  # named twice, told once


def test_copies_of_one_image_are_all_told(capsys: pytest.CaptureFixture[str]) -> None:
    (first,) = told(capsys, "tiny/red/000.png")

    stories = told(capsys, first["origin"]["sha256"])

    assert [one["image_id"] for one in stories] == ["tiny/red/000.png", "tiny/red/copy.png"]


def test_what_fits_none_or_several_is_one_line_and_the_others_are_told(
    line: TinyLine, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(line.root / "curation", tmp_path / "037.png")  # a folder is no image
    (tmp_path / "new.png").write_bytes(b"new")

    assert main(["why", "36.png", "g", str(tmp_path / "new.png"), TESTED]) == 2

    said = capsys.readouterr()
    assert said.out.startswith(TESTED)
    unknown, letter, new = said.err.splitlines()
    assert unknown.startswith(
        "perennial why: error[usage]: 36.png: no image of the line is called so. Remedy: name a file,"
    )
    assert "nearest are tiny/" in unknown
    assert "g: no image" in letter
    assert "no image of the line has the bytes of this file (sha256 " in new
    assert "`perennial discover`" in new


def test_a_name_of_several_images_lists_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pd.DataFrame(
        {
            "image_id": ["a/x/1.jpg", "b/1.jpg", "b/50%25.jpg"],
            "source": ["a", "b", "b"],
            "sha256": ["1a", "2b", None],
        }
    )

    with pytest.raises(
        UsageError,
        match=r"1.jpg: 2 images are meant \(found: a/x/1.jpg, b/1.jpg\). Remedy: name one by",
    ):
        find_images("1.jpg", rows)
    assert find_images("x/1.jpg", rows).image_ids == ("a/x/1.jpg",)
    assert find_images("50%.jpg", rows).image_ids == ("b/50%25.jpg",)
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "1.jpg").write_bytes(b"edited")
    monkeypatch.chdir(tmp_path)
    assert "has other bytes now" in find_images("x/1.jpg", rows).remark


def test_before_any_model_the_tables_of_the_checkout_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = make_line(tmp_path / "checkout")
    (line.root / "curation/overrides.csv").write_text(OVERRIDES)
    line.path("predictions").unlink()
    monkeypatch.chdir(line.root)

    assert main(["why", image_ids()[0]]) == 0

    said = capsys.readouterr().out
    assert "answer     none recorded of the model to come: it was learnt from" in said
    assert "learnt by  no model is registered" in said
    line.path("manifest").unlink()
    assert main(["why", "x"]) == 66
    assert "no image has been curated yet" in capsys.readouterr().err
