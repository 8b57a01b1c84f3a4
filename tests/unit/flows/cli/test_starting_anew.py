"""What `perennial init` does with each file that speaks of the demo or of other earlier data."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from PIL import Image
from ruamel.yaml import YAML

from flows.cli.parser import main
from flows.cli.starting_anew import start_model_name
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.params import check_params
from pipeline_lib.register.run import run as register
from pipeline_lib.release.datasheet_answers import fresh_about
from pipeline_lib.settings import load_settings
from pipeline_lib.sources.withdrawn import decision, other_address
from pipeline_lib.survey.earlier_data import DEMO_DATASHEETS, NewData, with_model_name
from testing.tiny_line import make_line
from testing.toy_repository import ROOT

DATASHEET, OVERRIDES, GROUPS, CLASSES = (
    f"curation/{name}" for name in ("datasheet.yaml", "overrides.csv", "groups.csv", "classes.csv")
)
SETTINGS = "settings.toml"
BY_SHA256 = "sha256,9f2c,remove,,,not a digit,ben,2026-11-21\n"


@pytest.fixture
def project(project: Path) -> Path:
    """A repository with the demo's files as they are shipped, and photos/ of cats and dogs in it."""
    for name in (DATASHEET, SETTINGS):
        shutil.copy(ROOT / name, project / name)
    for label in ("cat", "dog"):
        (project / "photos" / label).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (40, 30), (number, 90, 30)).save(
                project / "photos" / label / f"{number}.png"
            )
    commit(project)
    return project


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def commit(folder: Path) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "as it is")


