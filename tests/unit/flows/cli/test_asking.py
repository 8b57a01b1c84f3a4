"""What `perennial init` asks: folders that can be read in several ways, tables of labels, subjects."""

from __future__ import annotations

import io
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image

from flows.cli.parser import main
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.labels.params import LabelsFile
from pipeline_lib.params import load_params
from pipeline_lib.sources.layout import LAYOUTS
from pipeline_lib.sources.source import Source
from testing.toy_repository import ROOT


def write(folder: Path, *names: str) -> None:
    for number, name in enumerate(names):
        file = io.BytesIO()
        Image.new("RGB", (40, 30), (number, 90, 30)).save(file, "PNG")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(file.getvalue())


def split_folders(project: Path) -> None:
    write(
        project / "photos",
        *(f"{s}/{c}/{s}{c}.png" for s in ("train", "dev") for c in ("cat", "dog")),
    )
    write(project / "photos", "extra/banner.png")


def source(project: Path) -> Source:
    return load_params(project / "params.yaml").discover.sources[0]


def test_without_a_terminal_the_choices_are_named_and_nothing_is_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split_folders(project)
    before = (project / "params.yaml").read_bytes()

    assert main(["init", "photos", "--force"]) == 2

    err = capsys.readouterr().err
    assert "1. split_class_folders: train/val/test folders with one folder per class in each" in err
    assert "2 classes: cat 2, dog 2; splits train 2, val 2 (dev is val); 1 without a class" in err
    assert "3 classes: dev 2, extra 1, train 2" in err
    assert (
        "`perennial init photos --layout NAME` with NAME one of split_class_folders, leaf_folders, class_fol"
        in err
    )
    assert (project / "params.yaml").read_bytes() == before


def test_the_answer_is_recorded_and_not_asked_again(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split_folders(project)

    assert main(["init", "photos", "--force", "--layout", "split_class_folders"]) == 0
    first = source(project)
    assert main(["init", "photos", "--force"]) == 0

    assert (first.layout, first.splits) == ("split_class_folders", {"dev": "val", "train": "train"})
    assert source(project) == first
    assert "classes  2: cat 2, dog 2\nsplits   train 2, val 2\n" in capsys.readouterr().out


def test_on_a_terminal_a_person_is_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        project / "photos",
        *(f"{c}/{n}.png" for c in ("train", "test", "plane", "car") for n in range(3)),
    )
    said = iter(["9", "class_folders"])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda: next(said))

    assert main(["init", "photos", "--force"]) == 0

    assert (source(project).layout, source(project).splits) == ("class_folders", {})
    assert "classes  4: car 3, plane 3, test 3, train 3" in capsys.readouterr().out


def test_a_layout_that_is_none_or_finds_no_class_is_a_usage_error(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "photos", "1.png", "2.png")

    assert main(["init", "photos", "--force", "--layout", "folders"]) == 2
    assert main(["init", "photos", "--force", "--layout", "leaf_folders"]) == 2

    err = capsys.readouterr().err
    assert "--layout: no such layout (found: folders). Remedy: name one of class_folders, " in err
    assert (
        "photos: layout leaf_folders (the innermost folder is the class; the folders above it mean nothing) finds no"
        in err
    )


def test_a_table_beside_or_among_the_images_is_used_and_two_that_differ_are_asked_about(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "photos", *(f"{n}.png" for n in range(4)))
    table = "filename,label\n0.png,cat\n1.png,cat\n2.png,dog\n9.png,dog\n"
    (project / "labels.csv").write_text(table)
    assert main(["init", "photos", "--force"]) == 0
    assert (
        "labels   a table with a line for each image: labels.csv: images in"
        in capsys.readouterr().out
    )
    assert source(project).labels == "labels.csv"

    (project / "photos" / "inside.csv").write_text(table)
    (project / "params.yaml").unlink()
    assert main(["init", "photos", "--force"]) == 0
    assert source(project).labels == LabelsFile(inside=("inside.csv",))

    (project / "photos" / "inside.csv").write_text(table.replace("cat", "owl"))
    (project / "params.yaml").unlink()
    assert main(["init", "photos", "--force"]) == 2
    assert (
        "choose one: `perennial init photos --labels WHAT` with WHAT one of photos/inside.csv, labels.csv"
        in capsys.readouterr().err
    )

    assert main(["init", "photos", "--force", "--labels", "labels.csv"]) == 0
    out = capsys.readouterr().out
    assert "labels   labels.csv: images in column filename, classes in label" in out
    assert "classes  2: cat 2, dog 1" in out
    assert "note     1 images have no class in the table; they will be quarantined: 3.png." in out
    assert "note     1 lines of the table are about images that are not there." in out
    assert (source(project).layout, source(project).labels) == ("flat", "labels.csv")


def test_several_columns_of_classes_are_asked_about_and_chosen(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project / "photos", *(f"{n}.png" for n in range(4)))
    rows = [f"{n}.png,{n % 2},{'cat' if n == 1 else 'dog'}" for n in range(4)]
    (project / "photos" / "labels.csv").write_text("\n".join(["file,label,class", *rows]))

    assert main(["init", "photos", "--force"]) == 2
    assert (
        "`perennial init photos --label-column NAME` with NAME one of label, class"
        in capsys.readouterr().err
    )
    assert main(["init", "photos", "--force", "--label-column", "class"]) == 0
    assert source(project).labels == LabelsFile(inside=("labels.csv",), label="class")

    (project / "params.yaml").unlink()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda: "1")
    assert main(["init", "photos", "--force"]) == 0
    assert source(project).labels == LabelsFile(inside=("labels.csv",), label="label")


