"""The first losses of every recipe, its rates and sizes are frozen: a refactor that changes them changes a digit here.

On small images, with the network of `quick`. Other kernels round otherwise, and five steps make 1e-3 of it: so the
losses are those of the kernels that every x86-64 processor has, in one thread, in a process of its own. When a loss
changes and should, copy the list that the failure shows into the file.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline_lib.train.recipes import RECIPES
from pipeline_lib.train.schedule import learning_rate

ROOT = Path(__file__).parents[3]
GOLDEN = json.loads(Path(__file__).with_name("golden_losses.json").read_text())
# Of torch, oneDNN and MKL. With these, glibc's and numpy's own choice of kernels moved no digit.
KERNELS_OF_ALL = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "OMP_NUM_THREADS": "1",
}


@pytest.fixture(scope="module")
def losses() -> dict[str, list[float]]:
    """See first_losses.py."""
    command = [sys.executable, "-m", "tests.unit.train.first_losses", *GOLDEN["losses"]]
    environment = {**os.environ, **KERNELS_OF_ALL}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True, timeout=600
    )
    found: dict[str, list[float]] = json.loads(ended.stdout)
    return found


@pytest.mark.skipif(platform.machine() != "x86_64", reason="recorded with the kernels of x86-64")
@pytest.mark.parametrize("name", GOLDEN["losses"])
def test_the_first_losses_of_a_recipe_are_those_of_the_last_release(
    losses: dict[str, list[float]], name: str
) -> None:
    """The first two to the sixth decimal; then what rounding may grow to, ten times less than a wrong step makes."""
    found, golden = losses[name], GOLDEN["losses"][name]

    assert found[:2] == pytest.approx(golden[:2], abs=2e-6), found
    assert found == pytest.approx(golden, rel=2e-5), found


@pytest.mark.parametrize("name", RECIPES)
def test_the_rates_and_sizes_of_a_recipe_are_those_of_the_last_release(name: str) -> None:
    """Rates at the first step, each tenth and the last, with 100 steps an epoch; in which epoch a size begins."""
    recipe, sides_E = RECIPES[name], RECIPES[name].training_sides()
    n_steps = 100 * recipe.epochs
    options: dict[str, Any] = {
        "peak": recipe.peak_learning_rate,
        "schedule": recipe.schedule,
        "warm_up": recipe.warm_up,
    }
    rates = [
        learning_rate(min(n_steps * tenth // 10, n_steps - 1), n_steps, **options)
        for tenth in range(11)
    ]
    plan: dict[str, Any] = {"rates": [float(f"{rate:.6g}") for rate in rates]}
    plan["sides"] = [[sides_E.index(side_px), side_px] for side_px in sorted(set(sides_E))]

    assert plan == GOLDEN["plans"].get(name), plan


@pytest.mark.parametrize("name", [name for name in RECIPES if name not in GOLDEN["losses"]])
def test_a_recipe_without_losses_of_its_own_is_resnet_16_but_for_its_length(name: str) -> None:
    """Two epochs of warm-up in each: the first losses are the same, so they are frozen once."""
    same = RECIPES["resnet-16"].changed(
        epochs=RECIPES[name].epochs, warm_up=2 / RECIPES[name].epochs
    )

    assert RECIPES[name] == same
