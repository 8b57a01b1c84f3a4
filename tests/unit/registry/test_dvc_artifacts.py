"""MLflow loads a registered model out of DVC: the plug-in of tasks/dvc_artifacts.py, in a real DVC repository."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import mlflow.artifacts  # noqa: F401 - MLflow loads the plug-in by its entry point, so it must come first
import pytest

from pipeline_lib.errors import SourceMissing, UsageError
from pipeline_lib.register.run import run
from tasks.dvc_artifacts import DvcArtifactRepository
from testing.tiny_line import ROOT, TinyLine, make_line


@pytest.fixture
def line(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> TinyLine:
    """A registered line whose cache is also in a default remote of DVC."""
    made = make_line(checkout)
    run(made.job())
    shutil.copytree(checkout / ".dvc" / "cache", checkout.parent / "remote")
    settings = f"[core]\n    remote = store\n['remote \"store\"']\n    url = {checkout.parent / 'remote'}\n"
    (checkout / ".dvc" / "config").write_text(settings)
    monkeypatch.setenv("PERENNIAL_ROOT", str(checkout))
    return made


def entry_point(site: Path) -> Path:
    """The entry point of pyproject.toml as an installer would write it, for where the project is not installed."""
    group = "mlflow.artifact_repository"
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][group]
    folder = site / "perennial_entry-0.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: perennial-entry\nVersion: 0\n")
    (folder / "entry_points.txt").write_text(
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in named.items())
    )
    return site


def repository(line: TinyLine) -> DvcArtifactRepository:
    from pipeline_lib.registry.closure import read_closure

    return DvcArtifactRepository(f"dvc://md5/{read_closure(line.root).md5_of('export')}")


@pytest.mark.parametrize("cache", ["there", "lost"])
def test_mlflow_downloads_the_champion_from_the_cache_or_else_from_the_remote(
    line: TinyLine, name: str, database: str, cache: str, tmp_path: Path
) -> None:
    if cache == "lost":
        shutil.rmtree(line.root / ".dvc" / "cache")
    code = "import sys, mlflow; mlflow.set_tracking_uri(sys.argv[1]);"
    code += "mlflow.artifacts.download_artifacts(sys.argv[2], dst_path=sys.argv[3])"
    arguments = [database, f"models:/{name}@champion", str(tmp_path / "got")]
    installed = f"{ROOT}:{entry_point(tmp_path / 'site')}"

    subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        env={**os.environ, "PYTHONPATH": installed},
    )

    for file in line.path("export").iterdir():
        assert (tmp_path / "got" / file.name).read_bytes() == file.read_bytes()


def test_the_files_of_a_model_are_listed(line: TinyLine) -> None:
    assert [info.path for info in repository(line).list_artifacts()] == [
        "model.json",
        "model.onnx",
        "parity.json",
    ]


def test_an_unknown_file_is_named_with_those_there_are(line: TinyLine, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError,
        match="the model has no such file .found: weights.pt.. Remedy: name one of: model.json",
    ):
        repository(line)._download_file("weights.pt", str(tmp_path / "x"))


def test_mlflow_may_not_write_into_dvc(line: TinyLine) -> None:
    with pytest.raises(UsageError, match="models kept by DVC are read-only for MLflow"):
        repository(line).log_artifact("x.bin")
    with pytest.raises(UsageError, match="models kept by DVC are read-only for MLflow"):
        repository(line).log_artifacts("folder")


def test_bytes_that_are_nowhere_are_said_to_be(line: TinyLine) -> None:
    with pytest.raises(
        SourceMissing,
        match="neither DVC's cache nor the remote has it.*run `dvc push` in the repository where the model was made",
    ):
        DvcArtifactRepository(f"dvc://md5/{'0' * 32}.dir").list_artifacts()


def test_without_a_remote_the_remedy_is_another(line: TinyLine) -> None:
    (line.root / ".dvc" / "config").write_text("")

    with pytest.raises(
        SourceMissing, match="not in DVC's cache, and no remote is set.*`dvc remote add -d`"
    ):
        DvcArtifactRepository(f"dvc://md5/{'0' * 32}.dir").list_artifacts()
