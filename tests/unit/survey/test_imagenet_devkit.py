from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from flows.cli.parser import main
from pipeline_lib.curate.classes import ancestors, parse_class_words
from pipeline_lib.errors import BadData, SourceMissing
from pipeline_lib.survey.imagenet_devkit import classes_csv

SYNSETS = [  # ID, WNID, words, gloss, number of children, children
    (1, "n02012849", "crane", "wading bird", 0, []),
    (2, "n03126707", "crane", "lifts, and moves", 0, []),
    (3, "n01503061", "bird", "egg-laying", 1, [1]),
    (4, "n00001740", "entity", "all there is", 2, [2, 3]),
]


@pytest.fixture
def meta_mat(tmp_path: Path) -> Path:
    """A file like the devkit's: children padded with zeros."""
    kinds = [
        ("ILSVRC2012_ID", "O"),
        ("WNID", "O"),
        ("words", "O"),
        ("gloss", "O"),
        ("num_children", "O"),
    ]
    synsets = np.empty(len(SYNSETS), dtype=[*kinds, ("children", "O")])
    for place, (*facts, children) in enumerate(SYNSETS):
        synsets[place] = (*facts, np.array([*children, 0, 0]))
    savemat(tmp_path / "meta.mat", {"synsets": synsets.reshape(-1, 1)})
    return tmp_path / "meta.mat"


def test_the_devkits_file_gives_names_definitions_and_parents(meta_mat: Path) -> None:
    words = parse_class_words(classes_csv(meta_mat), meta_mat)

    assert (words["n03126707"].name, words["n03126707"].definition) == ("crane", "lifts, and moves")
    assert ancestors("n02012849", words) == {"n01503061", "n00001740"}
    assert words["n00001740"].parents == ()


def test_the_mapping_gives_the_first_word_of_each_class(tmp_path: Path) -> None:
    file = tmp_path / "LOC_synset_mapping.txt"
    file.write_text("n01440764 tench, Tinca tinca\nn01443537 goldfish, Carassius auratus\n")

    lines = classes_csv(file).splitlines()

    assert lines == [
        "class_id,name,definition,parents",
        "n01440764,tench,,",
        "n01443537,goldfish,,",
    ]


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("0 tench\n")
    savemat(tmp_path / "x.mat", {"other": 1})

    with pytest.raises(
        BadData,
        match=r"x.txt:1: not a line `wnid words` \(found: 0 tench\). Remedy: name the devkit's",
    ):
        classes_csv(tmp_path / "x.txt")
    with pytest.raises(
        BadData, match="x.mat: not the devkit's meta.mat .*Remedy: name the devkit's data/meta.mat"
    ):
        classes_csv(tmp_path / "x.mat")
    with pytest.raises(SourceMissing, match=r"no such file. Remedy: name the devkit's"):
        classes_csv(tmp_path / "nothing.mat")


def test_the_command_writes_the_file_once(
    meta_mat: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "dvc.yaml").touch()
    (tmp_path / "curation").mkdir()
    (tmp_path / "curation/classes.csv").write_text("class_id,name,definition,parents\n")
    monkeypatch.chdir(tmp_path)

    assert main(["dataset", "classes", str(meta_mat)]) == 0
    assert main(["dataset", "classes", str(meta_mat)]) == 2

    said = capsys.readouterr()
    assert said.out.endswith("curation/classes.csv: 4 classes\n")
    assert "classes.csv: the file already lists classes. Remedy: move it away" in said.err
