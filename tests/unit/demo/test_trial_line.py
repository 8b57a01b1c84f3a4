"""What a trial's checkout takes of the repository around it: code, and nothing that is about other images."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.photographs.trial_line import copy_code, make_line
from pipeline_lib.errors import ProgramFailed
from pipeline_lib.settings import Settings
from tasks.git import git


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    for name, text in {
        "pipeline_lib/stage.py": "one\n",
        "curation/overrides.csv": "key_type,key\nsha256,abc\n",
        "params.yaml": "train: {}\n",
        "settings.toml": 'registry_uri = "http://elsewhere"\n',
        ".dvc/config": "['remote \"shared\"']\n    url = s3://bucket\n",
        "photos/cat/1.jpg": "many gigabytes\n",
        ".gitignore": "/ignored\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "--quiet")
    git(root, "add", "pipeline_lib", "curation", "params.yaml", "settings.toml")
    return root


def files_of(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_code_is_taken_as_it_is_now_and_nothing_else(repository: Path, tmp_path: Path) -> None:
    (repository / "pipeline_lib/stage.py").write_text("two\n")
    (repository / "pipeline_lib/new.py").write_text("not committed yet\n")

    copy_code(repository, tmp_path / "line")

    assert files_of(tmp_path / "line") == {
        ".gitignore",
        "pipeline_lib/stage.py",
        "pipeline_lib/new.py",
    }
    assert (tmp_path / "line/pipeline_lib/stage.py").read_text() == "two\n"


def test_a_line_that_init_refuses_is_not_there_and_init_s_words_are_shown(
    repository: Path, tmp_path: Path
) -> None:
    line = tmp_path / "line"

    with pytest.raises(ProgramFailed, match="perennial init refused"):
        make_line(
            line,
            repository=repository,
            images=tmp_path / "nothing",
            layout="class_folders",
            settings=Settings(),
        )

    assert not line.exists()
