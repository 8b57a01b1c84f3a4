import json
import re
from pathlib import Path

import pytest

from pipeline_lib.errors import UsageError
from pipeline_lib.lineage import as_json, as_mermaid, as_text, lineage_of
from pipeline_lib.register.run import run
from pipeline_lib.settings import Settings
from testing.tiny_line import TinyLine, keep, make_line

CHAIN = [
    "registry version",
    "evaluation",
    "weights",
    "params and code",
    "betons",
    "selection and manifest",
    "shards",
]


@pytest.fixture
def line(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> TinyLine:
    made = make_line(checkout)
    run(made.job())
    monkeypatch.chdir(checkout)
    return made


def test_a_version_leads_back_to_its_source(line: TinyLine, name: str) -> None:
    found = lineage_of("champion", checkout=line.root, settings=Settings())

    assert [step.title for step in found.steps] == [*CHAIN, "listing and source"]
    assert found.title == f"{name} version 1 (champion, reference)"
    assert "images" in {fact.value for fact in found.steps[-1].facts}


def test_every_hash_is_that_of_the_file(line: TinyLine) -> None:
    text = as_text(lineage_of("1", checkout=line.root, settings=Settings()))

    for role in (
        "export",
        "predictions",
        "weights",
        "betons",
        "selection",
        "manifest",
        "shards",
        "listing",
    ):
        assert f"md5 {keep(line.root, line.path(role))}" in text


def test_a_version_is_explained_when_dvc_lock_and_files_are_gone(line: TinyLine) -> None:
    before = as_text(lineage_of("champion", checkout=line.root, settings=Settings()))
    (line.root / "dvc.lock").unlink()

    assert as_text(lineage_of("champion", checkout=line.root, settings=Settings())) == before


def test_a_file_leads_back_to_the_listing_and_on_to_the_model(line: TinyLine, name: str) -> None:
    found = lineage_of("line/inspect/images.parquet", checkout=line.root, settings=Settings())

    assert [step.title for step in found.steps] == ["inspect", "download", "discover"]
    made = [step.title for step in found.made_from_it]
    assert made == ["curate", "convert", "train", "evaluate", f"{name} version 1"]


def test_what_is_made_of_a_folders_file_counts_as_made_of_the_folder(line: TinyLine) -> None:
    found = lineage_of("line/curate/selection", checkout=line.root, settings=Settings())

    assert [step.title for step in found.made_from_it][:2] == ["train", "evaluate"]


def test_an_old_md5_is_found_in_the_receipts_of_a_version(line: TinyLine) -> None:
    old = keep(line.root, line.path("weights"))
    make_line(line.root, model="two")

    found = lineage_of(old[:10], checkout=line.root, settings=Settings())

    assert found.title == f"line/train/weights  md5 {old}"


def test_a_file_given_by_people_has_no_maker(line: TinyLine) -> None:
    found = lineage_of("curation/overrides.csv", checkout=line.root, settings=Settings())

    assert [step.title for step in found.steps] == ["given"]
    assert found.made_from_it[0].title == "curate"


def test_what_no_receipt_mentions_is_refused(line: TinyLine) -> None:
    message = "line/none.parquet: no receipt mentions it. Remedy: name a file of the line"

    with pytest.raises(UsageError, match=re.escape(message)):
        lineage_of("line/none.parquet", checkout=line.root, settings=Settings())


def test_json_and_mermaid_hold_the_same_chain(line: TinyLine) -> None:
    found = lineage_of("champion", checkout=line.root, settings=Settings())

    assert [step["title"] for step in json.loads(as_json(found))["steps"]] == [
        step.title for step in found.steps
    ]
    assert as_mermaid(found).count("-->") == len(found.steps) - 1
    assert as_mermaid(found).startswith('flowchart LR\n  s0["listing and source<br/>')