def test_folders_and_a_table_that_differ_are_asked_about(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "photos", *(f"{'ab'[n % 2]}/{n}.png" for n in range(8)))
    rows = [f"{n}.png,{'cat' if n < 4 else 'dog'}" for n in range(8)]
    (project / "photos" / "labels.csv").write_text("\n".join(["file,label", *rows]))

    assert main(["init", "photos", "--force"]) == 2
    assert "WHAT one of photos/labels.csv, folders" in capsys.readouterr().err
    assert main(["init", "photos", "--force", "--labels", "folders"]) == 0
    assert main(["init", "photos", "--force"]) == 0
    assert capsys.readouterr().out.count("classes  2: a 4, b 4") == 2
    assert main(["init", "photos", "--force", "--labels", "photos/labels.csv"]) == 0
    assert "classes  2: cat 4, dog 4" in capsys.readouterr().out


def test_with_a_table_folders_are_asked_about_splits_only(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "superclasses", "animals/cat/1.png", "vehicles/car/2.png")
    write(project / "splits", "train/1.png", "dev/2.png")
    (project / "labels.csv").write_text("filename,label\n1.png,cat\n2.png,car\n")
    (project / "with_splits.csv").write_text(
        "filename,label,split\n1.png,cat,train\n2.png,car,test\n"
    )

    assert main(["init", "superclasses", "--force", "--labels", "labels.csv"]) == 0
    assert main(["init", "splits", "--force", "--labels", "with_splits.csv"]) == 0
    assert main(["init", "splits", "--force", "--labels", "labels.csv"]) == 2
    assert "NAME one of split_class_folders, flat" in capsys.readouterr().err
    assert (
        main(
            [
                "init",
                "splits",
                "--force",
                "--labels",
                "labels.csv",
                "--layout",
                "split_class_folders",
            ]
        )
        == 0
    )

    assert "classes  2: car 1, cat 1\nsplits   train 1, val 1\n" in capsys.readouterr().out


def persons(project: Path) -> None:
    write(
        project / "photos",
        *(f"{c}/person{p}_{n}.png" for c in ("cat", "dog") for p in range(4) for n in range(3)),
    )


def test_without_a_terminal_subjects_are_suggested_and_can_be_taken_with_the_option(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    persons(project)

    assert main(["init", "photos", "--force"]) == 0
    suggested, untold = capsys.readouterr().out, source(project).subject_from
    assert main(["init", "photos", "--subject", "{subject}_*"]) == 0
    taken, told = capsys.readouterr().out, source(project).subject_from
    assert main(["init", "photos"]) == 0

    assert (
        "`--subject '{subject}_*'` (the beginning of the name: 4 subjects, such as per" in suggested
    )
    assert (untold, told) == (None, "{subject}_*")
    assert "subjects 4 by {subject}_*, such as person3 with 6 images\n" in taken
    assert source(project).subject_from == "{subject}_*"  # what was said once is kept
    assert "Some images seem" not in taken + capsys.readouterr().out


@pytest.mark.parametrize(("said", "told"), [("1", "{subject}_*"), ("", None), ("none", None)])
def test_on_a_terminal_the_answer_on_subjects_is_recorded_and_not_asked_again(
    said: str,
    told: str | None,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    persons(project)
    answers = iter([said])
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda: next(answers))

    assert main(["init", "photos", "--force"]) == 0
    assert "  1. {subject}_*: the beginning of the name: 4 subjects" in capsys.readouterr().err
    assert main(["init", "photos"]) == 0

    written = read_yaml(project / "params.yaml")["discover"]["sources"][0]
    assert written["subject_from"] == told
    assert "Some images seem" not in "".join(capsys.readouterr())


def test_a_column_of_the_table_of_labels_may_tell_the_subjects(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project / "photos", *(f"{n}.png" for n in range(4)))
    lines = "0.png,cat,p1\n1.png,cat,p1\n2.png,dog,p2\n3.png,dog,\n"
    (project / "labels.csv").write_text("filename,label,patient_id\n" + lines)
    arguments = ["init", "photos", "--force", "--labels", "labels.csv"]

    assert main(arguments) == 0
    assert (
        "`--subject 'patient_id'` (column patient_id of the table: 2 su" in capsys.readouterr().out
    )
    assert main([*arguments, "--subject", "patient_id"]) == 0
    assert "subjects 2 by patient_id, such as p1 with 2 images; 1 images have none" in (
        capsys.readouterr().out
    )
    assert main([*arguments, "--subject", "nobody"]) == 65

    assert source(project).subject_from == "patient_id"
    err = capsys.readouterr().err
    assert "labels.csv:1: no column nobody (found: filename, label, patient_id)" in err


def test_the_page_on_labels_names_every_layout() -> None:
    page = (ROOT / "docs/labels.md").read_text()

    assert [
        name for name, layout in LAYOUTS.items() if f"| `{name}` | {layout.meaning} |" not in page
    ] == []
    assert set(LAYOUTS) == set(read_choices()) - {"auto"}


def read_choices() -> tuple[str, ...]:
    return get_args(Source.model_fields["layout"].annotation)


def test_params_written_are_yaml_whatever_the_folders_are_called(project: Path) -> None:
    write(
        project / "photos",
        *(f"{s}/{c}/{s}.png" for s in ("dev: set", "train #1 set") for c in ("cat", "dog")),
    )

    code = main(["init", "photos", "--force", "--layout", "leaf_folders"])

    assert code == 0
    assert read_yaml(project / "params.yaml")["discover"]["sources"][0]["layout"] == "leaf_folders"
