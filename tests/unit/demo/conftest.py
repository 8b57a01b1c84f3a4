"""One planted folder for all tests of the demo."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.plant import plant
from demo.plant_list import PlantList, read_plants


@pytest.fixture(scope="session")
def planted_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("planted")
    plant(folder, seed=0)
    return folder


@pytest.fixture(scope="session")
def plants(planted_folder: Path) -> PlantList:
    return read_plants(planted_folder / "plants.json")
