"""`perennial dataset release`: what it writes, what it refuses, and that Croissant's own library can read it."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import subprocess
from pathlib import Path

import mlcroissant
import pytest
from ruamel.yaml import YAML

from flows.cli.parser import main
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.release import fresh_about
from pipeline_lib.release.datasheet_answers import QUESTIONS
from pipeline_lib.release.write import version_of
from pipeline_lib.tables.manifest import MANIFEST
from testing.tiny_line import ROOT, make_line, receive

ABOUT = {
    "title": "Three colours",
    "description": "Squares | of three colours.",
    "url": "https://example.org/colours",
    "creators": ["Ana"],
    "licences": {
        "tiny": {
            "uri": "images",
            "name": "CC0-1.0",
            "url": "https://creativecommons.org/publicdomain/zero/1.0/",
        }
    },
    "classes": ["red", "green", "blue"],
    "answers": {"purpose": "To test a release."},
}
PARAMS = {
    "discover": {"sources": [{"name": "tiny", "uri": "images"}]},
    "download": {},
    "inspect": {},
    "curate": {},
}
CURATION = {
    "ledger": {"discovered": 97, "kept": 96, "quarantined": 0, "removed": 1},
    "reasons": {"duplicate": 1},
    "splits": {"train": 24, "val": 12, "test": 60},
    "leakage": {"before": 1, "after": 0},
    "label_issues": {"scored": 96, "auto": 0, "review": 1},
    "duplicates": {"groups": 1},
    "votes": {"cast": 0},
    "overrides": {"lines": 0},
}


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A committed checkout with a finished line."""
    line = make_line(tmp_path_factory.mktemp("released") / "line")
    YAML().dump(PARAMS, line.root / "params.yaml")
    YAML().dump(ABOUT, line.root / "curation/datasheet.yaml")
    line.path("curation").write_text(json.dumps(CURATION))
    (line.root / ".gitignore").write_text(
        "/line/**\n!/line/*/\n!/line/curate/curation.json\n.dvc/cache\n"
    )
    receive(line)
    git(line.root, "add", "-A")
    git(line.root, "commit", "-qm", "a finished run")
    return line.root