def changed(folder: Path) -> set[str]:
    return set(git(folder, "diff", "--name-only").splitlines())


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def init(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What `perennial init` says."""
    left = main(["init", *arguments])
    out, err = capsys.readouterr()
    assert left == code, err
    return err if code else out


def test_the_demos_datasheet_as_shipped_is_known_by_its_digest() -> None:
    assert hashlib.sha256((ROOT / DATASHEET).read_bytes()).hexdigest() in DEMO_DATASHEETS


def test_a_name_that_stands_for_other_data_from_now_on_is_a_decision_that_discover_takes(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(capsys, "photos", "--name", "pets")
    assert "withdrawn_accepted" not in (project / "params.yaml").read_text()
    shutil.copytree(project / "photos", project / "other")

    init(capsys, "other", "--name", "pets", "--force")

    code = decision([other_address("pets", "photos", "other")])
    assert read_yaml(project / "params.yaml")["discover"]["withdrawn_accepted"] == code


def test_after_init_no_file_speaks_of_the_demo_any_more(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = init(capsys, "photos", "--name", "my_pets")

    assert changed(project) == {"params.yaml", DATASHEET, SETTINGS}
    assert (project / DATASHEET).read_text() == fresh_about({"my_pets": "photos"}, ["cat", "dog"])
    assert load_settings(project).model_name == "my-pets"
    assert not [
        name for name in changed(project) if "digit" in (project / name).read_text().lower()
    ]
    assert said.splitlines()[-10:-3] == [
        f"wrote    {project}/params.yaml",
        f"anew     {DATASHEET}: it was the demo's; fill it in before a release",
        f"anew     {SETTINGS}: model_name is my-pets; models of earlier data stay under perennial",
        "note     demo/out/votes.csv (votes of digits) is no longer read",
        "note     demo/out/subjects.csv (subjects of digits) is no longer read",
        "next     look at params.yaml, then `dvc repro` (here) or `perennial run` (in a separate workspace):",
        "         6 images are read where they are, packed into shards, decoded, checked and split,",
    ]
    assert f"git add params.yaml {DATASHEET} {SETTINGS} && git commit" in said


def test_a_second_init_of_the_same_data_changes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(capsys, "photos")
    append(project / OVERRIDES, BY_SHA256)
    append(project / DATASHEET, "# filled in\n")
    commit(project)

    said = init(capsys, "photos")

    assert changed(project) == set()
    assert "model    pictures: as before" in said and "anew" not in said


def test_init_replaces_its_own_edits_and_refuses_those_of_a_person(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(capsys, "photos")
    init(capsys, "photos", "--name", "pets")  # nothing is committed in between
    params = project / "params.yaml"
    assert "name: pets" in params.read_text()
    params.write_text(
        params.read_text().replace("register: {}\n", "register: {significance: .1}\n")
    )
    edited = params.read_text()
    line = edited.splitlines().index("register: {significance: .1}") + 1

    said = init(capsys, "photos", code=2)

    assert f"uncommitted edits, which would be lost (found: line {line}: register: {{signi" in said
    assert params.read_text() == edited
    commit(project)
    said = init(capsys, "photos")
    assert (
        f"replaced edits of params.yaml: line {line}: register: {{significance: .1}} (git has"
        in said
    )


def test_what_people_wrote_of_the_demo_is_named_and_not_lost(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(project / OVERRIDES, BY_SHA256 * 2)
    append(project / DATASHEET, "  ethics: none\n")
    (project / GROUPS).write_text("member,skin\n1.png,dark\n")
    commit(project)
    append(project / CLASSES, "0,zero,,\n")

    said = init(capsys, "photos", code=2)

    assert said == (
        "perennial init: error[usage]: curation: text that people wrote about earlier data would be lost (found: "
        f"{DATASHEET}: of digits; {OVERRIDES}: 2 lines; {GROUPS}: 1 line; {CLASSES}: 1 class, not committed). "
        f"Remedy: commit them (`git add {DATASHEET} {OVERRIDES} {GROUPS} {CLASSES} && git commit`) or copy them; "
        "`perennial init --force` replaces them\n"
    )
    assert changed(project) == {CLASSES}

    git(project, "add", CLASSES)
    git(project, "commit", "-qm", "kept")
    said = init(capsys, "photos", "--force")

    assert changed(project) == {"params.yaml", DATASHEET, OVERRIDES, GROUPS, CLASSES, SETTINGS}
    for name in (OVERRIDES, GROUPS):
        assert (project / name).read_text() == (ROOT / name).read_text()
    assert (project / CLASSES).read_text() == (ROOT / CLASSES).read_text()
    assert f"anew     {CLASSES}: none of its classes is in this data" in said


def test_nothing_is_written_when_something_would_be_lost_or_for_a_dry_run(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "photos", "--dry-run"]) == 0
    out, err = capsys.readouterr()
    init(capsys, "photos", "--name", "My Pets", code=78)

    assert changed(project) == set()
    assert check_params(project / "params.yaml", YAML(typ="safe").load(out)).train.recipe
    assert err.startswith("photos: folder, 6 images") and "\ntime     unknown" in err


def test_the_demo_named_again_keeps_its_files(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "demo/out").mkdir(parents=True)
    shutil.make_archive("demo/out/digits", "tar", "photos")

    said = init(capsys, "demo/out/digits.tar", "--name", "digits")

    assert changed(project) == {"params.yaml"}
    assert "model    perennial: as before" in said


def test_classes_taken_over_before_init_are_kept(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(project / CLASSES, "cat,tomcat,,\n")

    init(capsys, "photos")

    assert "cat,tomcat" in (project / CLASSES).read_text()


def test_a_source_that_moved_keeps_overrides_words_and_the_models_name(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(capsys, "photos")
    append(project / OVERRIDES, BY_SHA256)
    append(project / DATASHEET, "# filled in\n")
    commit(project)
    (project / "photos").rename(project / "elsewhere")

    said = init(capsys, "elsewhere")

    assert "model    pictures: as before" in said
    assert changed(project) - {name for name in changed(project) if name.startswith("photos/")} == {
        "params.yaml"
    }


def test_other_data_of_the_same_name_are_new_data(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(capsys, "photos")
    commit(project)
    git(project, "tag", "pictures@v0.0.1")
    (project / "boats").mkdir()
    shutil.copytree("photos/cat", "boats/yacht")
    shutil.copytree("photos/dog", "boats/barge")

    said = init(capsys, "boats")

    assert read_yaml(project / DATASHEET)["classes"] == ["barge", "yacht"]
    assert "nobody had filled it in, and it was of other sources or classes" in said
    assert (
        f"{SETTINGS}: model_name is pictures-2; models of earlier data stay under pictures" in said
    )
    assert (project / SETTINGS).read_text().count("model_name") == 1


def test_overrides_that_only_name_images_of_a_source_that_is_no_more_are_of_earlier_data(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(capsys, "photos")
    append(project / OVERRIDES, "image_id,digits/3/1.jpg,remove,,,,ana,\n")
    commit(project)

    said = init(capsys, "photos", code=2)

    assert f"(found: {OVERRIDES}: 1 line)" in said
    append(project / OVERRIDES, "image_id,pictures/cat/1.png,remove,,,,ana,\n")
    assert "anew" not in init(capsys, "photos")


def test_a_name_that_a_person_chose_stays_and_is_said(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    append(project / SETTINGS, 'model_name = "mine"\n')
    said = "so; a champion of that name is what new models are compared with"

    assert f"model    mine: settings.toml says {said}" in init(capsys, "photos")

    monkeypatch.setenv("PERENNIAL_MODEL_NAME", "ours")
    assert f"model    ours: PERENNIAL_MODEL_NAME says {said}" in init(
        capsys, "photos", "--name", "b", "--force"
    )
    assert tomllib.loads((project / SETTINGS).read_text())["model_name"] == "mine"


def test_the_name_stays_where_training_starts_from_a_version_of_it(project: Path) -> None:
    data = NewData("pets", "photos", frozenset({"cat"}), earlier=(), is_new=True)

    line, written = start_model_name(project, data, load_settings(project), weights="registered:3")

    assert (line, written) == ("model    perennial: registered:3 is of that name", ())
    assert changed(project) == set()


def test_a_name_with_versions_in_the_registry_is_not_given_again(
    project: Path, tmp_path: Path
) -> None:
    (project / ".perennial").mkdir()
    database = f"sqlite:///{project}/.perennial/registry.db"
    register(
        make_line(tmp_path / "line").job(model_name="pets", registry_uri=database)
    )  # its tags lie elsewhere
    data = NewData("pets", "photos", frozenset({"cat"}), earlier=(), is_new=True)

    line, written = start_model_name(project, data, load_settings(project), weights=None)

    assert (
        line
        == f"anew     {SETTINGS}: model_name is pets-2; models of earlier data stay under perennial"
    )
    assert written == (SETTINGS,) and load_settings(project).model_name == "pets-2"


def test_a_damaged_datasheet_is_what_people_wrote(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / DATASHEET).write_text("title: [\n")

    assert f"{DATASHEET}: of unknown sources, not committed" in init(capsys, "photos", code=2)


def test_the_line_in_the_settings_replaces_its_own_and_no_other() -> None:
    first = with_model_name("# model_name = ...\nworkers = 2", "cats", "cats")

    second = with_model_name(first + "loader = 'native'\n", "dogs", "dogs")

    assert tomllib.loads(first) == {"workers": 2, "model_name": "cats"}
    assert tomllib.loads(second) == {"workers": 2, "loader": "native", "model_name": "dogs"}
