"""Options of `perennial init` that say how names are read, what is recognised without them, and wrong input."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.cli.parser import main
from pipeline_lib.params import load_params
from pipeline_lib.sources.source import Source
from scripts.odd_folders import below, each
from scripts.odd_imagenet import imagenet_rows
from testing.curated import write_source


def init(project: Path, *names: str, options: tuple[str, ...] = ()) -> int:
    write_source(project / "photos", dict.fromkeys(names))
    return main(["init", "photos", "--force", *options])


def source(project: Path) -> Source:
    return load_params(project / "params.yaml").discover.sources[0]


def test_what_is_recognised_is_shown_with_counts_examples_and_what_is_left_out(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert init(project, *each("train dev", n=12), "docs/banner.png") == 0

    out = capsys.readouterr().out
    assert "(dev (val), train hold folders of the same 2 classes)" in out
    assert "splits   train 24, val 24\n         cat: train 12, val 12\n" in out
    assert "example  dev/cat/0.jpg: class cat, split val\n" in out
    assert "left out 1 file by /docs: it lies beside the splits\n" in out
    assert source(project).exclude == ("/docs",)
    assert source(project).splits == {"dev": "val", "train": "train"}


def test_patterns_are_recorded_and_mean_the_same_at_the_next_init(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{c}_{n}_{s}.png" for c in ("cat", "dog") for n in range(9) for s in ("a", "b")]
    options = (
        "--class-from",
        "{class}_*_*",
        "--split-from",
        "*_{split}",
        "--splits",
        "a=train,b=test",
    )

    assert init(project, *names, "cat_1_old.png", options=(*options, "--exclude", "*_old.png")) == 0
    first = source(project)
    assert main(["init", "photos", "--force"]) == 0

    assert source(project) == first
    assert (first.class_from, first.split_from, first.exclude) == (
        "{class}_*_*",
        "*_{split}",
        ("*_old.png",),
    )
    assert "classes  2: cat 18, dog 18\nsplits   test 18, train 18\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--class-from", "{class}-*"), "class_from of source photos fits none of its 4 images"),
        (("--class-from", "cat_*"), "--class-from: {class} must stand in it once (found: cat_*)"),
        (("--class-from", "{split}/{class}/*", "--split-from", "*_{split}"), "contradict each other"),
        (("--depth", "9"), "depth of source photos is below every image: the deepest lies in 2 folders"),
        (("--depth", "-1"), "--depth: Input should be greater than or equal to 0 (found: -1)"),
        (("--splits", "trian=train,dev=val"), "names folders that hold no image (found: trian)"),
        (("--splits", "train"), "--splits: not TEXT=SPLIT (found: train)"),
        (("--splits", "train=training"), "--splits: not TEXT=SPLIT (found: train=training)"),
        (("--exclude", "mask"), "--exclude mask fits no file"),
        (("--include", "*.tif"), "--include *.tif fits no file"),
        (("--exclude", "train", "--exclude", "dev"), "the patterns leave no image (found: train, dev)"),
        (("--layout", "flat", "--depth", "1"), "layout flat reads no folders: leave out depth"),
        (("--layout", "class_folders", "--splits", "dev=val"), "layout class_folders reads no splits"),
    ],
)  # fmt: skip
def test_what_no_source_could_mean_is_one_line_with_file_value_and_remedy(
    project: Path, options: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (project / "params.yaml").read_bytes()
    names = [
        f"{s}/{c}/{n}_test.png" for s in ("train", "dev") for n, c in enumerate(("cat", "dog"))
    ]

    assert init(project, *names, options=options) == 2

    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in last
    assert "Remedy: " in last
    assert (project / "params.yaml").read_bytes() == before


def test_labels_of_matlab_are_named_and_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_source(
        project / "photos", dict.fromkeys(below("jpg")) | {"imagelabels.mat": b"MATLAB 5.0"}
    )

    assert main(["init", "photos", "--force"]) == 2
    assert (
        "a file that is not read (MATLAB) (found: imagelabels.mat). Remedy: save"
        in capsys.readouterr().err
    )
    assert main(["init", "photos", "--force", "--layout", "flat"]) == 0


def test_classes_come_with_their_names_and_parents(project: Path) -> None:
    classes = project / "curation" / "classes.csv"
    classes.parent.mkdir(exist_ok=True)
    classes.write_text("class_id,name,definition,parents\n")
    write_source(project / "kaggle", imagenet_rows()["Kaggle's ILSVRC"].files)
    write_source(project / "photos", dict.fromkeys([*each("animals"), *each("vehicles", "car")]))

    assert main(["init", "kaggle", "--force"]) == 0
    assert classes.read_text().splitlines()[1:] == ["n01440764,tench,,", "n01443537,goldfish,,"]
    assert main(["init", "photos", "--force", "--layout", "leaf_folders"]) == 0
    assert classes.read_text().splitlines()[1:] == [
        "animals,,,", "car,,,vehicles", "cat,,,animals", "dog,,,animals", "vehicles,,,",
    ]  # fmt: skip


def test_numbers_of_splits_are_asked_about_and_recorded_as_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [f"{n}.png" for n in range(12)]
    rows = [f"{name},{'ab'[n % 2]},{n % 3}" for n, name in enumerate(names)]
    (project / "l.csv").write_text("\n".join(["filename,label,split", *rows]), encoding="utf-8")

    assert init(project, *names, options=("--labels", "l.csv")) == 65
    assert "--split-values 0=train" in capsys.readouterr().err
    said = ("--labels", "l.csv", "--split-values", "0=train,1=val,2=test")
    assert init(project, *names, options=said) == 0

    assert "splits   test 4, train 4, val 4" in capsys.readouterr().out
    labels = source(project).labels_stated
    assert labels is not None and labels.split_values == {"0": "train", "1": "val", "2": "test"}
    assert init(project, *names, options=("--split-values", "0=later")) == 2
    assert "--split-values: not TEXT=SPLIT (found: 0=later)" in capsys.readouterr().err