@pytest.fixture
def checkout(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "line"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("PERENNIAL_ROOT", raising=False)
    return folder


@pytest.fixture(scope="module")
def released(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout with the release colours-1.2.0."""
    folder = tmp_path_factory.mktemp("with_release") / "line"
    shutil.copytree(finished, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["dataset", "release", "colours-1.2.0"]) == 0
    return folder


def test_the_release_is_one_commit_with_its_folder_and_a_tag(released: Path) -> None:
    changed = git(
        released, "show", "--name-only", "--format=%s", "dataset/colours-1.2.0"
    ).splitlines()

    names = ("checksums.sha256", "croissant.json", "datasheet.md")
    assert changed[-3:] == [f"releases/colours-1.2.0/{name}" for name in names]
    assert git(released, "rev-parse", "dataset/colours-1.2.0^{commit}") == git(
        released, "rev-parse", "HEAD"
    )
    assert git(released, "status", "--porcelain") == ""


def test_the_checksums_hold_for_manifest_selection_classes_and_shards(released: Path) -> None:
    lines = (released / "releases/colours-1.2.0/checksums.sha256").read_text().splitlines()

    sums = {path: sha256 for sha256, path in (line.split("  ") for line in lines)}
    assert all(
        hashlib.sha256((released / path).read_bytes()).hexdigest() == sums[path] for path in sums
    )
    assert {
        "line/curate/manifest.parquet",
        "line/curate/selection/test.parquet",
        "line/curate/classes.csv",
    } <= set(sums)
    assert any(path.startswith("line/download/shards/") for path in sums)


def test_croissants_own_library_finds_nothing_wrong_and_reads_the_records(released: Path) -> None:
    dataset = mlcroissant.Dataset(jsonld=str(released / "releases/colours-1.2.0/croissant.json"))

    assert not dataset.metadata.ctx.issues.errors
    assert not dataset.metadata.ctx.issues.warnings
    test_rows = list(dataset.records("test"))
    assert len(test_rows) == 60
    assert {row["test/class_id"] for row in test_rows} == {b"red", b"green", b"blue"}
    first = next(iter(dataset.records("manifest")))
    manifest = MANIFEST.read(released / "line/curate/manifest.parquet")
    assert first["manifest/image_id"].decode() == manifest["image_id"].iloc[0]
    assert {row["classes/name"] for row in itertools.islice(dataset.records("classes"), 3)} == {
        b"red",
        b"green",
        b"blue",
    }


def test_a_file_changed_later_is_noticed_by_croissants_library(
    released: Path, tmp_path: Path
) -> None:
    shutil.copytree(released, tmp_path / "line")
    (tmp_path / "line/line/curate/classes.csv").write_text(
        "label,class_id,name,n_train,n_val,n_test\n0,x,x,1,1,1\n"
    )
    dataset = mlcroissant.Dataset(
        jsonld=str(tmp_path / "line/releases/colours-1.2.0/croissant.json")
    )

    with pytest.raises(mlcroissant.GenerationError) as caught:
        list(dataset.records("classes"))
    assert "is not identical with the reference" in str(caught.value.__cause__)


def test_the_datasheet_has_the_numbers_the_terms_and_every_question(released: Path) -> None:
    page = (released / "releases/colours-1.2.0/datasheet.md").read_text()

    assert "97 files were found: 96 are kept, 0 quarantined (a fault), 1 removed (a choice)" in page
    assert "Train 24, validation 12, test 60" in page
    assert (
        "| tiny | `images` | CC0-1.0 (https://creativecommons.org/publicdomain/zero/1.0/)" in page
    )
    assert "To test a release." in page and page.count("*Not answered; see") == len(QUESTIONS) - 1
    assert "version 1.2.0" in page
    assert "\n| red | 8 | 4 | 20 |\n" in page


def refused(capsys: pytest.CaptureFixture[str], name: str = "colours") -> tuple[int, str]:
    """The exit code and the one line of a release that is refused; nothing is left behind."""
    code = main(["dataset", "release", name])
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1, err
    assert not list(Path("releases").glob("*"))
    return code, err


def test_a_taken_name_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(checkout, "tag", "dataset/colours")

    assert refused(capsys) == (
        2,
        "perennial dataset: error[usage]: tag dataset/colours: the name is taken. "
        "Remedy: choose another name; a release never changes\n",
    )


def test_a_folder_of_that_name_is_a_taken_name(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "releases/colours").mkdir(parents=True)

    code = main(["dataset", "release", "colours"])

    assert code == 2 and "releases/colours: the name is taken" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["Colours", "a b", "../x", "a..b", "x.lock", ""])
def test_a_name_that_is_no_name_is_refused(
    name: str, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = refused(capsys, name)

    assert code == 2 and "not a name for a release" in said


def test_uncommitted_changes_are_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "params.yaml").write_text("register: {}\n")

    code, said = refused(capsys)

    assert code == 2
    assert (
        "uncommitted changes cannot be released (found: params.yaml). Remedy: commit them: `git add"
        in said
    )


def test_without_a_finished_run_nothing_is_released(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(checkout, "rm", "-q", "dvc.lock")
    git(checkout, "commit", "-qm", "no receipt")

    code, said = refused(capsys)

    assert (
        code == 65
        and "dvc.lock: there is no receipt of the line yet. Remedy: run `dvc repro`" in said
    )


def test_a_file_that_is_not_the_one_of_the_receipt_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "line/curate/classes.csv").write_text("label,class_id,name\n")

    code, said = refused(capsys)

    assert (
        code == 65
        and "classes.csv: not the file that dvc.lock names" in said
        and "`dvc checkout`" in said
    )


def test_a_shard_that_is_gone_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "line/download/shards/a.bin").unlink()

    code, said = refused(capsys)

    assert (
        code == 65 and "shards/a.bin: a file of the line is absent. Remedy: run `dvc repro`" in said
    )


def test_a_run_older_than_its_overrides_or_params_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "curation/overrides.csv").write_text("key_type,key,action\nx\n")
    YAML().dump({**PARAMS, "curate": {"seed": 1}}, checkout / "params.yaml")
    git(checkout, "commit", "-qam", "later thoughts")

    code, said = refused(capsys)

    assert code == 65
    assert (
        "the run is older than what it was made from (found: params of curate, curation/overrides.csv)"
        in said
    )


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (
            {"licences": {}},
            65,
            "sources without a licence note (found: tiny). Remedy: add uri, name, url and note of",
        ),
        (
            {"answers": {"why": "x"}},
            78,
            "no such questions (found: why). Remedy: docs/releases.md shows the file",
        ),
        ({"creators": []}, 78, "wrong keys or values (found: creators: "),
        ({"classes": []}, 78, "wrong keys or values (found: classes: "),
    ],
)
def test_a_datasheet_with_gaps_is_refused(
    checkout: Path,
    capsys: pytest.CaptureFixture[str],
    change: dict[str, object],
    code: int,
    said: str,
) -> None:
    YAML().dump({**ABOUT, **change}, checkout / "curation/datasheet.yaml")
    git(checkout, "commit", "-qam", "another datasheet")

    left, line = refused(capsys)

    assert left == code and said in line


LICENCE = {"uri": "images", "name": "CC0-1.0"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"licences": {"digits": {"uri": "demo/out/digits.tar", "name": "CC-BY-4.0"}}},
            "it speaks of other sources than this data's (tiny at images) (found: digits at demo/out/digits.tar). "
            "Remedy: describe this data in it, with name and uri of each source under `licences` as in params.yaml",
        ),
        (
            {"licences": {"tiny": LICENCE, "digits": LICENCE}},
            "(tiny at images) (found: digits at images)",
        ),
        (
            {"licences": {"tiny": LICENCE | {"uri": "elsewhere"}}},
            "(tiny at images) (found: tiny at elsewhere)",
        ),
        (
            {"classes": ["red", "green", *"0123456"]},
            "its classes are not those of this data (found: the data have blue; it names 0, 1, 2, 3, 4 and 2 more). "
            "Remedy: describe this data in it: `classes` as in line/curate/classes.csv",
        ),
    ],
)
def test_a_datasheet_of_other_sources_or_classes_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object], said: str
) -> None:
    YAML().dump({**ABOUT, **change}, checkout / "curation/datasheet.yaml")
    git(checkout, "commit", "-qam", "another datasheet")

    left, line = refused(capsys)

    assert left == 65 and "curation/datasheet.yaml: " in line and said in line


def test_the_demos_own_datasheet_is_refused_for_other_data(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ROOT / "curation/datasheet.yaml", checkout / "curation/datasheet.yaml")
    git(checkout, "commit", "-qam", "the demo's datasheet")

    left, line = refused(capsys)

    assert left == 65 and "(found: digits at demo/out/digits.tar)" in line


def test_a_fresh_datasheet_is_refused_until_its_placeholders_are_replaced(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    datasheet = checkout / "curation/datasheet.yaml"
    datasheet.write_text(fresh_about({"tiny": "images"}, ["red", "green", "blue"]))
    git(checkout, "commit", "-qam", "a fresh datasheet")

    left, line = refused(capsys)

    assert left == 78
    assert (
        "it still has the placeholders that it was started with (found: title, description, url, creators, "
        "licences.tiny.name). Remedy: replace each TODO by what is true; docs/releases.md shows the file"
        in line
    )
    datasheet.write_text(datasheet.read_text().replace("TODO: ", ""))
    git(checkout, "commit", "-qam", "filled in")
    assert main(["dataset", "release", "colours"]) == 0


@pytest.mark.parametrize(
    "classes",
    [
        ["no", "007", "1e3", 'it\'s "here"', "Äpfel: rot", "#1", "TODO"],
        [f"n{i:08}" for i in range(1000)],
    ],
)
def test_any_class_and_address_survive_in_a_fresh_datasheet(
    tmp_path: Path, classes: list[str]
) -> None:
    sources = {"007": 'my images: "1"', "b": "s3://bucket/#1"}

    (tmp_path / "datasheet.yaml").write_text(fresh_about(sources, classes))

    content = read_yaml(tmp_path / "datasheet.yaml")
    assert content["classes"] == sorted(classes)
    assert {name: licence["uri"] for name, licence in content["licences"].items()} == sources
    assert max(map(len, (tmp_path / "datasheet.yaml").read_text().splitlines()[2:])) <= 120


def test_the_version_is_the_end_of_the_name() -> None:
    assert [version_of(name) for name in ("digits-2.10.3", "digits-2026-11", "v1.0.0")] == [
        "2.10.3",
        "1.0.0",
        "1.0.0",
    ]
