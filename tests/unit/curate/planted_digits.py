"""The demo's planted digits as the tables that `curate` reads, made by the stages before it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from demo.plant import plant
from demo.planted import PlantList
from pipeline_lib.curate.decide import Found
from pipeline_lib.curate.params import CurateParams
from pipeline_lib.curate.run import CLASS_WORDS, OVERRIDES, read_found
from pipeline_lib.line import read_line
from pipeline_lib.settings import Settings
from pipeline_lib.stage import StageRun

REPOSITORY = Path(__file__).parents[3]
SOURCE = "digits"


@dataclass(frozen=True)
class PlantedDigits:
    """found: what curate is given. plants: what is wrong with it."""

    found: Found
    plants: PlantList


def plant_digits(checkout: Path, *, seed: int) -> PlantedDigits:
    """Plant the archive below an empty `checkout` and bring it up to `inspect`."""
    for name in ("dvc.yaml", "params.yaml", str(OVERRIDES), str(CLASS_WORDS)):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REPOSITORY / name, checkout / name)
    plants = plant(checkout / "demo/out", seed=seed)
    for stage in ("discover", "download", "inspect"):
        command = [sys.executable, "-m", "pipeline_lib.stage", stage]
        subprocess.run(command, cwd=checkout, check=True, env={"PYTHONPATH": str(REPOSITORY)}, capture_output=True)
    files = read_line(checkout).stage_files("curate")
    job = StageRun(checkout, files.reads, files.writes, CurateParams(), Settings())
    return PlantedDigits(read_found(job), plants)
