"""params.yaml, the models and dvc.yaml agree."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import STAGES
from pipeline_lib.params import LineParams, load_params

ROOT = Path(__file__).parents[2]


def test_the_params_as_shipped_are_valid() -> None:
    assert isinstance(load_params(ROOT / "params.yaml"), LineParams)


def test_each_section_belongs_to_a_stage_and_each_stage_has_one() -> None:
    assert tuple(read_yaml(ROOT / "params.yaml")) == STAGES


@pytest.mark.parametrize("stage", STAGES)
def test_dvc_tracks_the_whole_section_of_a_stage_and_no_other(stage: str) -> None:
    assert read_yaml(ROOT / "dvc.yaml")["stages"][stage]["params"] == [stage]


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_says_what_it_means_and_has_a_default(stage: str) -> None:
    fields = import_module(f"pipeline_lib.{stage}.params").PARAMS.model_fields

    undocumented = [name for name, field in fields.items() if not field.description]
    without_default = [
        name
        for name, f in fields.items()
        if f.default is PydanticUndefined and not f.default_factory
    ]

    assert undocumented == []
    assert without_default == (["sources"] if stage == "discover" else [])


def test_at_most_eight_parameters_are_visible_in_the_form() -> None:
    models = [import_module(f"pipeline_lib.{stage}.params").PARAMS for stage in STAGES]

    visible = [
        f"{m.__name__}.{n}"
        for m in models
        for n, f in m.model_fields.items()
        if (f.json_schema_extra or {}).get("visible")
    ]

    assert 1 <= len(visible) <= 8, visible
