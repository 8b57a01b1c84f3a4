"""All of params.yaml as one model, for the Prefect form, `perennial init` and the contract tests.

Stages do not import this file: each reads its own section, so a new key of one stage re-runs no other.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import Field

from pipeline_lib.convert.params import ConvertParams
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.discover.params import DiscoverParams
from pipeline_lib.download.params import DownloadParams
from pipeline_lib.evaluate.params import EvaluateParams
from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import STAGES
from pipeline_lib.inspect.params import InspectParams
from pipeline_lib.params_file import Params, parse
from pipeline_lib.register.params import RegisterParams
from pipeline_lib.train.params import TrainParams


class LineParams(Params):
    """One field per stage, one section of params.yaml each."""

    discover: DiscoverParams
    download: DownloadParams = Field(default_factory=DownloadParams)
    inspect: InspectParams = Field(default_factory=InspectParams)
    curate: CurateParams = Field(default_factory=CurateParams)
    convert: ConvertParams = Field(default_factory=ConvertParams)
    train: TrainParams = Field(default_factory=TrainParams)
    evaluate: EvaluateParams = Field(default_factory=EvaluateParams)
    register_: RegisterParams = Field(default_factory=RegisterParams, alias="register")


def load_params(path: Path) -> LineParams:
    """Read and check the whole of params.yaml. Raises ConfigError listing every mistake at once."""
    return check_params(path, read_yaml(path))


def check_params(path: Path, content: dict[str, Any]) -> LineParams:
    """Check the content of the file `path`. Raises ConfigError listing every mistake at once."""
    models: dict[str, Any] = {
        stage: import_module(f"pipeline_lib.{stage}.params").PARAMS for stage in STAGES
    }
    return LineParams.model_validate(parse(path, content, models))
