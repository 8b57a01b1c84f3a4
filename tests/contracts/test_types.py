"""What mypy refuses: a stage's `run` can misspell no key of its params and none of the settings."""

import ast
from pathlib import Path

import pytest
from mypy import api

from pipeline_lib.harness.line import STAGES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("stage", STAGES)
def test_run_of_each_stage_is_given_the_params_of_that_stage(stage: str) -> None:
    tree = ast.parse((ROOT / f"pipeline_lib/{stage}/run.py").read_text(encoding="utf-8"))

    taken = [
        ast.unparse(argument.annotation)
        for function in tree.body
        if isinstance(function, ast.FunctionDef) and function.name == "run"
        for argument in function.args.args
        if argument.annotation
    ]

    assert taken == [f"StageRun[{stage.capitalize()}Params]"]


def test_mypy_refuses_a_misspelt_key_of_params_and_of_settings(tmp_path: Path) -> None:
    snippet = tmp_path / "misspelt.py"
    snippet.write_text(
        "from pipeline_lib.download.params import DownloadParams\n"
        "from pipeline_lib.harness.stage import StageRun\n"
        "def run(job: StageRun[DownloadParams]) -> None:\n"
        "    print(job.params.shard_max_bytes, job.settings.workers)\n"
        "    print(job.params.shard_max_byte)\n"
        "    print(job.settings.worker)\n"
        "def anything(job: StageRun) -> None:\n"
        "    print(job.params.shard_max_byte)\n",
        encoding="utf-8",
    )

    told, _, code = api.run(["--config-file", str(ROOT / "pyproject.toml"), str(snippet)])

    refused = [line.split(":", 1)[1] for line in told.splitlines()[:-1]]
    assert code == 1
    assert [line.split(":")[0] for line in refused] == ["5", "6", "7"], told
    assert '"DownloadParams" has no attribute "shard_max_byte"' in refused[0]
    assert '"Settings" has no attribute "worker"' in refused[1]
    assert 'Missing type arguments for generic type "StageRun"' in refused[2]
