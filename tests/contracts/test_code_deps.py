"""dvc.yaml lists exactly the code that can change a stage's bytes."""

from __future__ import annotations

import pytest

from pipeline_lib.files.yaml_files import read_yaml
from pipeline_lib.harness.line import STAGES
from scripts.import_graph import CANNOT_CHANGE_BYTES, ROOT, expected_deps, source_file

STAGES_OF_DVC = read_yaml(ROOT / "dvc.yaml")["stages"]


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_lists_exactly_the_modules_that_can_change_its_bytes(stage: str) -> None:
    listed = sorted(dep for dep in STAGES_OF_DVC[stage].get("deps", []) if dep.startswith("pipeline_lib"))

    expected = expected_deps(stage)

    assert listed == expected, "fix dvc.yaml with: python -m scripts.write_deps"


def test_every_module_that_cannot_change_bytes_still_exists() -> None:
    assert [module for module in CANNOT_CHANGE_BYTES if not source_file(module).exists()] == []
